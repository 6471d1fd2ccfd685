"""A small world in virtual time for the registers alone: nodes of one region, their disks, clients, faults.

One (profile, seed) is one world, exactly. What the clients saw becomes a history for the checker; what must
hold at every moment is noted in `World.broken` when it doesn't.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any

from lab.syncstore.config import Config
from lab.syncstore.record import Record
from lab.syncstore.version import NO_VERSION, Version, origin, version_of
from lab.syncstore.wire import Reply, Request
from tests.syncstore.register_client import Client
from tests.syncstore.register_node import Node, mark_of, remembered
from tests.syncstore.register_profiles import BUCKET, CALM, EPOCH_MS, PROFILES, Profile


class World:
    def __init__(self, profile: Profile | str, seed: int) -> None:
        self.profile = PROFILES[profile] if isinstance(profile, str) else profile
        self.seed = seed
        self.name = f"{profile if isinstance(profile, str) else 'given'}/{seed}"
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
        self.kept: dict[tuple[str, str], list[Any]] = {}
        """What is sent on these links is kept here instead; for schedules."""
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
        if link in self.kept:
            self.kept[link].append(message)
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

    def join(self, *pairs: tuple[str, str]) -> None:
        self._join(list(pairs))

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
        old = mark_of(node, log)
        for other in self.nodes.values():
            if other is not node and not remembered(other, node.name) > old:
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
        until_ms = self.now_ms + self.random.uniform(*self.profile.slow_length_ms)
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
        line = {"process": f"{self.name}/{process}", "key": f"{self.name}/{key}", "result": result, **more}
        line["call_ns"] = int(call * 1e6)
        if result != "indefinite":
            line["return_ns"] = int((self.now_ms if back is None else back) * 1e6)
        self.history.append(line)

    def breaks(self, sentence: str) -> None:
        self.broken.append(f"{self.name} at {self.now_ms:.1f} ms: {sentence}")

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
