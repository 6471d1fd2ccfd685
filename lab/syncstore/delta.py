"""Deltas: what a peer lacks, when the ring no longer reaches back to where it is.

Owns the cut (what is sent: the table as it was at one moment) and the staging (what was received and
not yet taken). Knows nothing of links and credit. A delta is bounded by the state, never by the
writes there were; nothing of it counts before all of it is there.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple

from lab.syncstore.record import Record
from lab.syncstore.table import Table
from lab.syncstore.vector import Floor, Vector
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, array_of, encode, encode_record

PART_OVERHEAD_BYTES = 256
RESET = -1
"""The staging of a reset has this for its cut's number."""


class Position(NamedTuple):
    """How far a delta came before its connection broke: parts taken, and the last one's origin and top."""

    parts: int
    origin: str
    sequence: int


class Cut:
    """The table's present records beyond `base`, up to `vector`, as they were when it was made.

    Records are never changed, and an index leaves walked arrays as they were; what is displaced while
    the walk goes on is kept aside. So nothing is copied at the cut.
    """

    def __init__(self, number: int, scope: str, table: Table, base: Vector, vector: Vector, floor: Floor) -> None:
        self.number, self.scope = number, scope
        self.base, self.vector, self.floor = base.copy(), vector.copy(), floor.copy()
        self._table = table
        self._saved: dict[str, list[tuple[int, int, Record]]] = {}
        self._parts = 0
        table.watch(self._displaced)
        self._lines = [
            index.line(origin, self.base.get(origin), self.vector.get(origin))
            for origin, index in table.indexes.items()
            if self.base.get(origin) < self.vector.get(origin)
        ]
        self._lined: int | None = None
        """How many parts the walk itself made; what was displaced meanwhile comes behind them."""

    def _displaced(self, record: Record) -> None:
        if self.base.get(record.origin) < record.sequence <= self.vector.get(record.origin):
            insort(self._saved.setdefault(record.origin, []), (record.sequence, id(record), record))

    def close(self) -> None:
        self._table.unwatch(self._displaced)

    def _walk(self, after: Position | None) -> Iterator[Record]:
        """Present records, origin by origin, within one by sequence."""
        skipping = after is not None
        for line in self._lines:
            start = line.start
            if after is not None and skipping:
                if line.origin != after.origin:
                    continue
                skipping = False
                start = bisect_right(line.sequences, after.sequence, start, line.end)
            for place in range(start, line.end):
                record = line.records[place]
                if record is not None:
                    yield record

    def _aside(self) -> list[Record]:
        """What was displaced since the cut: perhaps before it was walked."""
        return [record for origin in sorted(self._saved) for _, _, record in self._saved[origin]]

    def bodies(self, limit_bytes: int, *, reset: bool = False, after: Position | None = None) -> Iterator[bytes]:
        """Every frame of the delta, its end included. reset: as frames of a reset, which replaces.
        after: what the receiver of an earlier walk has."""
        self._parts = after.parts if after is not None else 0
        if after is None or self._lined is None or after.parts <= self._lined:
            yield from self._framed(self._walk(after), limit_bytes, reset)
            self._lined = self._parts
        yield from self._framed(iter(self._aside()), limit_bytes, reset)
        if reset:
            yield encode(ResetEnd(self.scope, self._parts, self.vector, self.floor))
        else:
            yield encode(DeltaEnd(self.scope, self.number, self._parts, self.base, self.vector, self.floor))

    def _framed(self, records: Iterator[Record], limit_bytes: int, reset: bool) -> Iterator[bytes]:
        origin, size = "", 0
        waiting: list[bytes] = []
        for record in records:
            encoded = encode_record(record)
            if waiting and (record.origin != origin or size + len(encoded) > limit_bytes - PART_OVERHEAD_BYTES):
                yield self._part(origin, waiting, reset)
                waiting, size = [], 0
            origin = record.origin
            waiting.append(encoded)
            size += len(encoded)
        if waiting:
            yield self._part(origin, waiting, reset)

    def _part(self, origin: str, encoded: list[bytes], reset: bool) -> bytes:
        number, records = self._parts, array_of(encoded)
        self._parts += 1
        if reset:
            return encode(Reset(self.scope, number, origin, records))
        return encode(Delta(self.scope, self.number, number, origin, records))


class Staging:
    """The parts of one delta (or reset) as they come in, until they are whole."""

    __slots__ = ("cut", "parts", "size", "tops")

    def __init__(self, cut: int) -> None:
        self.cut = cut
        self.parts: list[tuple[str, bytes]] = []
        """(origin, the part's whole body)."""
        self.tops: dict[str, int] = {}
        """Origin → the highest sequence in any part."""
        self.size = 0

    def add(self, number: int, origin: str, body: bytes, top: int = 0) -> bool:
        """Whether the part is the next one. top: the highest sequence in it."""
        if number != len(self.parts):
            return False
        self.parts.append((origin, body))
        self.tops[origin] = max(top, self.tops.get(origin, 0))
        self.size += len(body)
        return True

    @property
    def position(self) -> Position:
        """Where its sender may go on."""
        origin = self.parts[-1][0] if self.parts else ""
        return Position(len(self.parts), origin, self.tops.get(origin, 0))

    def within(self, vector: Vector) -> bool:
        """Whether the vector names everything that came."""
        return all(vector.covers(origin, top) for origin, top in self.tops.items())
