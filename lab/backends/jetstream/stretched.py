"""`jetstream-stretched`: one NATS cluster over all regions, each bucket with replicas in several.

The layout of the 2023 incident, in its best form (see `layout`): R3, a replica at home and one in each
of the two nearest regions, so that a bucket outlives any one region, and its leader can sit with its
users.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from signal import SIGUSR2, Signals
from typing import Any, ClassVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client as Connection
from nats.js.api import DiscardPolicy, Placement, StorageType, StreamConfig

from lab import files
from lab.backends.jetstream import leaders, logs
from lab.backends.jetstream.client import connect
from lab.backends.jetstream.config import SYSTEM_USER, Settings, monitors, render
from lab.backends.jetstream.layout import replicas, tag
from lab.backends.jetstream.monitoring import JSZ, Monitor, streams, unsettled
from lab.binaries import NEWEST
from lab.clock import NS_PER_S, now_ns
from lab.errors import NodeNotReady
from lab.events import Event, Replica, Sample
from lab.protocols import Addresses, ClientSpec, Deployment, NodeSpec
from lab.topology import Topology

READY_WITHIN_S, CONNECT_WITHIN_S = 90.0, 15.0
PROGRAM = "nats-server"


class StretchedJetStream:
    """One stretched cluster. options: see `config.Settings`."""

    name: ClassVar[str] = "jetstream-stretched"
    ports: ClassVar[tuple[str, ...]] = ("client", "routes", "monitor")
    wan_ports: ClassVar[tuple[str, ...]] = ("routes",)
    host_ports: ClassVar[tuple[str, ...]] = ("client", "monitor")
    bucket_revisions: ClassVar[bool] = True
    lame_duck_signal: ClassVar[Signals] = SIGUSR2

    def __init__(self, version: str, options: Mapping[str, str]) -> None:
        self._version = version or NEWEST[PROGRAM]
        self._settings = files.validated(Settings, options, f"arm {self.name}")
        self._monitor: Monitor | None = None
        self._connections: dict[str, Connection] = {}

    def programs(self) -> Mapping[str, str]:
        return {PROGRAM: self._version}

    def nodes(self, topology: Topology, addresses: Addresses) -> list[NodeSpec]:
        return [
            NodeSpec(
                name=node.name,
                region=node.region,
                program=PROGRAM,
                version=self._version,
                arguments=("--config", "server.conf"),
                files={"server.conf": render(node, topology, addresses, self._settings)},
            )
            for node in topology.nodes
        ]

    def client(self, addresses: Addresses, topology: Topology, region: str) -> ClientSpec:
        return ClientSpec(
            factory="lab.backends.jetstream.client:JetStreamClient",
            region=region,
            servers=tuple(addresses.at(node, "client") for node in topology.nodes_of(region)),
            options={"buckets": list(topology.regions)},
        )

    async def ready(self, deployment: Deployment) -> None:
        """All servers in one meta group and current, then one bucket per region, all current."""
        topology = deployment.topology
        regions = {node.name: node.region for node in topology.nodes}
        self._monitor = Monitor(monitors(topology, deployment.addresses), regions)
        deadline_ns = now_ns() + int(READY_WITHIN_S * NS_PER_S)
        await self._until(deadline_ns, deployment, self._formed)
        try:
            await asyncio.wait_for(self._connect(deployment), CONNECT_WITHIN_S)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise NodeNotReady(f"no server lets a client in: {type(error).__name__} {error}.") from error
        for bucket in deployment.workload.buckets(topology.region_names):
            await self._create(bucket, len(replicas(bucket, topology)), deadline_ns)
        await self._until(deadline_ns, deployment, self._at_rest)

    def holders(self, topology: Topology, bucket: str) -> set[str]:
        return {node.region for node in replicas(bucket, topology)}

    async def place_leaders(self, deployment: Deployment, wanted: Mapping[str, Sequence[str]]) -> None:
        nodes = {r: [n.name for n in deployment.topology.nodes_of(r)] for r in deployment.topology.regions}
        await leaders.place(self._watching, self._connections["system"], self._connections["user"], wanted, nodes)

    async def sample(self, deployment: Deployment) -> list[Sample]:
        return await self._watching.samples()

    async def quiet(self, deployment: Deployment) -> bool:
        return not unsettled(await self._watching.all(JSZ))

    async def connections(self, deployment: Deployment) -> dict[tuple[str, str], int]:
        return await self._watching.connections()

    async def replicas(self, deployment: Deployment) -> list[Event]:
        """What each replica states it holds: a fingerprint. Values differ in length, so that other
        content under the same sequences almost surely has another number of bytes."""
        at_ns = now_ns()
        regions = {node.name: node.region for node in deployment.topology.nodes}
        return [
            Replica(
                at_ns=at_ns,
                region=regions[node],
                node=node,
                bucket=name.removeprefix("KV_"),
                digest=" ".join(
                    f"{part}={stream['state'].get(part, 0)}"
                    for part in ("messages", "bytes", "first_seq", "last_seq", "num_subjects")
                ),
            )
            for node, answer in (await self._watching.all(JSZ)).items()
            for name, stream in streams(answer).items()
        ]

    def notable(self, node: str, region: str, lines: Sequence[str], pair: tuple[int, int]) -> list[Sample]:
        return list(logs.notable(node, region, lines, pair))

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        if self._monitor is not None:
            await self._monitor.close()

    # -- bringing it up -------------------------------------------------------------------------

    @property
    def _watching(self) -> Monitor:
        assert self._monitor is not None, "the backend was never made ready"
        return self._monitor

    async def _connect(self, deployment: Deployment) -> None:
        servers = tuple(deployment.addresses.at(node, "client") for node in deployment.topology.nodes)
        self._connections["user"] = await connect(servers)
        self._connections["system"] = await connect(servers, user=SYSTEM_USER, password=SYSTEM_USER)

    async def _create(self, bucket: str, count: int, deadline_ns: int) -> None:
        """The stream of a key-value bucket as nats-py makes it, but placed, which it can't.

        Right after start placement can fail until the servers' tags have spread: ask again.
        """
        js = self._connections["user"].jetstream(timeout=5)
        stream = StreamConfig(
            name=f"KV_{bucket}",
            subjects=[f"$KV.{bucket}.>"],
            placement=Placement(tags=[tag(bucket)]),
            num_replicas=count,
            storage=StorageType.FILE,
            max_msgs_per_subject=1,
            discard=DiscardPolicy.NEW,
            duplicate_window=120,
            allow_direct=self._settings.direct == "on",
            allow_rollup_hdrs=True,
            deny_delete=True,
        )
        while True:
            try:
                await js.add_stream(stream)
                return
            except (TimeoutError, nats.js.errors.Error, nats.errors.Error) as error:
                if now_ns() > deadline_ns:
                    raise NodeNotReady(f"bucket {bucket} could not be created: {error}.") from error
                await asyncio.sleep(0.25)

    async def _until(self, deadline_ns: int, deployment: Deployment, missing: Any) -> None:
        while reasons := await missing(deployment):
            for name in await deployment.runtime.dead():
                last = "; ".join(deployment.runtime.logs(name)[-3:]) or "none"
                raise NodeNotReady(f"node {name} ended while starting; its last words: {last}")
            if now_ns() > deadline_ns:
                raise NodeNotReady(f"JetStream is not ready after {READY_WITHIN_S:g} s: {'; '.join(reasons[:3])}.")
            await asyncio.sleep(0.1)

    async def _formed(self, deployment: Deployment) -> list[str]:
        jsz = await self._watching.all(JSZ)
        expected = len(deployment.topology.nodes)
        if len(jsz) < expected:
            return [f"{expected - len(jsz)} of {expected} servers do not answer"]
        sizes = {node: (answer.get("meta_cluster") or {}).get("cluster_size", 0) for node, answer in jsz.items()}
        small = [f"{node} counts {size} of {expected} servers" for node, size in sizes.items() if size < expected]
        return small + unsettled(jsz)

    async def _at_rest(self, deployment: Deployment) -> list[str]:
        jsz = await self._watching.all(JSZ)
        wanted = {f"KV_{bucket}" for bucket in deployment.topology.regions}
        found = {name for answer in jsz.values() for name in streams(answer)}
        return [f"{name} is not there yet" for name in sorted(wanted - found)] + unsettled(jsz)
