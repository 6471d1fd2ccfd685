"""Engines wired in one process: no sockets, no tasks, a clock that moves when told to.

What the tests of the sans-IO core share. Frames arrive at once and in order; disks sync at once unless
told otherwise. For faults, delays and many seeds there is the simulator; this is for one idea at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from lab.syncstore.config import Config, Limits
from lab.syncstore.engine import Engine
from lab.syncstore.ports import Moment
from lab.syncstore.record import Record
from lab.syncstore.version import origin
from lab.syncstore.wire import array_of, decode, encode_record
from tests.syncstore.engine_client import LWW, Client

WALL_MS = 1_790_000_000_000
STEP_MS = 5.0
LOCAL = "region/lww/things"
REGISTER = "global/register/things"
ONE = {"r": ("a", "b", "c")}
TWO = {"r": ("a", "b"), "s": ("x", "y")}


def incarnation(number: int) -> str:
    return f"{number:028x}"


def origin_of(node: str, number: int = 1, region: str = "r") -> str:
    return origin(region, node, incarnation(number))


def record(
    key: str,
    value: bytes | None = b"v",
    time: int = 1,
    *,
    of: str = "",
    sequence: int = 1,
    bucket: str = LWW,
    expires: int = 0,
    counter: int = 0,
    maker: str = "",
) -> Record:
    of = of or origin_of("a")
    return Record(sequence, bucket, key, value, time, counter, expires, maker or of, of)


def raw(*records: Record) -> Any:
    return array_of([encode_record(one) for one in records])


class Disk:
    """holding: syncs do not end. failing: they end as errors."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.synced = 0
        self.holding = self.failing = False

    def append(self, payload: bytes) -> int:
        self.entries.append(payload)
        return len(self.entries)

    def write_unsynced(self) -> int:
        return self.synced if self.failing else len(self.entries)

    def recovered(self) -> list[tuple[str, bytes]]:
        return [("entry", one) for one in self.entries]


class Outlet:
    def __init__(self, net: Net, node: str) -> None:
        self._net, self._node = net, node
        self.closed: list[tuple[int, str]] = []
        self.full: set[int] = set()
        """Links whose sockets take nothing."""

    def send(self, link: int, body: bytes) -> None:
        self._net.send(self._node, link, body)

    def unsent(self, link: int) -> int:
        return 2**30 if link in self.full else 0

    def close(self, link: int, why: str) -> None:
        self.closed.append((link, why))
        self._net.dropping.append((self._node, link))

    def dial(self, node: str, purpose: str) -> None:
        self._net.dials.append((self._node, node, purpose))

    def bits(self) -> int:
        return self._net.random.getrandbits(64)


class Net:
    """members: region → nodes. `run` lets time pass; `settle` delivers what is under way without that."""

    def __init__(
        self, members: dict[str, tuple[str, ...]] | None = None, seed: int = 1, *, start: bool = True, **limits: Any
    ) -> None:
        self.members = members or ONE
        self.limits = replace(Limits(), **limits)
        self.random = Random(seed)
        self.now_ms = 1000.0
        self.skew_ms: dict[str, int] = {}
        self.engines: dict[str, Engine] = {}
        self.disks: dict[str, Disk] = {}
        self.outlets: dict[str, Outlet] = {}
        self.dials: list[tuple[str, str, str]] = []
        self.dropping: list[tuple[str, int]] = []
        self.links: dict[tuple[str, int], tuple[str, int]] = {}
        self.clients: dict[tuple[str, int], Client] = {}
        self.told: list[str] = []
        self.closed: list[tuple[str, str]] = []
        self.sniffed: Callable[[str, str, bytes], bytes | None] = lambda sender, to, body: body
        """Sees every frame between nodes, and says what arrives in its place. `sending`: the sender's link."""
        self.sending = 0
        self._cut: set[frozenset[str]] = set()
        self._queue: deque[tuple[str, int, bytes]] = deque()
        self._numbers = 0
        self.regions = {node: region for region, nodes in self.members.items() for node in nodes}
        for node in self.regions:
            self.disks[node] = Disk()
            if start:
                self.start(node)

    # -- nodes -------------------------------------------------------------------------------------

    def config(self, node: str) -> Config:
        return Config("test", self.regions[node], node, self.members, limits=self.limits)

    def moment(self, node: str) -> Moment:
        return Moment(self.now_ms, WALL_MS + int(self.now_ms) + self.skew_ms.get(node, 0))

    def start(self, node: str, *, blank: bool | None = None) -> Engine:
        outlet = self.outlets[node] = Outlet(self, node)
        disk = self.disks[node]
        engine = Engine(self.config(node), outlet, disk)
        engine.start(self.moment(node), disk.recovered(), not disk.entries if blank is None else blank)
        self.engines[node] = engine
        return engine

    def stop(self, node: str) -> None:
        """kill −9."""
        del self.engines[node]
        for at in [one for one in self.links if one[0] == node]:
            self.end(*at)
        self._queue = deque(one for one in self._queue if one[0] != node)
        for at in [one for one in self.clients if one[0] == node]:
            self.clients.pop(at).gone = True

    def restart(self, node: str, *, blank: bool = False) -> Engine:
        if node in self.engines:
            self.stop(node)
        if blank:
            self.disks[node] = Disk()
        return self.start(node)

    # -- links -------------------------------------------------------------------------------------

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def cut(self, one: str, other: str) -> None:
        self._cut.add(frozenset((one, other)))
        for (node, number), (to, _) in list(self.links.items()):
            if {node, to} == {one, other} and (node, number) in self.links:
                self.end(node, number)

    def cut_region(self, region: str) -> None:
        for node in self.members[region]:
            for other in self.regions:
                if self.regions[other] != region:
                    self.cut(node, other)

    def heal(self) -> None:
        self._cut.clear()

    def end(self, node: str, number: int) -> None:
        other = self.links.pop((node, number), None)
        if other is not None:
            self.links.pop(other, None)
        self.clients.pop((node, number), None)
        for at in ((node, number), other):
            if at is not None and at[0] in self.engines:
                self.engines[at[0]].closed(self.moment(at[0]), at[1])

    def send(self, node: str, link: int, body: bytes) -> None:
        client = self.clients.get((node, link))
        if client is not None:
            client.take(decode(body))
            return
        to = self.links.get((node, link))
        if to is not None:
            self.sending = link
            changed = self.sniffed(node, to[0], body)
            if changed is not None:
                self._queue.append((*to, changed))

    def inject(self, sender: str, to: str, body: bytes) -> None:
        """As if `sender` had said it."""
        number = next(number for (one, number), (other, _) in self.links.items() if (one, other) == (to, sender))
        self._queue.append((to, number, body))
        self.settle()

    # -- time --------------------------------------------------------------------------------------

    def settle(self) -> None:
        for _ in range(10_000):
            if not self._once():
                return
        raise AssertionError("the engines never come to rest")

    def _once(self) -> bool:
        moved = self._dialled()
        queue, self._queue = self._queue, deque()
        for node, link, body in queue:
            if node in self.engines:
                self.engines[node].received(self.moment(node), link, body)
                moved = True
        for node, engine in self.engines.items():
            now = self.moment(node)
            engine.flush(now)
            if engine.work(now):
                moved = True
            engine.flush(now)
            self._synced(node, now)
            self.told += engine.take_told()
        dropping, self.dropping = self.dropping, []
        if dropping and self._queue:
            self.dropping = dropping  # what was sent goes first
            return True
        for at in dropping:
            self.closed.append((at[0], next(why for one, why in self.outlets[at[0]].closed if one == at[1])))
            self.end(*at)
            moved = True
        return moved or bool(self._queue or self.dials)

    def _dialled(self) -> bool:
        dials, self.dials = self.dials, []
        for node, other, purpose in dials:
            if node not in self.engines:
                continue
            if other not in self.engines or frozenset((node, other)) in self._cut:
                self.engines[node].dial_failed(self.moment(node), other, purpose)
                continue
            one, two = (node, self.number()), (other, self.number())
            self.links[one], self.links[two] = two, one
            self.engines[node].opened(self.moment(node), one[1], purpose, other)
            self.engines[other].opened(self.moment(other), two[1], purpose, "")
        return bool(dials)

    def _synced(self, node: str, now: Moment) -> None:
        disk, engine = self.disks[node], self.engines[node]
        if disk.holding or not engine.wants_sync(now):
            return
        if disk.failing:
            engine.sync_failed(now, "no space left")
        else:
            disk.synced = len(disk.entries)
            engine.synced(now, disk.synced)
        engine.flush(now)

    def run(self, ms: float, step_ms: float = STEP_MS) -> None:
        until = self.now_ms + ms
        while self.now_ms < until:
            self.now_ms += step_ms
            for node, engine in list(self.engines.items()):
                engine.wake(self.moment(node))
            self.settle()

    def until(self, true: Callable[[], object], at_most_ms: float = 20_000) -> float:
        """Ms that passed until it was true."""
        began = self.now_ms
        self.settle()
        while not true():
            if self.now_ms - began > at_most_ms:
                raise AssertionError(f"not within {at_most_ms} ms")
            self.run(STEP_MS)
        return self.now_ms - began

    def ready(self) -> Net:
        """Run until every node serves and hears every region."""
        self.until(lambda: all(one.ready for one in self.engines.values()))
        self.run(1500)
        return self

    # -- looking -----------------------------------------------------------------------------------

    def client(self, node: str, roles: frozenset[str] = frozenset()) -> Client:
        return Client(self, node, roles)

    def at(self, node: str, key: str, bucket: str = LWW) -> Record | None:
        return self.engines[node].replicas[bucket.partition("/")[0]].table.get(bucket, key)

    def values(self, key: str, bucket: str = LWW) -> dict[str, bytes | None]:
        found = {node: self.at(node, key, bucket) for node in self.engines}
        return {node: one.value if one is not None else None for node, one in found.items()}

    def equal(self, scope: str = "global", nodes: Iterator[str] | None = None) -> bool:
        digests = {self.engines[node].replicas[scope].table.digest.whole() for node in nodes or self.engines}
        return len(digests) == 1

    def alike(self) -> bool:
        """All equal in what crosses regions, each region in the rest, and nobody says otherwise."""
        regions = all(self.equal("region", iter(nodes)) for nodes in self.members.values())
        return self.equal() and regions and self.counted("divergence") == 0

    def counted(self, name: str) -> int:
        return sum(one.counters[name] for one in self.engines.values())
