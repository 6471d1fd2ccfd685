"""When a write is acknowledged, and when a record is shown to watchers and readers.

Owns the two waits of one scope: own writes until they are durable here *and* held by a second node of
the region; records from other regions until a second node holds them. After a while without any
peer's word both end as `degraded`, never sooner than the own disk has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from lab.syncstore.record import Record
from lab.syncstore.replica import Replica


class Waiting(NamedTuple):
    """link, number: the request that is to be answered; link 0: none. done is told whether it ended degraded."""

    record: Record
    since_ms: float
    link: int = 0
    number: int = 0
    done: Callable[[Record, bool], None] | None = None


class Acks:
    def __init__(self, replica: Replica, *, alone: bool, degraded_after_ms: float) -> None:
        """alone: the region has one node, which then is all that can be asked for."""
        self._replica, self._alone, self._after_ms = replica, alone, degraded_after_ms
        self._own: deque[Waiting] = deque()
        self._foreign: dict[str, deque[Waiting]] = {}
        self.degraded = 0

    def __len__(self) -> int:
        """Own writes that wait."""
        return len(self._own)

    def add(self, waiting: Waiting) -> None:
        """An own write, in the order of their sequence."""
        self._own.append(waiting)

    def add_foreign(self, record: Record, now_ms: float) -> None:
        self._foreign.setdefault(record.origin, deque()).append(Waiting(record, now_ms))

    def settled(self, now_ms: float) -> list[tuple[Waiting, bool]]:
        """What is done waiting now, in order, with whether it is degraded."""
        found: list[tuple[Waiting, bool]] = []
        if self._own:
            self._settle(self._own, now_ms, found, own=True)
        if self._foreign:
            for origin in list(self._foreign):
                self._settle(self._foreign[origin], now_ms, found, own=False)
                if not self._foreign[origin]:
                    del self._foreign[origin]
        return found

    def _settle(self, waiting: deque[Waiting], now_ms: float, found: list[tuple[Waiting, bool]], *, own: bool) -> None:
        replica = self._replica
        origin, durable, second = "", 0, 0
        while waiting:
            one = waiting[0]
            if one.record.origin != origin:
                origin = one.record.origin
                durable = replica.durable.get(origin) if own else 2**62
                second = 2**62 if self._alone else replica.second.get(origin)
            sequence = one.record.sequence
            if sequence > durable:
                return
            late = sequence > second
            if late and now_ms - one.since_ms < self._after_ms:
                return
            self.degraded += late
            found.append((waiting.popleft(), late))

    def next_ms(self) -> float:
        """When the first wait ends as degraded; infinity for none."""
        firsts = [line[0].since_ms for line in (self._own, *self._foreign.values()) if line]
        return min(firsts) + self._after_ms if firsts else float("inf")

    def overdue(self, now_ms: float, after_ms: float) -> list[Waiting]:
        """Own writes whose disk has not answered for so long; their callers are told that it may have
        happened. They go on waiting to be shown to watchers."""
        found = []
        for place, one in enumerate(self._own):
            if now_ms - one.since_ms < after_ms:
                break
            if one.link:
                found.append(one)
                self._own[place] = one._replace(link=0, number=0)
        return found

    def give_up(self) -> list[Waiting]:
        """All own writes that wait: the incarnation that accepted them is over."""
        found = list(self._own)
        self._own.clear()
        self._foreign.clear()
        return found

    def shown(self) -> dict[str, int]:
        """origin → the sequence up to which everything held has been shown: what a watch goes on from."""
        held = dict(self._replica.vector.entries)
        for waiting in (self._own, *self._foreign.values()):
            # Own writes of two incarnations wait right after a new one was taken, never else.
            both = waiting if waiting and waiting[-1].record.origin != waiting[0].record.origin else islice(waiting, 1)
            for one in both:
                origin = one.record.origin
                held[origin] = min(held.get(origin, 0), one.record.sequence - 1)
        return held

    def secured(self, record: Record) -> bool:
        """Whether a second node holds it (and, for own writes, this disk)."""
        second = self._alone or self._replica.second.covers(record.origin, record.sequence)
        return second and self.durable(record)

    def durable(self, record: Record) -> bool:
        """Whether this disk holds it, if it is an own write; others' are on another disk."""
        replica = self._replica
        return record.origin != replica.origin or replica.durable.covers(record.origin, record.sequence)
