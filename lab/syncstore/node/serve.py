"""The `serve` command: one node, until it is told to stop.

Owns its options, its exit codes and what a signal does. Imported by itself: a node that starts
shouldn't pay for the other commands.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from lab.syncstore.errors import Refused, SyncStoreError
from lab.syncstore.node import settings
from lab.syncstore.node.running import Running
from lab.syncstore.node.say import Say
from lab.syncstore.node.settings import Settings
from lab.syncstore.security import TlsFiles

OK, USAGE, REFUSED = 0, 2, 3
SWITCH_S = 0.0005
"""How long the loop may keep the interpreter from the disk's thread, which only wants to say "done"."""


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 after a stop that was asked for, 2 for what can't be meant, 3 where it can't be done."""
    options = _parser().parse_args(arguments)
    if options.example:
        from lab.syncstore.node.example import TEXT

        print(TEXT, end="")
        return OK
    try:
        chosen = from_options(options).check()
    except Refused as refused:
        print(f"syncstore: {refused}", file=sys.stderr)
        return USAGE
    return run(chosen)


def run(chosen: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    _raise_limits()
    say = Say(chosen.node)
    try:
        return uvloop.run(_serve(chosen, say))
    except SyncStoreError as refused:
        say.error(str(refused))
        return REFUSED
    finally:
        say.close()


def from_options(options: argparse.Namespace) -> Settings:
    """Not checked yet. Raises Refused."""
    if options.config is not None:
        from lab.syncstore.node import settings_file

        if options.peers or options.region:
            raise Refused("--config already says who the nodes are: leave out --peers and --region")
        found = settings_file.read(options.config, options.node)
    else:
        found = _from_peers(options)
    changes: dict[str, object] = {
        "rebuild": options.rebuild,
        "insecure": options.insecure or found.insecure,
        "clock_offset_ms": options.clock_offset_ms,
        "data": options.data or found.data,
        "listen": options.listen or found.listen,
    }
    if options.tls is not None:
        changes["tls"] = TlsFiles.of(options.tls, found.node)
    return Settings(**{**found.__dict__, **changes})


def _from_peers(options: argparse.Namespace) -> Settings:
    region = options.region or settings.REGION
    node = options.node or ("" if options.peers else settings.NODE)
    regions = settings.regions_of(options.peers or f"{node}={settings.ADDRESS}", region)
    region, node = settings.node_of({region: regions[region]}, node)
    data = Path("syncstore-data") / node
    return Settings(settings.CLUSTER, region, node, regions, data, dial={})


async def _serve(chosen: Settings, say: Say) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: say.error(f"a bug: {_told(context)}", "loop bug"))
    running = Running(chosen, say)
    stopped = _on_signals(loop, lambda: running.node.phase == "serving", say)
    try:
        await running.start()
        say.info(f"serves {chosen.region} as {chosen.node}, clients at {chosen.listened.client}")
        await stopped.wait()
        say.info("stops")
    finally:
        await running.stop()
    say.info("has stopped")
    return OK


def _on_signals(loop: asyncio.AbstractEventLoop, serves: Callable[[], bool], say: Say) -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. Before it serves, and at a second one, the process ends at once: that
    is no worse than kill −9, which a node survives, and a disk that hangs lets go in no other way."""
    stopped = asyncio.Event()

    def signalled() -> None:
        if serves() and not stopped.is_set():
            stopped.set()
            return
        say.info("ends at once")
        say.close()
        os._exit(REFUSED if stopped.is_set() else OK)

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, signalled)
    return stopped


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message')}: {error.__class__.__name__}: {error}" if error else str(context.get("message"))


def _raise_limits() -> None:
    """As many descriptors as this user may have; and threads take turns quickly."""
    sys.setswitchinterval(SWITCH_S)
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="syncstore serve",
        description="Run one node until SIGTERM. Without options: a store of one node, for clients at "
        f"{settings.ADDRESS}. Exit codes: 0 stopped as asked, 2 usage, 3 refused (a port is taken, a disk is damaged).",
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="a TOML file; --example prints one")
    add("--node", default="", metavar="NAME", help="which node this is")
    add("--region", default="", metavar="NAME", help=f"its region (default: {settings.REGION})")
    add(
        "--peers",
        default="",
        metavar="LIST",
        help="every node as name=host:port,… with the address clients use (three more ports follow it: peers, other"
        " regions, HTTP); those of other regions as region/name=host:port",
    )
    add("--data", type=Path, metavar="DIR", help="where its disk is (default: syncstore-data/NAME)")
    add("--listen", default="", metavar="HOST", help="the host to listen at (default: the address's own)")
    add("--tls", type=Path, metavar="DIR", help="certificates as `syncstore certs` makes them")
    add("--insecure", action="store_true", help="listen beyond this machine without TLS")
    add("--rebuild", action="store_true", help="set the disk aside and join as a blank node")
    add("--clock-offset-ms", type=int, default=0, metavar="MS", help="for tests: a wall clock that is wrong")
    add("--example", action="store_true", help="print a configuration file, and stop")
    return parser
