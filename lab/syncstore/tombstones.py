"""Deletes and expiry: when a record ends, and when nothing of it need be remembered.

Owns which tombstones stand, what expires when, and the one rule by which a tombstone may go. Knows
nothing of who reported what: it is handed what all members hold and what any of them holds.

A tombstone may go when it is old enough and not above any member's clock, every member node holds it
on its disk (so none can bring back what it deleted), and this node holds all that those members had
when they said so (so nothing that was written before they saw the delete is still on its way here).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

from lab.syncstore.record import Record
from lab.syncstore.table import Table
from lab.syncstore.vector import Vector


def expired(record: Record, wall_ms: int) -> bool:
    return 0 < record.expires <= wall_ms


def absent(record: Record | None, wall_ms: int) -> bool:
    """Whether a reader is told that there is nothing."""
    return record is None or record.value is None or expired(record, wall_ms)


def stripped(record: Record) -> Record:
    """The tombstone that an expired record becomes in place: same version, same sequence."""
    return Record(
        record.sequence,
        record.bucket,
        record.key,
        None,
        record.time,
        record.counter,
        record.expires,
        record.maker,
        record.origin,
    )


SLACK = 1024


class Tombstones:
    def __init__(self) -> None:
        self._standing: deque[Record] = deque()
        self._expiring: list[tuple[int, int, Record]] = []
        self._to_strip: list[tuple[int, int, Record]] = []
        self._tie = 0
        self._expiring_at_last = 0
        """How many of them were present when that was last looked at."""

    def note(self, record: Record) -> None:
        """A record became present."""
        if record.value is None:
            self._standing.append(record)
        elif record.expires:
            self._tie += 1
            heapq.heappush(self._expiring, (record.expires, self._tie, record))

    def expire(self, table: Table, wall_ms: int, count: int) -> list[Record]:
        """Present records whose time has come by this node's clock: each is returned once."""
        found = []
        while self._expiring and count > 0 and self._expiring[0][0] <= wall_ms:
            one = heapq.heappop(self._expiring)
            count -= 1
            if table.get(one[2].bucket, one[2].key) is one[2]:
                found.append(one[2])
                heapq.heappush(self._to_strip, one)
        return found

    def strip(self, table: Table, region_wall_ms: int, count: int) -> int:
        """Take the value from what is past its time by every clock of the region; how many."""
        done = 0
        while self._to_strip and done < count and self._to_strip[0][0] <= region_wall_ms:
            record = heapq.heappop(self._to_strip)[2]
            if table.get(record.bucket, record.key) is record:
                tombstone = stripped(record)
                table.swap(record, tombstone)
                self._standing.append(tombstone)
                done += 1
        return done

    def tidy(self, table: Table) -> None:
        """Let go of what is no longer present, once that is most of what is remembered here."""
        if len(self._standing) > 2 * table.tombstones + SLACK:
            self._standing = deque(one for one in self._standing if table.get(one.bucket, one.key) is one)
        if len(self._expiring) > 2 * self._expiring_at_last + SLACK:
            self._expiring = [one for one in self._expiring if table.get(one[2].bucket, one[2].key) is one[2]]
            heapq.heapify(self._expiring)
            self._expiring_at_last = len(self._expiring)

    def next_ms(self) -> int | None:
        """The wall time of the next expiry."""
        return self._expiring[0][0] if self._expiring else None

    def droppable(
        self,
        table: Table,
        wall_ms: int,
        age_ms: float,
        low: Vector,
        count: int,
        needed: Callable[[Record], bool] = lambda record: False,
    ) -> Iterator[Record]:
        """Up to `count` of those that stand are looked at; those that may go. wall_ms: what every member's
        clock has shown. `low`: what every member node holds durably, stated in reports that this node
        covers. needed: whether a register has yet to learn of it."""
        for _ in range(min(count, len(self._standing))):
            record = self._standing.popleft()
            if table.get(record.bucket, record.key) is not record:
                continue
            ended = max(record.time, record.expires)
            old = ended + age_ms <= wall_ms and low.covers(record.origin, record.sequence)
            if old and not needed(record):
                yield record
            else:
                self._standing.append(record)

    def oldest(self, table: Table) -> Record | None:
        """Of those that stand, the one looked at longest ago: for the alarm that names who holds it up."""
        while self._standing and table.get(self._standing[0].bucket, self._standing[0].key) is not self._standing[0]:
            self._standing.popleft()
        return self._standing[0] if self._standing else None
