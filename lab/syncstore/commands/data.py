"""What is done with keys: put, get, delete, keys, watch."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lab.syncstore.commands.app import ABSENT, OK, Json, Patience, Tls, Urls, app, bucket_of, run
from lab.syncstore.commands.printed import line, plain, print_json, told
from lab.syncstore.errors import Refused

if TYPE_CHECKING:
    from lab.syncstore.client import Client

STDIN = "-"
BucketName = Annotated[str, typer.Argument(metavar="BUCKET", help="a name (global, lww), or scope/kind/name")]
Key = Annotated[str, typer.Argument(help="up to 512 bytes")]
Prefix = Annotated[str, typer.Argument(metavar="[PREFIX]", help="of keys; empty: all")]


@app.command("put")
def put_(
    bucket: BucketName,
    key: Key,
    value: Annotated[str, typer.Argument(help=f"a text; {STDIN}: read it from standard input")],
    url: Urls = None,
    tls: Tls = None,
    timeout: Patience = 2.0,
    ttl: Annotated[float | None, typer.Option(help="seconds until it is gone")] = None,
    create: Annotated[bool, typer.Option("--create", help="only where the key is absent (register)")] = False,
    revision: Annotated[str, typer.Option(help="only where the key has this revision (register)")] = "",
    as_json: Json = False,
) -> None:
    """Write a key; prints its revision."""
    if create and revision:
        raise Refused("say --create or --revision: a key that is absent has no revision")
    content = sys.stdin.buffer.read() if value == STDIN else os.fsencode(value)

    async def work(client: Client) -> int:
        there = bucket_of(client, bucket)
        if create:
            written = await there.create(key, content, ttl=ttl)
        elif revision:
            written = await there.update(key, content, revision, ttl=ttl)
        else:
            written = await there.put(key, content, ttl=ttl)
        if as_json:
            print_json({"key": key, "revision": written.revision, "degraded": written.degraded})
        else:
            print(written.revision + (" degraded" if written.degraded else ""))
        return OK

    run(work, url, tls, timeout)


@app.command("get")
def get_(
    bucket: BucketName,
    key: Key,
    url: Urls = None,
    tls: Tls = None,
    timeout: Patience = 2.0,
    stale_ok: Annotated[bool, typer.Option("--stale-ok", help="a register as one node has it")] = False,
    as_json: Json = False,
) -> None:
    """Print a key's value as it is; exit code 4 where there is no such key."""

    async def work(client: Client) -> int:
        entry = await bucket_of(client, bucket).get(key, stale_ok=stale_ok)
        if as_json:
            print_json(told(key, entry) | {"expires": entry.expires})
        elif entry.value is None:
            print(f"syncstore: there is no key {plain(key)} in {bucket}", file=sys.stderr)
        else:
            sys.stdout.buffer.write(entry.value + (b"\n" if sys.stdout.isatty() else b""))
            sys.stdout.buffer.flush()
        return ABSENT if entry.value is None else OK

    run(work, url, tls, timeout)


@app.command("delete")
def delete_(
    bucket: BucketName, key: Key, url: Urls = None, tls: Tls = None, timeout: Patience = 2.0, as_json: Json = False
) -> None:
    """Delete a key, whether or not it is there."""

    async def work(client: Client) -> int:
        written = await bucket_of(client, bucket).delete(key)
        if as_json:
            print_json({"key": key, "revision": written.revision, "degraded": written.degraded})
        return OK

    run(work, url, tls, timeout)


@app.command("keys")
def keys_(
    bucket: BucketName,
    prefix: Prefix = "",
    url: Urls = None,
    tls: Tls = None,
    timeout: Patience = 10.0,
    as_json: Json = False,
) -> None:
    """Print the keys of a bucket, in order."""

    async def work(client: Client) -> int:
        found = await bucket_of(client, bucket).keys(prefix)
        if as_json:
            print_json(found)
        else:
            sys.stdout.write("".join(f"{plain(key)}\n" for key in found))
        return OK

    run(work, url, tls, timeout)


@app.command("watch")
def watch_(
    bucket: BucketName,
    prefix: Prefix = "",
    url: Urls = None,
    tls: Tls = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="print what is there, and stop")] = False,
    as_json: Json = False,
) -> None:
    """Print what is there, a line for where that ends, then every change as it comes, until interrupted."""

    async def work(client: Client) -> int:
        async with bucket_of(client, bucket).watch(prefix) as watch:
            async for event in watch:
                if event is None and snapshot:
                    break
                print(line(event, as_json), flush=True)
        return OK

    run(work, url, tls, 2.0)
