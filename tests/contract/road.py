"""Two regions and the ways between them, on each network: what the network's contract is tested on.

A way of link a→b is one connection's half that carries a's bytes to b: on Toxiproxy there are two,
one on a connection that a dialled and one on a connection that b dialled.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab import binaries
from lab.memory import WORLDS as MEMORY_WORLDS
from lab.memory import MemoryBackend, MemoryNetwork, MemoryRuntime
from lab.network.toxiproxy.proxies import ToxiproxyNetwork
from lab.protocols import TOXIPROXY, Addresses, RunFiles, Runtime
from lab.runtimes.process import ProcessRuntime
from lab.topology import Link, Topology

AB, BA = Link("a", "b"), Link("b", "a")
RTT_MS = 40.0
TOPOLOGY = Topology.model_validate(
    {"name": "pair", "regions": {"a": {"nodes": 1}, "b": {"nodes": 1}}, "rtt_ms": {"a-b": RTT_MS}}
)


class Echo:
    """A backend as far as a runtime needs to know one: which ports there are."""

    name: ClassVar[str] = "echo"
    ports: ClassVar[tuple[str, ...]] = ("wan",)
    wan_ports: ClassVar[tuple[str, ...]] = ("wan",)
    host_ports: ClassVar[tuple[str, ...]] = ()


@dataclass
class End:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, text: str) -> None:
        self.writer.write(text.encode() + b"\n")

    async def line(self, within_s: float) -> str | None:
        """The next line; None when none came in time, "" at the end of the stream."""
        try:
            return (await asyncio.wait_for(self.reader.readline(), within_s)).decode().strip()
        except TimeoutError:
            return None
        except ConnectionError:
            return ""

    async def closed(self, within_s: float = 3) -> bool:
        return await self.line(within_s) == ""


class ToxiproxyRoad:
    """A real Toxiproxy between servers in this very loop. `ways[link]`: (from, to) ends."""

    def __init__(self, runtime: Any, addresses: Addresses, network: ToxiproxyNetwork) -> None:
        self.runtime, self.addresses, self.network = runtime, addresses, network
        self.accepted: dict[str, asyncio.Queue[End]] = {"a": asyncio.Queue(), "b": asyncio.Queue()}
        self.ways: dict[Link, list[tuple[End, End]]] = {AB: [], BA: []}
        self.api: Any = network._api

    async def dial(self, dialler: str) -> tuple[End, End]:
        """(the dialler's end, the other end) of a new connection. Raises ConnectionError."""
        other = "b" if dialler == "a" else "a"
        host, _, port = self.addresses.for_road.proxies[f"{dialler}/{other}-1/wan"].rpartition(":")
        near = End(*await asyncio.open_connection(host, int(port)))
        return near, await asyncio.wait_for(self.accepted[other].get(), 2)

    async def lay(self) -> None:
        """One connection dialled by each region; both carry both links."""
        for dialler, out, back in (("a", AB, BA), ("b", BA, AB)):
            near, far = await self.dial(dialler)
            self.ways[out].append((near, far))
            self.ways[back].append((far, near))

    async def travel_ms(self, link: Link, within_s: float = 3) -> list[float | None]:
        """How long one line takes on every way of a link; None for one that never came."""

        async def one(number: int, sender: End, receiver: End) -> float | None:
            sent_s = time.monotonic()
            sender.send(f"probe {number}")
            came = await receiver.line(within_s)
            return (time.monotonic() - sent_s) * 1e3 if came == f"probe {number}" else None

        return await asyncio.gather(*(one(i, *way) for i, way in enumerate(self.ways[link])))


class MemoryRoad:
    """The toy network."""

    def __init__(self, network: MemoryNetwork, world: Any) -> None:
        self.network, self._world = network, world

    async def lay(self) -> None: ...

    async def travel_ms(self, link: Link, within_s: float = 3) -> list[float | None]:
        sent_s = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._world.cross(link), within_s)
            return [(time.monotonic() - sent_s) * 1e3]
        return [None]


@asynccontextmanager
async def toxiproxy_road(folder: Path) -> AsyncIterator[ToxiproxyRoad]:
    """Toxiproxy as a process."""
    runtime = ProcessRuntime(RunFiles(folder), {("toxiproxy-server", ""): binaries.find("toxiproxy-server").path})
    async with _laid(runtime, await runtime.open(TOPOLOGY, Echo())) as road:  # type: ignore[arg-type]
        yield road


@asynccontextmanager
async def docker_road(folder: Path) -> AsyncIterator[ToxiproxyRoad]:
    """Toxiproxy in a container that stands in both regions' networks. The servers are this machine's: it is in each
    network too, as its gateway, and so can dial Toxiproxy's addresses there."""
    from lab.runtimes.docker.runtime import DockerRuntime

    found = await asyncio.to_thread(DockerRuntime.find, "toxiproxy-server", "", lambda _: None)
    runtime = DockerRuntime(RunFiles(folder), {("toxiproxy-server", ""): found.place})
    addresses = await runtime.open(TOPOLOGY, Echo())  # type: ignore[arg-type]
    assert addresses.road is not None
    gateways = {region: str(subnet[1]) for region, subnet in runtime._layout.subnets.items()}
    listen = {f"{region}-1/wan": f"{gateways[region]}:{_free_port(gateways[region])}" for region in gateways}
    async with _laid(runtime, replace(addresses, road=replace(addresses.road, listen=listen))) as road:
        yield road


@asynccontextmanager
async def _laid(runtime: Runtime, addresses: Addresses) -> AsyncIterator[ToxiproxyRoad]:
    """Toxiproxy up, both servers listening, one connection laid each way."""
    network = ToxiproxyNetwork()
    servers: list[asyncio.Server] = []
    try:
        [spec] = network.nodes(addresses.for_road)
        assert spec.name == TOXIPROXY
        await runtime.start(spec)
        await network.open(TOPOLOGY, addresses)
        road = ToxiproxyRoad(runtime, addresses, network)
        for region in ("a", "b"):

            async def accept(r: asyncio.StreamReader, w: asyncio.StreamWriter, region: str = region) -> None:
                road.accepted[region].put_nowait(End(r, w))

            host, _, port = addresses.for_road.listen[f"{region}-1/wan"].rpartition(":")
            servers.append(await asyncio.start_server(accept, host, int(port)))
        await road.lay()
        yield road
    finally:
        for server in servers:
            server.close()
        await runtime.close()


@asynccontextmanager
async def memory_road(folder: Path) -> AsyncIterator[MemoryRoad]:
    runtime, network = MemoryRuntime(RunFiles(folder), {}), MemoryNetwork()
    addresses = await runtime.open(TOPOLOGY, MemoryBackend("", {}))
    await network.open(TOPOLOGY, addresses)
    try:
        yield MemoryRoad(network, MEMORY_WORLDS[addresses.toxiproxy])
    finally:
        await runtime.close()


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


ROADS: dict[str, Any] = {"toxiproxy": toxiproxy_road, "memory": memory_road, "docker": docker_road}
EVERY = [pytest.param(name, marks=[pytest.mark.docker] if name == "docker" else []) for name in ROADS]
