"""What all commands but `serve` share: the application, common options, one connected client, exit codes.

Owns which exit code an error has (see `__main__`), and how a bucket is written: as its name (then it is
global/lww), or as scope/kind/name.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from lab.syncstore.commands.printed import plain
from lab.syncstore.errors import Refused, SyncStoreError, Timeout

if TYPE_CHECKING:
    from lab.syncstore.client import Bucket, Client
    from lab.syncstore.security import TlsFiles

OK, USAGE, NOT_DONE, ABSENT, IN_DOUBT, INTERRUPTED = 0, 2, 3, 4, 5, 130
URL = "syncstore://127.0.0.1:7100"

app = typer.Typer(
    name="syncstore",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A replicated key-value store whose regions never wait for each other.",
    epilog="Exit codes: 0 done, 1 a bug, 2 usage, 3 not done, 4 no such key, 5 may have been done, 130 interrupted.",
)

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url", envvar="SYNCSTORE_URL", help=f"a node, syncstore://host:port; several: repeat (default {URL})"
    ),
]
Tls = Annotated[
    Path | None,
    typer.Option("--tls", envvar="SYNCSTORE_TLS", metavar="DIR", help="certificates as `certs` makes them"),
]
Patience = Annotated[float, typer.Option("--timeout", min=0.001, help="seconds")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    from lab.syncstore.commands import data, operate

    assert data and operate  # they add their commands to `app`
    try:
        app(arguments, prog_name="syncstore")
    except Refused as error:
        return _failed(error, USAGE)
    except Timeout as error:
        return _failed(error, IN_DOUBT)
    except SyncStoreError as error:
        return _failed(error, NOT_DONE)
    except SystemExit as end:
        aborted = end.code == 1  # which is what typer says for Ctrl-C
        return INTERRUPTED if aborted else end.code if isinstance(end.code, int) else OK
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK


def _failed(error: SyncStoreError, code: int) -> int:
    print(f"syncstore: {error.__class__.__name__}: {plain(str(error))}", file=sys.stderr)
    return code


def run(
    work: Callable[[Client], Coroutine[Any, Any, int]],
    urls: list[str] | None,
    tls: Path | None,
    timeout_s: float,
    admin: bool = False,
) -> NoReturn:
    async def connected() -> int:
        from lab.syncstore.client import connect

        files = _files(tls, "admin" if admin else "client")
        async with connect(
            _urls(urls), tls=files, admin=admin, timeout=timeout_s, connect_timeout=timeout_s, shuffle=False
        ) as client:
            return await work(client)

    try:
        code = asyncio.run(connected())
    except (ValueError, TypeError) as error:  # of a key, value, revision or ttl that can't be
        raise Refused(str(error)) from None
    raise typer.Exit(code)


def _urls(given: list[str] | None) -> list[str]:
    """As options, or from the environment, where commas stand between them."""
    return [url for text in given or [URL] for url in text.replace(",", " ").split()]


def _files(directory: Path | None, name: str) -> TlsFiles | None:
    from lab.syncstore.security import TlsFiles

    return TlsFiles.of(directory, name) if directory is not None else None


def bucket_of(client: Client, name: str) -> Bucket:
    from lab.syncstore.record import GLOBAL, LWW, SCOPES

    scope, kind = GLOBAL, LWW
    if name.partition("/")[0] in SCOPES and name.count("/") >= 2:
        scope, kind, name = name.split("/", 2)
    return client.bucket(name, scope=scope, kind=kind)
