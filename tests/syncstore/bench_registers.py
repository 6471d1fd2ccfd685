"""How many register puts three nodes decide in a second of CPU time, without sockets, disks or an engine.

    python -m tests.syncstore.bench_registers [puts] [keys]

Messages are handed over in rounds, and each round ends with everybody's sync, so this counts the registers'
own work alone: all three nodes' shares of it, and the number of syncs a put waited for.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from lab.syncstore.config import Config
from lab.syncstore.ports import Moment
from lab.syncstore.record import Record
from lab.syncstore.registers import Registers
from lab.syncstore.version import Version, incarnation, origin
from lab.syncstore.wire import Reply, Request

BUCKET = "global/register/bench"
NAMES = ("a", "b", "c")


class Node:
    def __init__(self, cluster: dict[str, Node], name: str) -> None:
        self.name, self.cluster = name, cluster
        self.inbox: deque[tuple[str, bytes]] = deque()
        self.position = 0
        self.table: dict[str, Record] = {}
        self.written: list[Callable[[bool], None]] = []
        self._bits = count(2**40)
        self._counter = count(1)
        stamp = incarnation(1_700_000_000_000, ord(name))
        self.origin = origin("r", name, stamp)
        self.registers = Registers(Config("bench", "r", name, {"r": NAMES}), stamp, self)
        self.registers.start(now())

    def send(self, node: str, body: bytes) -> None:
        self.cluster[node].inbox.append((self.name, body))

    def persist(self, payload: bytes) -> int:
        self.position += 1
        return self.position

    def write(
        self,
        bucket: str,
        key: str,
        value: bytes | None,
        expires: int,
        version: Version,
        done: Callable[[bool], None],
    ) -> None:
        self.table[key] = Record(1, bucket, key, value, version.time, version.counter, 0, version.maker, self.origin)
        self.written.append(done)

    def version(self, moment: Moment, above: Version) -> Version:
        return Version(max(moment.wall_ms, above.time), next(self._counter), self.origin)

    def table_record(self, bucket: str, key: str) -> Record | None:
        return self.table.get(key)

    def bits(self) -> int:
        return next(self._bits)

    def turn(self) -> None:
        """Everything that came, then a sync."""
        moment = now()
        for _ in range(len(self.inbox)):
            self.registers.received(moment, *self.inbox.popleft())
        written, self.written = self.written, []
        self.registers.durable(moment, self.position)
        for done in written:
            done(False)


def now() -> Moment:
    return Moment(time.monotonic() * 1000, time.time_ns() // 1_000_000)


def measure(puts: int, keys: int, in_flight: int = 500) -> tuple[float, float]:
    """(puts per second of CPU time, rounds of messages and syncs per put)."""
    nodes: dict[str, Node] = {}
    for name in NAMES:
        nodes[name] = Node(nodes, name)
    for node in nodes.values():
        for peer in NAMES:
            if peer != node.name:
                node.registers.peer_up(now(), peer, True)
    _settle(nodes)
    for key in range(keys):
        _put(nodes["a"], f"k{key}", [])
    _settle(nodes)
    replies: list[Reply] = []
    started, turns, sent = time.process_time(), 0, 0
    while len(replies) < puts:
        while sent < puts and sent - len(replies) < in_flight:
            _put(nodes["a"], f"k{sent % keys}", replies)
            sent += 1
        for node in nodes.values():
            node.turn()
        turns += 1
    wrong = [one for one in replies if one.error]
    if wrong:
        raise SystemExit(f"expected every put to succeed, found {wrong[0]}")
    return puts / (time.process_time() - started), turns * in_flight / puts


def _put(node: Node, key: str, replies: list[Reply]) -> None:
    token = next(node._bits).to_bytes(16, "big")
    node.registers.request(now(), Request(1, "put", BUCKET, key, b"x" * 100, token=token), replies.append)


def _settle(nodes: dict[str, Node]) -> None:
    for _ in range(20):
        for node in nodes.values():
            node.turn()


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]] + [20_000, 1_000][len(sys.argv) - 1 :]
    rate, turns = measure(*given)
    print(f"{rate:,.0f} puts/s, {turns:.1f} turns a put")
