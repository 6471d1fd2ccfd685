"""Two nodes in two regions on each runtime: what the runtime's contract is tested on. Their programs are Python."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab.protocols import Addresses, NodeSpec, RunFiles, Runtime
from lab.runtimes.process import ProcessRuntime
from lab.topology import Topology

TOPOLOGY = Topology.model_validate(
    {"name": "pair", "regions": {"a": {"nodes": 1}, "b": {"nodes": 1}}, "rtt_ms": {"a-b": 2}}
)
# Ends politely when asked to, which the first process of a container does only by a handler of its own.
POLITE = """
import pathlib, signal, sys, time
def end(*_):
    print("ended", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
starts = pathlib.Path("starts")
starts.write_text((starts.read_text() if starts.exists() else "") + "x")
print("start", len(starts.read_text()), flush=True)
while True:
    time.sleep(0.05)
"""
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('start 1', flush=True); time.sleep(99)"
)
DIES = "print('last words', flush=True)"


class Ports:
    """A backend as far as a runtime needs to know one."""

    ports: ClassVar[tuple[str, ...]] = ("p", "q")
    wan_ports: ClassVar[tuple[str, ...]] = ("q",)
    host_ports: ClassVar[tuple[str, ...]] = ("p",)


def node(name: str, code: str, *arguments: str) -> NodeSpec:
    return NodeSpec(name, name[0], "python", "", ("-c", code, *arguments), {"told.txt": f"I am {name}\n"})


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[tuple[Runtime, Addresses]]:
    runtime = ProcessRuntime(RunFiles(folder), {("python", ""): sys.executable})
    try:
        yield runtime, await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
    finally:
        await runtime.close()


@asynccontextmanager
async def docker(folder: Path) -> AsyncIterator[tuple[Runtime, Addresses]]:
    """In the store's image, since that one holds a Python."""
    from lab.runtimes.docker.runtime import DockerRuntime
    from lab.syncstore import __version__

    image = await asyncio.to_thread(DockerRuntime.find, "syncstore", __version__, lambda _: None)
    road = await asyncio.to_thread(DockerRuntime.find, "toxiproxy-server", "", lambda _: None)
    places = {("python", ""): image.place, ("toxiproxy-server", ""): road.place}
    runtime = DockerRuntime(RunFiles(folder), places)
    try:
        yield runtime, await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
    finally:
        await runtime.close()


RUNTIMES: dict[str, Any] = {"process": process, "docker": docker}
EVERY = [pytest.param("process"), pytest.param("docker", marks=pytest.mark.docker)]


async def until(what: str, found: Callable[[], Any], wanted: Any, within_s: float = 20) -> None:
    """Ask again until the answer is the wanted one."""
    answer = None
    for _ in range(int(within_s / 0.05)):
        answer = await found() if asyncio.iscoroutinefunction(found) else found()
        if answer == wanted:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{what}: found {answer}, expected {wanted}")
