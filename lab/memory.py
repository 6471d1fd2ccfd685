"""A toy runtime, network and backend in one process, with bugs that can be switched on.

For tests only: it lets a whole run happen in virtual time, and shows that each checker catches the
bug it is meant for. The store itself is region-isolated: writes and reads are local, records
cross links one by one. Arms: `memory`, `memory+bug=loses_writes`, …
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from signal import SIGTERM, Signals
from typing import Any, ClassVar, Literal

from lab import files
from lab.clock import NS_PER_MS, now_ns
from lab.errors import OperationFailed
from lab.events import Event, Sample, WitnessReading
from lab.protocols import (
    STOP_WITHIN_S,
    Addresses,
    Backend,
    ClientSpec,
    Cut,
    Deployment,
    Entry,
    Impairment,
    Latency,
    NodeSpec,
    Program,
    RunFiles,
)
from lab.topology import Link, Topology

PATIENCE_S = 1.0


@dataclass(frozen=True)
class Settings:
    """bug: loses_writes acknowledges some writes and drops them; stale_reads shows other
    regions' keys for ever as they first were; spreads makes a write wait for every region; never_resumes lets watches
    die with the first cut."""

    bug: Literal["none", "loses_writes", "stale_reads", "spreads", "never_resumes"] = "none"


@dataclass
class World:
    """All state of one deployment: tables per region, watchers, and what links suffer."""

    topology: Topology
    bug: str = "none"
    tables: dict[str, dict[tuple[str, str], Entry]] = field(default_factory=lambda: defaultdict(dict))
    watchers: dict[str, list[tuple[str, str, asyncio.Queue[Entry]]]] = field(default_factory=lambda: defaultdict(list))
    harms: dict[Link, list[Impairment]] = field(default_factory=lambda: defaultdict(list))
    sequence: Any = field(default_factory=lambda: count(1))
    deliveries: set[asyncio.Task[None]] = field(default_factory=set)
    messages: int = 0
    cut_once: bool = False
    healed: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self, link: Link) -> bool:
        return any(isinstance(harm, Cut) for harm in self.harms[link])

    def delay_ms(self, link: Link) -> float:
        return self.topology.one_way_ms(link) + sum(harm.ms for harm in self.harms[link] if isinstance(harm, Latency))

    async def cross(self, link: Link) -> None:
        """Take the way over a link; wait while it is cut."""
        while self.cut(link):
            await self.healed.wait()
        await asyncio.sleep(self.delay_ms(link) / 1000)

    def apply(self, region: str, bucket: str, entry: Entry) -> None:
        present = self.tables[region].get((bucket, entry.key))
        if present is None or present.revision < entry.revision:
            if self.bug != "stale_reads" or present is None or region == bucket:
                self.tables[region][(bucket, entry.key)] = entry
            if self.bug == "never_resumes" and self.cut_once:
                return
            for watched, pattern, queue in self.watchers[region]:
                if watched == bucket and _matches(entry.key, pattern):
                    queue.put_nowait(entry)

    def send(self, link: Link, bucket: str, entry: Entry) -> asyncio.Task[None]:
        async def deliver() -> None:
            self.messages += 1
            await self.cross(link)
            self.apply(link.target, bucket, entry)

        task = asyncio.create_task(deliver())
        self.deliveries.add(task)
        task.add_done_callback(self.deliveries.discard)
        return task


WORLDS: dict[str, World] = {}
"""Clients get data only, so they find their world here by name."""


class MemoryRuntime:
    """Starts nothing."""

    name: ClassVar[str] = "memory"

    @staticmethod
    def find(program: str, version: str, say: Callable[[str], None]) -> Program:
        return Program(program, version, "", {})

    @staticmethod
    def surroundings() -> Mapping[str, str]:
        return {}

    def __init__(self, run_files: RunFiles, places: Mapping[tuple[str, str], str]) -> None:
        self._name = str(run_files.directory)

    async def open(self, topology: Topology, backend: Backend) -> Addresses:
        assert isinstance(backend, MemoryBackend)
        WORLDS[self._name] = World(topology, backend.settings.bug)
        return Addresses({}, {}, {}, toxiproxy=self._name)

    async def start(self, spec: NodeSpec) -> None: ...
    async def stop(self, name: str, how: Signals = SIGTERM, within_s: float = STOP_WITHIN_S) -> None: ...
    async def restart(self, name: str) -> None: ...
    async def pause(self, name: str) -> None: ...
    async def resume(self, name: str) -> None: ...
    async def states(self) -> dict[str, str]:
        return {}

    async def dead(self) -> list[str]:
        return []

    def logs(self, name: str) -> list[str]:
        return []

    async def crossings(self) -> list[str]:
        return []

    async def close(self) -> list[str]:
        world = WORLDS.pop(self._name)
        for delivery in world.deliveries:
            delivery.cancel()
        return []


class MemoryNetwork:
    """Links as numbers."""

    def nodes(self, addresses: Addresses) -> list[NodeSpec]:
        return []

    async def open(self, topology: Topology, addresses: Addresses) -> None:
        self._world = WORLDS[addresses.toxiproxy]

    @asynccontextmanager
    async def harm(
        self, impairments: Mapping[Link, Impairment], *, close_after: bool | None = None
    ) -> AsyncIterator[None]:
        for link, impairment in impairments.items():
            self._world.harms[link].append(impairment)
            self._world.cut_once |= isinstance(impairment, Cut)
        try:
            yield
        finally:
            for link, impairment in impairments.items():
                self._world.harms[link].remove(impairment)
            self._world.healed.set()
            self._world.healed = asyncio.Event()

    def witness(self, link: Link, record: Callable[[Event], None]) -> MemoryWitness:
        return MemoryWitness(self._world, link, record)

    async def verify(self) -> list[str]:
        return []

    async def close(self) -> None: ...


class MemoryWitness:
    """Reads the world's own numbers, as slowly as the link."""

    def __init__(self, world: World, link: Link, record: Callable[[Event], None]) -> None:
        self._world, self._link, self._record = world, link, record

    async def probe(self, stage: str) -> None:
        asked_ns = now_ns()
        answer = "ok"
        try:
            async with asyncio.timeout(PATIENCE_S * 5):
                await self._world.cross(self._link)
        except TimeoutError:
            answer = "silent"
        self._record(
            WitnessReading(
                at_ns=asked_ns,
                source=self._link.source,
                target=self._link.target,
                answer=answer,
                delay_ms=(now_ns() - asked_ns) / NS_PER_MS,
                stage=stage,
            )
        )

    async def close(self) -> None: ...


class MemoryBackend:
    """The toy store."""

    name: ClassVar[str] = "memory"
    ports: ClassVar[tuple[str, ...]] = ()
    wan_ports: ClassVar[tuple[str, ...]] = ()
    bucket_revisions: ClassVar[bool] = True

    def __init__(self, version: str, options: Mapping[str, str]) -> None:
        self.settings = files.validated(Settings, options, "arm memory")

    def programs(self) -> Mapping[str, str]:
        return {}

    def nodes(self, topology: Topology, addresses: Addresses) -> list[NodeSpec]:
        return []

    def client(self, addresses: Addresses, topology: Topology, region: str) -> ClientSpec:
        return ClientSpec("lab.memory:MemoryClient", region, (), {"world": addresses.toxiproxy})

    async def ready(self, deployment: Deployment) -> None: ...

    async def sample(self, deployment: Deployment) -> list[Sample]:
        world = WORLDS[deployment.addresses.toxiproxy]
        region = next(iter(deployment.topology.regions))
        return [Sample(at_ns=now_ns(), node="memory", region=region, name="messages_total", number=world.messages)]

    async def quiet(self, deployment: Deployment) -> bool:
        return not WORLDS[deployment.addresses.toxiproxy].deliveries

    async def close(self) -> None: ...


class MemoryClient:
    """A client of the toy store."""

    def __init__(self, spec: ClientSpec) -> None:
        self._world, self._region = WORLDS[str(spec.options["world"])], spec.region

    async def connect(self) -> None: ...
    async def close(self) -> None: ...

    async def put(self, bucket: str, key: str, value: str) -> str:
        await asyncio.sleep(0.001)
        number = next(self._world.sequence)
        entry = Entry(key, value, f"{number:020d}")
        if self._world.bug == "loses_writes" and number % 50 == 0:
            return entry.revision
        self._world.apply(self._region, bucket, entry)
        links = [link for link in self._world.topology.links if link.source == self._region]
        sent = [self._world.send(link, bucket, entry) for link in links]
        if self._world.bug == "spreads":
            await asyncio.wait(sent)
        return entry.revision

    async def get(self, bucket: str, key: str) -> Entry | None:
        await asyncio.sleep(0.0005)
        return self._world.tables[self._region].get((bucket, key))

    async def delete(self, bucket: str, key: str) -> None:
        self._world.tables[self._region].pop((bucket, key), None)

    async def create(self, bucket: str, key: str, value: str) -> str:
        if (bucket, key) in self._world.tables[self._region]:
            raise OperationFailed("wrong_revision")
        return await self.put(bucket, key, value)

    async def update(self, bucket: str, key: str, value: str, revision: str) -> str:
        present = self._world.tables[self._region].get((bucket, key))
        if present is None or present.revision != revision:
            raise OperationFailed("wrong_revision")
        return await self.put(bucket, key, value)

    async def keys(self, bucket: str) -> list[str]:
        return sorted(key for held, key in self._world.tables[self._region] if held == bucket)

    @asynccontextmanager
    async def watch(self, bucket: str, pattern: str) -> AsyncIterator[AsyncIterator[Entry | None]]:
        queue: asyncio.Queue[Entry] = asyncio.Queue()
        watching = (bucket, pattern, queue)
        self._world.watchers[self._region].append(watching)
        try:
            yield self._entries(bucket, pattern, queue)
        finally:
            with contextlib.suppress(ValueError):
                self._world.watchers[self._region].remove(watching)

    async def _entries(self, bucket: str, pattern: str, queue: asyncio.Queue[Entry]) -> AsyncIterator[Entry | None]:
        await asyncio.sleep(0.001)
        for (held, key), entry in list(self._world.tables[self._region].items()):
            if held == bucket and _matches(key, pattern):
                yield entry
        yield None
        while True:
            yield await queue.get()


def _matches(key: str, pattern: str) -> bool:
    """NATS subjects: `*` is one token, `>` is everything."""
    return fnmatch.fnmatch(key, pattern.replace(">", "*"))
