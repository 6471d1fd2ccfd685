"""`syncstore`: our own store, whose regions never wait for each other (see `lab.syncstore`).

Three nodes of a region hold its data together; regions hear from each other asynchronously, and only
through the network's proxies. There is nothing to lead, so nothing to place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from signal import SIGTERM, Signals
from typing import Any, ClassVar

import aiohttp

from lab import files
from lab.backends.syncstore.config import Settings, render
from lab.clock import NS_PER_S, now_ns
from lab.errors import DoesNotFit, NodeNotReady
from lab.events import Event, Replica, Sample
from lab.protocols import Addresses, ClientSpec, Deployment, NodeSpec
from lab.syncstore import __version__
from lab.topology import Topology

PROGRAM = "syncstore"
READY_WITHIN_S, PATIENCE_S = 60.0, 1.5
GLOBAL = "global"


class SyncStore:
    """options: see `config.Settings`."""

    name: ClassVar[str] = "syncstore"
    ports: ClassVar[tuple[str, ...]] = ("client", "peer", "wan", "monitor")
    wan_ports: ClassVar[tuple[str, ...]] = ("wan",)
    host_ports: ClassVar[tuple[str, ...]] = ("client", "monitor")
    bucket_revisions: ClassVar[bool] = False
    lame_duck_signal: ClassVar[Signals] = SIGTERM  # its polite end: clients are told, what was asked is answered

    def __init__(self, version: str, options: Mapping[str, str]) -> None:
        if version not in ("", __version__):
            raise DoesNotFit(f"arm {self.name}: expected no version, found @{version}: it is part of this project.")
        self._settings = files.validated(Settings, options, f"arm {self.name}")
        self._session: aiohttp.ClientSession | None = None

    def programs(self) -> Mapping[str, str]:
        return {PROGRAM: __version__}

    def nodes(self, topology: Topology, addresses: Addresses) -> list[NodeSpec]:
        return [
            NodeSpec(
                name=node.name,
                region=node.region,
                program=PROGRAM,
                version=__version__,
                arguments=("-m", "lab.syncstore", "serve", "--config", "syncstore.toml"),
                files={"syncstore.toml": render(node, topology, addresses)},
            )
            for node in topology.nodes
        ]

    def client(self, addresses: Addresses, topology: Topology, region: str) -> ClientSpec:
        return ClientSpec(
            factory="lab.backends.syncstore.client:SyncStoreClient",
            region=region,
            servers=tuple(addresses.at(node, "client") for node in topology.nodes_of(region)),
            options={"buckets": list(topology.regions), "kind": self._settings.kind},
        )

    async def ready(self, deployment: Deployment) -> None:
        """Every node ready, and every region heard by some node of every other."""
        deadline_ns = now_ns() + int(READY_WITHIN_S * NS_PER_S)
        while missing := self._missing(deployment.topology, await self._all(deployment)):
            for name in await deployment.runtime.dead():
                last = "; ".join(deployment.runtime.logs(name)[-3:]) or "none"
                raise NodeNotReady(f"node {name} ended while starting; its last words: {last}")
            if now_ns() > deadline_ns:
                raise NodeNotReady(f"SyncStore is not ready after {READY_WITHIN_S:g} s: {'; '.join(missing[:3])}.")
            await asyncio.sleep(0.1)

    async def sample(self, deployment: Deployment) -> list[Sample]:
        at_ns = now_ns()
        regions = {node.name: node.region for node in deployment.topology.nodes}
        return [
            Sample(at_ns=at_ns, node=node, region=regions[node], name="messages_total", number=frames)
            for node, status in (await self._all(deployment)).items()
            if (frames := _frames(status)) is not None
        ]

    async def quiet(self, deployment: Deployment) -> bool:
        answers = await self._all(deployment)
        states = [status["scopes"][GLOBAL]["vector"] for status in answers.values()]
        alike = len(states) == len(deployment.topology.nodes) and all(one == states[0] for one in states)
        # What came last from other regions has entered its registers, too.
        return alike and not any(status["registers"].get("unchecked") for status in answers.values())

    async def replicas(self, deployment: Deployment) -> list[Event]:
        """The digest each node keeps of all it holds for every region."""
        at_ns = now_ns()
        regions = {node.name: node.region for node in deployment.topology.nodes}
        return [
            Replica(
                at_ns=at_ns, region=regions[node], node=node, bucket="all", digest=status["scopes"][GLOBAL]["digest"]
            )
            for node, status in (await self._all(deployment)).items()
        ]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # -- asking ----------------------------------------------------------------------------------

    @staticmethod
    def _missing(topology: Topology, answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
        silent = [f"{node.name} does not answer" for node in topology.nodes if node.name not in answers]
        unready = [f"{node} is not ready" for node, status in answers.items() if not status["ready"]]
        deaf = []
        for region in topology.regions:
            heard = {one for node in topology.nodes_of(region) for one in answers.get(node.name, {}).get("hears", [])}
            deaf += [f"{region} does not hear {other}" for other in topology.regions if other not in {region, *heard}]
        return silent + unready + deaf

    async def _all(self, deployment: Deployment) -> dict[str, dict[str, Any]]:
        """node → its status; silent nodes are left out."""
        nodes = deployment.topology.nodes
        answers = await asyncio.gather(*(self._one(deployment.addresses.at(node, "monitor")) for node in nodes))
        return {node.name: answer for node, answer in zip(nodes, answers, strict=True) if answer is not None}

    async def _one(self, address: str) -> dict[str, Any] | None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        try:
            async with self._session.get(f"http://{address}/status") as response:
                answer: dict[str, Any] = (await response.json(content_type=None))["engine"]
                return answer
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, KeyError):
            return None


def _frames(status: Mapping[str, Any]) -> float | None:
    """Frames a node has received since its start."""
    received = status.get("counters", {}).get("frames_received")
    return None if received is None else float(received)
