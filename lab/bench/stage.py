"""Both stores brought up for one row of the table, and down again whatever happens.

As in the lab's runs: real servers on loopback ports, each region's roads to others lead through one
Toxiproxy. Several stores share it (toxiproxy-python knows one server a process), so here one network
serves the links of them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from lab import binaries, parts
from lab.backends.jetstream.stretched import StretchedJetStream
from lab.backends.syncstore.store import SyncStore
from lab.network.toxiproxy.proxies import ToxiproxyNetwork
from lab.protocols import Addresses, Backend, Deployment, RunFiles, Workload
from lab.runtimes.process import ProcessRuntime
from lab.topology import Link, Region, Topology
from lab.workloads import WORKLOADS

CLOSE_WITHIN_S = 20.0
TOXIPROXY = "toxiproxy-server"
BETWEEN_MS = {"us-eu": 80.0, "us-sg": 200.0, "eu-sg": 160.0}
"""Round trips, as in topologies/three-regions.yaml; a benchmark's must not change with a file of the user's."""


class Ground(Topology):
    """Where several stores stand that know nothing of each other: no link leads from one to another."""

    @property
    def links(self) -> tuple[Link, ...]:
        known = {frozenset(pair.split("-")) for pair in self.rtt_ms}
        return tuple(link for link in super().links if frozenset((link.source, link.target)) in known)


@dataclass(frozen=True)
class Arm:
    """A store to bring up. name: of its folder and in the stage."""

    name: str
    backend: Backend
    topology: Topology


@dataclass(frozen=True)
class Stage:
    """What is up. deployments: by the arm's name."""

    directory: Path
    deployments: dict[str, Deployment]
    network: ToxiproxyNetwork

    def servers(self, name: str) -> Path:
        """The folder that holds an arm's nodes' own."""
        return RunFiles(self.directory / name).nodes


def regions(*names: str, nodes: int = 3, apart_ms: dict[str, float] | None = None) -> Topology:
    """Unlike a file's, it may have one region only. apart_ms: round trips by pair `a-b`."""
    return Ground.model_construct(
        name="bench", about="", regions={name: Region(nodes=nodes) for name in names}, rtt_ms=apart_ms or {}
    )


def three(suffix: str = "") -> Topology:
    """us, eu and sg, three nodes each; suffix: of their names, so that two may stand side by side."""
    apart = {"-".join(f"{end}{suffix}" for end in pair.split("-")): ms for pair, ms in BETWEEN_MS.items()}
    return regions(*(f"{name}{suffix}" for name in ("us", "eu", "sg")), apart_ms=apart)


def syncstore(name: str, topology: Topology) -> Arm:
    return Arm(name, SyncStore("", {}), topology)


def jetstream(name: str, topology: Topology, sync: str = "default") -> Arm:
    return Arm(name, StretchedJetStream("", {"sync": sync}), topology)


@asynccontextmanager
async def staged(directory: Path, *arms: Arm) -> AsyncIterator[Stage]:
    """Every arm ready for clients. Raises NodeNotReady, NetworkBroken or BinaryMissing with a sentence."""
    network, down = ToxiproxyNetwork(), AsyncExitStack()
    workload: Workload = parts.load(WORKLOADS["kv"])()  # only says which buckets there must be
    deployments: dict[str, Deployment] = {}
    try:
        for arm in arms:
            runtime = ProcessRuntime(RunFiles(directory / arm.name), await asyncio.to_thread(_programs, arm))
            down.push_async_callback(_closed, runtime.close)
            addresses = await runtime.open(arm.topology, arm.backend)
            deployments[arm.name] = Deployment(arm.topology, addresses, runtime, network, arm.backend, workload, seed=1)
            down.push_async_callback(_closed, arm.backend.close)
        await _connected(network, list(deployments.values()))
        for one in deployments.values():
            for spec in one.backend.nodes(one.topology, one.addresses):
                await one.runtime.start(spec)
        for one in deployments.values():
            await one.backend.ready(one)
        yield Stage(directory, deployments, network)
    finally:
        await asyncio.shield(asyncio.ensure_future(down.aclose()))


async def _connected(network: ToxiproxyNetwork, deployments: Sequence[Deployment]) -> None:
    """The roads between regions, before the first node looks for them."""
    ground = ground_of([one.topology for one in deployments])
    if len(ground.regions) < 2 or not ground.links:
        return
    addresses = together([one.addresses for one in deployments])
    for spec in network.nodes(addresses):
        await deployments[0].runtime.start(spec)
    await network.open(ground, addresses)


def ground_of(topologies: Sequence[Topology]) -> Topology:
    """All of them as one; equal regions are the same place."""
    found = {name: region for one in topologies for name, region in one.regions.items()}
    apart = {
        f"{a}-{b}": one.rtt(a, b) for one in topologies for a, b in combinations(one.regions, 2)
    }  # of each store alone
    return Ground.model_construct(name="bench", about="", regions=found, rtt_ms=apart)


def together(several: Sequence[Addresses]) -> Addresses:
    """What the network must know of all of them: proxies, and where those lead."""
    listen: dict[str, str] = {}
    proxies: dict[str, str] = {}
    witnesses: dict[str, str] = {}
    for one in several:
        listen |= {where: one.listen[where] for where in {key.partition("/")[2] for key in one.proxies}}
        proxies |= one.proxies
        witnesses |= one.witnesses
    return Addresses(listen, proxies, witnesses, several[0].toxiproxy)


def _programs(arm: Arm) -> dict[tuple[str, str], Path]:
    wanted = {**arm.backend.programs(), TOXIPROXY: ""}
    return {(name, version): binaries.find(name, version).path for name, version in wanted.items()}


async def _closed(close: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """One part that can't close may not keep the next alive."""
    with suppress(Exception):
        await asyncio.wait_for(close(), CLOSE_WITHIN_S)
