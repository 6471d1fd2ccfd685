"""A small world in virtual time for the registers alone: nodes of one region, their disks, clients, faults.

One (profile, seed) is one world, exactly. The engine's part (a table, its replication, acknowledgement) is
stood in for by `Node`. What the clients saw becomes a history for the checker; what must hold at every
moment is noted in `World.broken` when it doesn't.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from lab.syncstore.config import Config, Limits
from lab.syncstore.ports import Moment
from lab.syncstore.record import Record, later
from lab.syncstore.registers import Registers
from lab.syncstore.version import NO_VERSION, Version, incarnation, origin, version_of
from lab.syncstore.wire import Reply, Request, Seen

BUCKET = "global/register/world"
EPOCH_MS = 1_700_000_000_000
LIMITS = Limits(write_timeout_ms=600, finish_after_ms=200, token_lives_ms=1000, slice_records=3)
CALM = 1e12


@dataclass(frozen=True)
class Profile:
    """Means between faults of a kind, in ms; CALM for none. weights: of the operations."""

    nodes: int = 3
    clients: int = 3
    keys: int = 2
    length_ms: float = 3000
    think_ms: float = 60
    weights: dict[str, int] = field(
        default_factory=lambda: {"get": 30, "put": 15, "delete": 15, "create": 20, "update": 20}
    )
    crash_ms: float = CALM
    down_ms: tuple[float, float] = (20, 400)
    blank: float = 0.0
    """Of the crashes, so many lose the disk."""
    old_disk: float = 0.0
    """Of the crashes, so many come back with an old copy of the disk."""
    cut_ms: float = CALM
    gray_ms: float = CALM
    """One direction of a link loses everything, and nobody is told."""
    slow_ms: float = CALM
    slow_most_ms: float = 400
    pause_ms: float = CALM
    pause_most_ms: float = 500
    loss: float = 0.0
    skew_ms: float = 0.0
    foreign_ms: float = CALM
    sync_ms: tuple[float, float] = (0.2, 2.0)
    tokens: float = 0.8
    sticky: float = 0.3
    """How likely a client stays at its node."""
    torn_members: bool = False
    limits: Limits = LIMITS


ONE_BY_ONE = replace(LIMITS, slice_records=1)
FORGETFUL = replace(LIMITS, register_forget_ms=1300)
PROFILES = {
    "calm": Profile(),
    "crashes": Profile(crash_ms=500, cut_ms=1500, sync_ms=(0.5, 20)),
    "blank": Profile(crash_ms=400, blank=0.6, slow_ms=500, sync_ms=(0.5, 10), down_ms=(5, 150)),
    "blank5": Profile(nodes=5, crash_ms=400, blank=0.6, slow_ms=500, cut_ms=1500, down_ms=(5, 150)),
    "old disk": Profile(crash_ms=500, old_disk=0.7, cut_ms=1200, sync_ms=(0.5, 10), down_ms=(5, 100), length_ms=6000),
    "partitions": Profile(nodes=5, cut_ms=150, gray_ms=500, loss=0.01),
    "partitions3": Profile(cut_ms=250, gray_ms=400, slow_ms=600, loss=0.01),
    "pauses": Profile(pause_ms=200, slow_ms=600, skew_ms=300),
    "copies": Profile(
        keys=5, crash_ms=120, blank=0.9, cut_ms=200, down_ms=(1, 30), length_ms=3000, limits=ONE_BY_ONE, slow_ms=300,
    ),
    "copies5": Profile(nodes=5, crash_ms=80, blank=0.9, cut_ms=150, down_ms=(1, 60), length_ms=3000, gray_ms=200),
    "old disks": Profile(crash_ms=250, old_disk=0.9, cut_ms=150, down_ms=(1, 30), length_ms=6000, gray_ms=300),
    "crash duel": Profile(
        keys=1, clients=4, think_ms=5, length_ms=500, crash_ms=50, down_ms=(1, 5), sync_ms=(0.5, 20), slow_ms=100,
        slow_most_ms=60, sticky=0.0,
    ),
    "quiet": Profile(
        keys=8, think_ms=150, crash_ms=150, down_ms=(20, 300), length_ms=1500, foreign_ms=200, slow_ms=200, gray_ms=200,
        weights={"get": 10, "put": 40, "delete": 15, "create": 20, "update": 5},
    ),
    "foreign": Profile(foreign_ms=150, skew_ms=300, crash_ms=1000, cut_ms=800, slow_ms=200, gray_ms=800, think_ms=40),
    "ghosts": Profile(
        nodes=5, keys=1, crash_ms=150, blank=0.95, slow_ms=40, down_ms=(1, 10), sync_ms=(0.2, 1), length_ms=2000,
        think_ms=25,
    ),
    "forget": Profile(
        keys=6, slow_ms=1000, slow_most_ms=3500, crash_ms=4000, blank=0.5, pause_ms=5000, pause_most_ms=2500,
        cut_ms=8000, length_ms=15000, think_ms=400, limits=FORGETFUL,
        weights={"get": 45, "put": 10, "delete": 20, "create": 20, "update": 5},
    ),
    "duel": Profile(keys=1, clients=4, think_ms=5, length_ms=300, gray_ms=500, sticky=0.0),
    "torn": Profile(nodes=5, torn_members=True, cut_ms=500, think_ms=40, length_ms=2000),
    "mixed": Profile(
        crash_ms=900, blank=0.3, old_disk=0.2, cut_ms=800, gray_ms=1500, slow_ms=1200, pause_ms=900, loss=0.005,
        skew_ms=200, foreign_ms=800,
    ),
    "mixed5": Profile(
        nodes=5, crash_ms=600, blank=0.3, old_disk=0.2, cut_ms=600, gray_ms=1500, slow_ms=1200, pause_ms=900,
        loss=0.005, skew_ms=200, foreign_ms=800,
    ),
}  # fmt: skip


class Node:
    """A node's stand-in for engine, disk and process. The log survives; everything else is the process's."""

    def __init__(self, world: World, name: str, config: Config, skew_ms: float) -> None:
        self.world, self.name, self.config, self.skew_ms = world, name, config, skew_ms
        self.random = world.stream(f"node {name}")
        self.log: list[bytes | Record] = []
        self.synced = 0
        self.old_logs: list[tuple[float, list[bytes | Record]]] = []
        self.has_old_disk = False
        self.epoch = 0
        self.alive = False
        self.incarnation = ""
        self.registers: Registers
        self.paused_until = 0.0
        self._paused_at = 0.0
        self._backlog: list[tuple[bool, Callable[[], None]]] = []

    # -- the process -------------------------------------------------------------------------------------

    def start(self) -> None:
        self.epoch += 1
        self.alive, self.paused_until, self._backlog = True, 0.0, []
        self.incarnation = incarnation(self.now.wall_ms, self.random.getrandbits(64), self.incarnation)
        self.origin = origin(self.config.region, self.name, self.incarnation)
        self.table: dict[str, Record] = {}
        self.last = NO_VERSION
        self.sequence = 0
        self._syncing = False
        self._wake_at = CALM
        self._writes: dict[int, dict[str, Any]] = {}
        self.registers = Registers(self.config, self.incarnation, self)
        for entry in self.log:
            if isinstance(entry, Record):
                self._merge(entry)
            else:
                self.registers.restore(entry)
        self.registers.start(self.now)
        for record in list(self.table.values()):
            if self._is_foreign(record):
                self.registers.foreign(self.now, BUCKET, record.key)
        self._after()

    def crash(self) -> None:
        """The process is gone, and what was not synced, but perhaps for a beginning of it."""
        self.alive = False
        self.epoch += 1
        keep = self.random.randint(self.synced, len(self.log))
        del self.log[keep:]
        self.synced = len(self.log)

    def pause(self, length_ms: float) -> None:
        self._paused_at = self.world.now_ms
        self.paused_until = self.world.now_ms + length_ms
        self.world.at(length_ms, self._resume)

    def _resume(self) -> None:
        if not self.alive or self.world.now_ms < self.paused_until:
            return
        stood_still = self.world.now_ms - self._paused_at > self.config.limits.token_lives_ms
        backlog, self._backlog = self._backlog, []
        for is_request, action in backlog:
            if not (is_request and stood_still):
                self.run(action, self.epoch)
        self._after()

    def run(self, action: Callable[[], None], epoch: int, is_request: bool = False) -> None:
        """Have the process do something, now or when it goes on; nothing if it is another process by then."""
        if not self.alive or epoch != self.epoch:
            return
        if self.world.now_ms < self.paused_until:
            self._backlog.append((is_request, action))
            return
        action()
        self._after()

    @property
    def now(self) -> Moment:
        return Moment(self.world.now_ms, int(EPOCH_MS + self.world.now_ms + self.skew_ms))

    def _after(self) -> None:
        if not self._syncing and self.synced < len(self.log):
            self._syncing = True
            target, epoch = len(self.log), self.epoch
            delay_ms = self.random.uniform(*self.world.profile.sync_ms)
            self.world.at(delay_ms, lambda: self._reaches_disk(target, epoch))
        wake = self.registers.next_wake_ms
        if wake < self._wake_at:
            self._wake_at = wake
            epoch = self.epoch
            self.world.at(max(0.0, wake - self.world.now_ms), lambda: self.run(self._wake, epoch))

    def _wake(self) -> None:
        self._wake_at = CALM
        self.registers.wake(self.now)

    def _reaches_disk(self, target: int, epoch: int) -> None:
        if epoch == self.epoch:
            self.synced = max(self.synced, target)
            self.run(self._synced, epoch)

    def _synced(self) -> None:
        self._syncing = False
        self.registers.durable(self.now, self.synced)
        for number in list(self._writes):
            self._acknowledge(number)

    def is_sound(self) -> bool:
        """Whether it votes with a whole memory: an old disk was noticed and made good."""
        seat = self.registers._seat
        if seat.start.seat == seat.seat:
            self.has_old_disk = False
        return seat.votes and not self.has_old_disk

    # -- RegistersPort -----------------------------------------------------------------------------------

    def send(self, node: str, body: bytes) -> None:
        self.world.send(self, node, body)

    def persist(self, payload: bytes) -> int:
        self.log.append(payload)
        return len(self.log)

    def bits(self) -> int:
        return self.random.getrandbits(64)

    def version(self, now: Moment, above: Version) -> Version:
        highest = max(self.last, above)
        time, counter = (now.wall_ms, 0) if now.wall_ms > highest.time else (highest.time, highest.counter + 1)
        self.last = Version(time, counter, self.origin)
        return self.last

    def table_record(self, bucket: str, key: str) -> Record | None:
        return self.table.get(key)

    def write(
        self,
        bucket: str,
        key: str,
        value: bytes | None,
        expires: int,
        version: Version,
        done: Callable[[bool], None],
    ) -> None:
        self.sequence += 1
        number = self.sequence
        record = Record(number, bucket, key, value, version.time, version.counter, expires, version.maker, self.origin)
        self.log.append(record)
        self._merge(record)
        self._writes[number] = {"position": len(self.log), "held": False, "late": False, "done": done}
        for peer in self.config.peers:
            self.world.send(self, peer, ("record", record))
        epoch = self.epoch
        self.world.at(50, lambda: self.run(lambda: self._acknowledge(number, late=True), epoch))

    def _acknowledge(self, number: int, *, held: bool = False, late: bool = False) -> None:
        write = self._writes.get(number)
        if write is None:
            return
        write["held"] |= held
        write["late"] |= late
        if write["position"] <= self.synced and (write["held"] or write["late"]):
            del self._writes[number]
            write["done"](not write["held"])

    # -- the table ---------------------------------------------------------------------------------------

    def _merge(self, record: Record) -> bool:
        present = self.table.get(record.key)
        if present is not None and not later(record, present):
            return False
        self.table[record.key] = record
        return True

    def _is_foreign(self, record: Record) -> bool:
        return not (record.maker or "").startswith(f"{self.config.region}/")

    def take(self, record: Record) -> None:
        if self._merge(record):
            self.log.append(record)
            if self._is_foreign(record):
                self.registers.foreign(self.now, BUCKET, record.key)

    def received(self, node: str, message: Any) -> None:
        if isinstance(message, bytes):
            self.registers.received(self.now, node, message)
        elif message[0] == "record":
            self.take(message[1])
            self.world.send(self, node, ("held", message[1].origin, message[1].sequence))
        elif message[1] == self.origin:
            self._acknowledge(message[2], held=True)

    def peer_up(self, node: str, same_members: bool) -> None:
        self.registers.peer_up(self.now, node, same_members)
        for record in self.table.values():
            self.world.send(self, node, ("record", record))

    def tell_everything(self) -> None:
        """Records lost on gray links come late: the engine's deltas, which are not what is looked at here."""
        for peer in self.config.peers:
            for record in self.table.values():
                self.world.send(self, peer, ("record", record))

    def version_of(self, key: str) -> Version:
        record = self.table.get(key)
        return record.version if record is not None else NO_VERSION


class World:
    def __init__(self, profile: Profile | str, seed: int) -> None:
        self.profile = PROFILES[profile] if isinstance(profile, str) else profile
        self.seed = seed
        self.now_ms = 0.0
        self.history: list[dict[str, Any]] = []
        self.broken: list[str] = []
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.random = self.stream("faults")
        self._delays = self.stream("delays")
        self._last_delivery: dict[tuple[str, str], float] = defaultdict(float)
        self._cut: dict[tuple[str, str], int] = defaultdict(int)
        self._gray: dict[tuple[str, str], float] = defaultdict(float)
        self._slow: dict[tuple[str, str], tuple[float, float]] = {}
        self.values = count(1)
        names = tuple("abcde"[: self.profile.nodes])
        self.nodes: dict[str, Node] = {}
        for name in names:
            mine = names[:3] if self.profile.torn_members and name in names[:3] else names
            config = Config("test", "here", name, {"here": mine}, limits=self.profile.limits)
            skew_ms = self.random.uniform(-self.profile.skew_ms, self.profile.skew_ms)
            self.nodes[name] = Node(self, name, config, skew_ms)
        self.keys = [f"k{number}" for number in range(self.profile.keys)]
        self.calm = False
        self.clients = [Client(self, f"c{number}") for number in range(self.profile.clients)]

    def stream(self, label: str) -> random.Random:
        return random.Random(f"{self.seed}/{label}")

    def at(self, delay_ms: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now_ms + delay_ms, next(self._order), action))

    def open(self, *names: str) -> World:
        """Start these nodes, or all, and let them meet."""
        for name in names or self.nodes:
            self._start(name)
        self.pass_ms(40)
        return self

    def pass_ms(self, length_ms: float) -> None:
        self._until(self.now_ms + length_ms)

    def ask(self, name: str, op: str, key: str = "k", patience_ms: float = 3000, **more: Any) -> Reply:
        """One request at a node, its reply waited for."""
        replies: list[Reply] = []
        node = self.nodes[name]
        node.run(
            lambda: node.registers.request(node.now, Request(1, op, BUCKET, key, **more), replies.append), node.epoch
        )
        end_ms = self.now_ms + patience_ms
        while not replies and self.now_ms < end_ms:
            self.pass_ms(1)
        return replies[0]

    def run(self) -> World:
        for name in self.nodes:
            self._start(name)
        for client in self.clients:
            self.at(30 + self.random.uniform(0, 20), client.next)
        self._arm_faults()
        self._until(self.profile.length_ms)
        self._heal()
        self._until(self.profile.length_ms + 200)
        for client in self.clients:
            client.stop()
        self._until(self.now_ms + 6 * self.profile.limits.finish_after_ms + 3000)
        self._look_at_the_end()
        return self

    def _until(self, end_ms: float) -> None:
        while self._heap and self._heap[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._heap)
            action()
        self.now_ms = end_ms

    # -- the network -------------------------------------------------------------------------------------

    def connected(self, a: str, b: str) -> bool:
        return self.nodes[a].alive and self.nodes[b].alive and not self._cut[min(a, b), max(a, b)]

    def send(self, source: Node, target: str, message: Any) -> None:
        link = (source.name, target)
        if not self.connected(*link) or self._gray[link] > self.now_ms:
            return
        if self._delays.random() < self.profile.loss and not self.calm:
            return
        node = self.nodes[target]
        arrives_ms = max(self._last_delivery[link], self.now_ms + self._delay_ms(link))
        self._last_delivery[link] = arrives_ms
        epoch, name = node.epoch, source.name
        self.at(arrives_ms - self.now_ms, lambda: node.run(lambda: node.received(name, message), epoch))

    def _delay_ms(self, link: tuple[str, str]) -> float:
        until_ms, most_ms = self._slow.get(link, (0.0, 0.0))
        if self.now_ms < until_ms:
            return self._delays.uniform(0.3, most_ms)
        return self._delays.uniform(0.3, 1.5)

    def _connect(self, a: str, b: str) -> None:
        if not self.connected(a, b):
            return
        same = self.nodes[a].config.members_hash == self.nodes[b].config.members_hash
        for one, other in ((a, b), (b, a)):
            node = self.nodes[one]
            node.run(lambda node=node, other=other: node.peer_up(other, same), node.epoch)  # type: ignore[misc]

    def _disconnect(self, a: str, b: str) -> None:
        for one, other in ((a, b), (b, a)):
            node = self.nodes[one]
            if node.alive and not self.connected(a, b):
                node.run(lambda node=node, other=other: node.registers.peer_down(node.now, other), node.epoch)  # type: ignore[misc]

    # -- faults ------------------------------------------------------------------------------------------

    def _arm_faults(self) -> None:
        profile = self.profile
        for mean_ms, fault in (
            (profile.crash_ms, self._crash),
            (profile.cut_ms, self._cut_links),
            (profile.gray_ms, self._gray_link),
            (profile.slow_ms, self._slow_link),
            (profile.pause_ms, self._pause),
            (profile.foreign_ms, self._foreign),
            (400.0 if profile.old_disk else CALM, self._copy_disk),
        ):
            if mean_ms < CALM:
                self._again(mean_ms, fault)

    def _again(self, mean_ms: float, fault: Callable[[], None]) -> None:
        def strike() -> None:
            if not self.calm:
                fault()
                self._again(mean_ms, fault)

        self.at(self.random.expovariate(1 / mean_ms), strike)

    def _any(self) -> Node:
        return self.random.choice(list(self.nodes.values()))

    def _start(self, name: str) -> None:
        node = self.nodes[name]
        if node.alive:
            return
        node.start()
        for other in self.nodes:
            if other != name:
                self.at(self.random.uniform(1, 10), lambda other=other: self._connect(name, other))  # type: ignore[misc]

    def crash(self, name: str) -> None:
        self.nodes[name].crash()
        for other in self.nodes:
            if other != name:
                self.at(self.random.uniform(1, 20), lambda other=other: self._disconnect(name, other))  # type: ignore[misc]

    def start(self, name: str) -> None:
        self._start(name)

    def cut(self, *pairs: tuple[str, str]) -> None:
        for pair in pairs:
            self._cut[pair] += 1
            self._disconnect(*pair)

    def _crash(self) -> None:
        node = self._any()
        may_lose = self._may_lose_a_disk(node)
        if not node.alive or not may_lose:
            return
        kind = self.random.random()
        self.crash(node.name)
        if kind < self.profile.blank:
            node.log, node.synced, node.old_logs, node.has_old_disk = [], 0, [], False
        elif kind < self.profile.blank + self.profile.old_disk:
            self._restore_old(node)
        self.at(self.random.uniform(*self.profile.down_ms), lambda: self._start(node.name))

    def _may_lose_a_disk(self, node: Node) -> bool:
        """Only a minority is ever without its memory (nor down, so that operations go on)."""
        others = [one for one in self.nodes.values() if one is not node]
        return sum(one.alive and one.is_sound() for one in others) >= len(self.nodes) // 2 + 1

    def _copy_disk(self) -> None:
        node = self._any()
        if node.alive and node.is_sound():
            node.old_logs.append((self.now_ms, node.log[: node.synced]))

    def _restore_old(self, node: Node) -> None:
        """A copy of which every other node durably remembers that it is old."""
        if not node.old_logs:
            return
        log = self.random.choice(node.old_logs)[1]
        old = _mark(node.config, node, log)
        for other in self.nodes.values():
            if other is not node and not _remembered(other, node.name) > old:
                return
        node.log, node.synced, node.has_old_disk = list(log), len(log), True

    def _cut_links(self) -> None:
        names = list(self.nodes)
        apart = set(self.random.sample(names, self.random.randint(1, len(names) // 2)))
        pairs = [(a, b) for a in names for b in names if a < b and (a in apart) != (b in apart)]
        if self.random.random() < 0.3:
            pairs = [self.random.choice(pairs)]
        for pair in pairs:
            self._cut[pair] += 1
            self.at(self.random.uniform(2, 40), lambda pair=pair: self._disconnect(*pair))  # type: ignore[misc]
        self.at(self.random.uniform(20, 500), lambda: self._join(pairs))

    def _join(self, pairs: list[tuple[str, str]]) -> None:
        for pair in pairs:
            self._cut[pair] = max(0, self._cut[pair] - 1)
            if not self._cut[pair]:
                self.at(self.random.uniform(1, 20), lambda pair=pair: self._connect(*pair))  # type: ignore[misc]

    def _link(self) -> tuple[str, str]:
        a, b = self.random.sample(list(self.nodes), 2)
        return a, b

    def _gray_link(self) -> None:
        self._gray[self._link()] = self.now_ms + self.random.uniform(20, 600)

    def _slow_link(self) -> None:
        """One link's, or all that a node sends."""
        most_ms = self.random.uniform(20, self.profile.slow_most_ms)
        until_ms = self.now_ms + self.random.uniform(50, 800)
        source, target = self._link()
        targets = [target] if self.random.random() < 0.7 else [one for one in self.nodes if one != source]
        for one in targets:
            self._slow[source, one] = (until_ms, most_ms)

    def _pause(self) -> None:
        node = self._any()
        if node.alive and node.paused_until < self.now_ms:
            node.pause(self.random.uniform(10, self.profile.pause_most_ms))

    def _foreign(self) -> None:
        """A record of another region arrives at one node, which passes it on."""
        node, key = self._any(), self.random.choice(self.keys)
        if not node.alive:
            return
        time = int(EPOCH_MS + self.now_ms + self.random.uniform(-200, 200))
        version = Version(time, next(self.values), origin("there", "x", "0" * 28))
        value = None if self.random.random() < 0.2 else f"foreign{next(self.values)}".encode()
        record = Record(next(self.values), BUCKET, key, value, *version[:2], 0, version.maker, version.maker)
        op = {"op": "put", "value": value.decode()} if value is not None else {"op": "delete"}
        self.note(process="there", key=key, call=self.now_ms, result="indefinite", revision=str(version), **op)

        def arrive() -> None:
            node.take(record)
            for peer in node.config.peers:
                self.send(node, peer, ("record", record))

        node.run(arrive, node.epoch)

    def _heal(self) -> None:
        self.calm = True
        for name in self.nodes:
            self._start(name)
        for a in self.nodes:
            for b in self.nodes:
                if a < b and self._cut[a, b]:
                    self._cut[a, b] = 0
                    self._connect(a, b)
                self._gray[a, b] = 0.0
                self._slow.pop((a, b), None)
        for node in self.nodes.values():
            self.at(100, lambda node=node: node.run(node.tell_everything, node.epoch))  # type: ignore[misc]

    # -- what is noted -----------------------------------------------------------------------------------

    def note(self, *, process: str, key: str, call: float, result: str, back: float | None = None, **more: Any) -> None:
        line = {"process": f"{self.seed}/{process}", "key": f"{self.seed}/{key}", "result": result, **more}
        line["call_ns"] = int(call * 1e6)
        if result != "indefinite":
            line["return_ns"] = int((self.now_ms if back is None else back) * 1e6)
        self.history.append(line)

    def breaks(self, sentence: str) -> None:
        self.broken.append(f"seed {self.seed} at {self.now_ms:.1f} ms: {sentence}")

    def _look_at_the_end(self) -> None:
        """All is well again: every node answers, and its table holds what it answers."""
        if self.profile.torn_members:
            return
        readers = [Client(self, f"end {name}") for name in self.nodes]
        for key in self.keys:
            for reader, node in zip(readers, self.nodes.values(), strict=True):
                reply = reader.read_once(node, key)
                if reply is None or reply.error:
                    self.breaks(f"{node.name} does not answer for {key} in the end: {reply}")
                    continue
                held = node.table.get(key)
                version = held.version if held is not None and held.value is not None else NO_VERSION
                if (version_of(reply.revision) if reply.revision else NO_VERSION) != version:
                    self.breaks(f"{node.name}'s table has {key} at {version}, the register is {reply.revision}")


def _mark(config: Config, node: Node, log: list[bytes | Record]) -> tuple[str, int]:
    registers = Registers(config, "", node)
    for entry in log:
        if isinstance(entry, bytes):
            registers.restore(entry)
    return registers._seat.seat, registers._seat.count


def _remembered(node: Node, of: str) -> tuple[str, int]:
    registers = Registers(node.config, "", node)
    for entry in node.log[: node.synced]:
        if isinstance(entry, bytes):
            registers.restore(entry)
    return registers._seat.known.get(of, ("", 0))


class Client:
    """One operation at a time; an indefinite one that carries a token is tried again elsewhere."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.random = world.stream(f"client {name}")
        self.revisions: dict[str, str] = {}
        self.seen: dict[str, Version] = {}
        self.node = self.random.choice(list(world.nodes))
        self.stopped = False
        self._numbers = count(1)
        self._waits_for = 0

    def next(self) -> None:
        if self.stopped:
            return
        weights = self.world.profile.weights
        op = self.random.choices(list(weights), list(weights.values()))[0]
        self.key = self.random.choice(self.world.keys)
        if op == "update" and self.key not in self.revisions:
            op = "get"
        self.op, self.called_ms = op, self.world.now_ms
        self.value = f"v{next(self.world.values)}" if op in ("put", "create", "update") else ""
        self.revision = self.revisions.get(self.key, "") if op == "update" else ""
        has_token = op != "get" and self.random.random() < self.world.profile.tokens
        self.token = self.random.getrandbits(128).to_bytes(16, "big") if has_token else b""
        self.doubt = False
        if self.random.random() < 0.15:
            self._look_at_a_table()
        self._try()

    def _look_at_a_table(self) -> None:
        """A stale read: from now on this session's reads and writes are above what it saw."""
        node = self.world.nodes[self.node]
        if node.alive:
            self.seen[self.key] = max(self.seen.get(self.key, NO_VERSION), node.version_of(self.key))

    def stop(self) -> None:
        """What is under way now may still happen, at any time."""
        if not self.stopped and self._waits_for:
            self._end("indefinite")
        self.stopped = True

    def _try(self) -> None:
        world = self.world
        if self.random.random() > world.profile.sticky:
            self.node = self.random.choice(list(world.nodes))
        node, number, timeout_ms = world.nodes[self.node], next(self._numbers), self.random.randint(100, 400)
        self._waits_for = number
        seen = self.seen.get(self.key)
        request = Request(
            number, self.op, BUCKET, self.key, self.value.encode(), 0, self.revision, self.token,
            Seen(*seen, "", 0) if seen else None, timeout_ms=timeout_ms,
        )  # fmt: skip
        epoch = node.epoch
        first = not self.doubt
        there = lambda: node.run(lambda: self._arrive(node, request, first), epoch, is_request=True)  # noqa: E731
        world.at(self.random.uniform(0.1, 1), there)
        if node.alive:
            world.at(timeout_ms, lambda: self._no_answer(number))
        else:
            world.at(5, lambda: self._answered(Reply(number, "Unavailable")))

    def _arrive(self, node: Node, request: Request, first: bool) -> None:
        before, epoch = node.version_of(request.key), node.epoch

        def reply(answer: Reply) -> None:
            self._look_at(node, request, answer, before, first)
            self.world.at(self.random.uniform(0.1, 1), lambda: self._answered(answer) if node.epoch == epoch else None)

        node.registers.request(node.now, request, reply)

    def _look_at(self, node: Node, request: Request, answer: Reply, before: Version, first: bool) -> None:
        """What must hold when a write is acknowledged, or a value shown."""
        if answer.error or not answer.revision:
            return
        version = version_of(answer.revision)
        seen = Version(request.seen.time, request.seen.counter, request.seen.maker) if request.seen else NO_VERSION
        first = first and request.number == self._waits_for
        if first and (version <= seen if request.op != "get" else version < seen):
            self.world.breaks(f"{node.name} answered {request.op} with {version} to a session that saw {seen}")
        if request.op == "get":
            return
        if node.version_of(request.key) < version:
            self.world.breaks(f"{node.name} acknowledged {request.op} {version} before its table held it")
        if first and version <= before:
            self.world.breaks(f"{node.name} gave {request.op} {version}, not above its table's {before}")

    def _no_answer(self, number: int) -> None:
        if self._waits_for == number:
            self._again(doubt=True)

    def _again(self, doubt: bool) -> None:
        self.doubt |= doubt and self.op != "get"
        left = self.world.now_ms - self.called_ms < self.world.profile.limits.token_lives_ms - 200
        if self.stopped or not left or (self.doubt and not self.token):
            self._end("indefinite" if self.doubt else "none")
        else:
            self._waits_for = 0
            self.world.at(self.random.uniform(1, 50), self._try)

    def _answered(self, reply: Reply) -> None:
        if reply.number != self._waits_for:
            return
        if reply.error in ("Unavailable", "Timeout", "Behind"):
            self._again(doubt=reply.error == "Timeout")
            return
        if reply.error not in ("", "WrongRevision"):
            self.world.breaks(f"unexpected reply {reply}")
        if reply.seen is not None and not reply.error:
            version = Version(reply.seen.time, reply.seen.counter, reply.seen.maker)
            self.seen[self.key] = max(self.seen.get(self.key, NO_VERSION), version)
        if reply.revision and not reply.error and self.op != "delete":
            self.revisions[self.key] = reply.revision
        if reply.error and self.doubt:  # an earlier try may still be under way
            self._end("indefinite")
        else:
            self._end("wrong" if reply.error else "ok", reply)

    def _end(self, result: str, reply: Reply | None = None) -> None:
        self._waits_for = 0
        more: dict[str, Any] = {"op": self.op}
        if self.value:
            more["value"] = self.value
        if self.op == "update":
            more["expected"] = self.revision
        if self.op == "get" and reply is not None:
            more["present"] = reply.present
            more["value"] = reply.value.decode()
        if reply is not None and result == "ok":
            more["revision"] = reply.revision
        if result != "none" and not (self.op == "get" and result == "indefinite"):
            self.world.note(process=self.name, key=self.key, call=self.called_ms, result=result, **more)
        if not self.stopped:
            self.world.at(self.random.expovariate(1 / self.world.profile.think_ms), self.next)

    def read_once(self, node: Node, key: str) -> Reply | None:
        """A get at this node, its answer waited for; noted as any other."""
        replies: list[Reply] = []
        self.op, self.key, self.called_ms, self.value = "get", key, self.world.now_ms, ""
        self.stopped = True
        node.run(lambda: node.registers.request(node.now, Request(1, "get", BUCKET, key), replies.append), node.epoch)
        end_ms = self.world.now_ms + 2500
        while not replies and self.world.now_ms < end_ms:
            self.world._until(self.world.now_ms + 5)
        if replies and not replies[0].error:
            self._end("ok", replies[0])
        return replies[0] if replies else None
