"""Regions of real nodes on this machine's loopback, each node a process with a disk of its own.

    with cluster(tmp_path, ["sg", "eu"]) as one:
        one["sg-1"].kill()

Owns ports, configuration files, processes and the ways between them; whatever happens to the test, the
nodes end with it. Knows nothing of load or of what is expected.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import permutations
from pathlib import Path
from typing import Any

from lab.syncstore.client import Client, connect
from lab.syncstore.security import TlsFiles, make_certificates
from tests.syncstore.nodes import HOST, free_ports
from tests.syncstore.real.relay import Way

ROOT = Path(__file__).parents[3]
READY_S = 30.0
PORTS = 4
PEER, WAN, HTTP = 1, 2, 3
"""Which port after the clients' each of the others is."""
TLS = """
[tls]
ca = "certs/ca.pem"
certificate = "certs/{node}.pem"
key = "certs/{node}.key"
"""
DIE_WITH_PARENT = 1
_LIBC = ctypes.CDLL(None)  # loaded here: a child between fork and exec had better load nothing


class Node:
    """One process. port: its clients'; the next three are its peers', other regions' and HTTP's."""

    def __init__(self, directory: Path, region: str, name: str, port: int, tls: TlsFiles | None) -> None:
        self.directory, self.region, self.name, self.port, self.tls = directory, region, name, port, tls
        self.url = f"syncstore://{HOST}:{port}"
        self.data, self.config = directory / "data" / name, directory / f"{name}.toml"
        self.options: tuple[str, ...] = ()
        """More of the command line, from the next start on."""
        self._process: subprocess.Popen[bytes] | None = None

    # -- its life ----------------------------------------------------------------------------------

    def start(self, *once: str) -> None:
        """once: options of this start alone."""
        assert not self.runs, f"{self.name} runs already"
        command = [sys.executable, "-m", "lab.syncstore", "serve", "--config", str(self.config), "--node", self.name]
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.options, *once],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill −9; returns when the process is gone."""
        if self.runs:
            self._signal(signal.SIGKILL)
        self.ended()

    def stop(self) -> int:
        """As an operator does; the exit code."""
        self._signal(signal.SIGTERM)
        return self.ended()

    def ended(self, patience_s: float = 20) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        return self._process.wait(patience_s)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def connect(self) -> Client:
        """A client of this node alone."""
        return connect([self.url], tls=self.tls)

    # -- what it says ------------------------------------------------------------------------------

    @property
    def said(self) -> str:
        return (self.directory / f"{self.name}.log").read_text("utf-8", "replace")

    async def status(self) -> dict[str, Any]:
        """Raises OSError."""
        code, body = await _get(self.port + HTTP, "/status")
        if code != 200:
            raise OSError(f"{self.name}: /status answered {code}")
        found: dict[str, Any] = json.loads(body)
        return found

    async def is_ready(self) -> bool:
        with suppress(OSError):
            return (await _get(self.port + HTTP, "/readyz"))[0] == 200
        return False

    async def ready(self, patience_s: float = READY_S) -> None:
        until_s = time.monotonic() + patience_s
        while not await self.is_ready():
            assert self.runs, f"{self.name} ended: {self.said[-2000:]}"
            assert time.monotonic() < until_s, f"{self.name} is not ready after {patience_s:g} s: {self.said[-2000:]}"
            await asyncio.sleep(0.05)

    async def restart(self, *once: str) -> None:
        self.start(*once)
        await self.ready()


class Cluster:
    """regions: region → its nodes. ways: (dialler, dialled) → the way between two nodes, where there is one."""

    def __init__(self, directory: Path, regions: dict[str, list[Node]], ways: dict[tuple[str, str], Way]) -> None:
        self.directory, self.regions, self.ways = directory, regions, ways
        self.nodes = [node for nodes in regions.values() for node in nodes]

    def __getitem__(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    def connect(self, region: str, first: int = 0) -> Client:
        """A client of a region, which prefers one of its nodes. first: its place among them."""
        nodes = self.regions[region]
        return connect([node.url for node in nodes[first:] + nodes[:first]], tls=nodes[0].tls, shuffle=False)

    async def ready(self) -> None:
        """Open the ways, start whoever doesn't run, return when all are ready."""
        for way in self.ways.values():
            await way.open()
        for node in self.nodes:
            if not node.runs:
                node.start()
        await asyncio.gather(*(node.ready() for node in self.nodes))

    def between(self, *names: str) -> list[Way]:
        """The ways between each two of these."""
        return [self.ways[two] for two in permutations(names, 2)]

    def around(self, name: str) -> list[Way]:
        """All that lead to or from a node."""
        return [way for two, way in self.ways.items() if name in two]

    def end(self) -> None:
        for way in self.ways.values():
            with suppress(RuntimeError):  # the loop has ended before
                way.close()
        for node in self.nodes:
            if node.runs:
                node._signal(signal.SIGKILL)
        for node in self.nodes:
            if node._process is not None:
                node.ended()


@contextmanager
def cluster(
    directory: Path, regions: list[str], *, nodes: int = 3, ways: str = "", tls: bool = False, limits: str = ""
) -> Iterator[Cluster]:
    """Not started yet: `await ready()`. ways: "peers" of a region, "regions", or "" for straight connections.

    tls: between nodes and for clients, with certificates of a CA made here. limits: lines of the
    configuration's table of that name.
    """
    named = {region: [f"{region}-{number}" for number in range(1, nodes + 1)] for region in regions}
    names = [name for several in named.values() for name in several]
    region_of = {name: region for region, several in named.items() for name in several}
    pairs = [
        two for two in permutations(names, 2) if ways and (region_of[two[0]] == region_of[two[1]]) == (ways == "peers")
    ]
    ports = free_ports(PORTS * len(names) + len(pairs))
    first = {name: ports[PORTS * number] for number, name in enumerate(names)}
    offset = PEER if ways == "peers" else WAN
    built = {
        two: Way(port, first[two[1]] + offset) for two, port in zip(pairs, ports[PORTS * len(names) :], strict=True)
    }
    files = _certificates(directory, region_of) if tls else None
    made = {region: [Node(directory, region, name, first[name], files) for name in named[region]] for region in regions}
    more = (TLS if tls else "") + (f"[limits]\n{limits}\n" if limits else "")
    for name in names:
        (directory / f"{name}.toml").write_text(_config(name, region_of, first, built) + more)
    one = Cluster(directory, made, built)
    try:
        yield one
    finally:
        one.end()


def _certificates(directory: Path, region_of: dict[str, str]) -> TlsFiles:
    """The clients'."""
    make_certificates(directory / "certs", [(region, name) for name, region in region_of.items()])
    return TlsFiles.of(directory / "certs", "client")


def _config(name: str, region_of: dict[str, str], first: dict[str, int], ways: dict[tuple[str, str], Way]) -> str:
    lines = ['cluster = "real"', 'data = "data/{node}"']
    for region in dict.fromkeys(region_of.values()):
        lines.append(f"[regions.{region}]")
        lines += [f'{one} = "{HOST}:{first[one]}"' for one, of in region_of.items() if of == region]
    dialled = {two[1]: way.port for two, way in ways.items() if two[0] == name}
    if dialled:
        lines.append(f"[dial.{region_of[name]}]")
        lines += [f'{other} = "{HOST}:{port}"' for other, port in dialled.items()]
    return "\n".join([*lines, ""])


async def _get(port: int, path: str) -> tuple[int, bytes]:
    """(code, body). Raises OSError."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            content = await reader.read()
        finally:
            writer.close()
    head, _, body = content.partition(b"\r\n\r\n")
    words = head.split()
    if len(words) < 2:
        raise ConnectionAbortedError(f"port {port} answered nothing")
    return int(words[1]), body


def _die_with_parent() -> None:
    """So that nothing is left running when the tests are killed."""
    if sys.platform == "linux":
        _LIBC.prctl(DIE_WITH_PARENT, signal.SIGKILL)
