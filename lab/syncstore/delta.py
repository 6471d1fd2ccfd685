"""Deltas: what a peer lacks, when the ring no longer reaches back to where it is.

Owns the cut (what is sent: the table as it was at one moment) and the staging (what was received and
not yet taken). Knows nothing of links and credit. A delta is bounded by the state, never by the
writes there were; nothing of it counts before all of it is there.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator

from lab.syncstore.record import Record
from lab.syncstore.table import Table
from lab.syncstore.vector import Floor, Vector
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, array_of, encode, encode_record

PART_OVERHEAD_BYTES = 256


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
        origins = [one for one in table.indexes if self.base.get(one) < self.vector.get(one)]
        self._walks = [(one, table.indexes[one].above(self.base.get(one))) for one in origins]
        # The first step of each walk takes hold of its arrays as they are now.
        self._heads = [(one, next(walk, None), walk) for one, walk in self._walks]

    def _displaced(self, record: Record) -> None:
        if self.base.get(record.origin) < record.sequence <= self.vector.get(record.origin):
            insort(self._saved.setdefault(record.origin, []), (record.sequence, id(record), record))

    def close(self) -> None:
        self._table.unwatch(self._displaced)

    def records(self) -> Iterator[Record]:
        """Origin by origin; within one by sequence, but for what was displaced meanwhile, which comes at the end."""
        for origin, head, walk in self._heads:
            until = self.vector.get(origin)
            if head is not None and head.sequence <= until:
                yield head
                for record in walk:
                    if record.sequence > until:
                        break
                    yield record
        # Nothing more is displaced that was not walked: what goes from now on was sent already.
        self.close()
        for origin in sorted(self._saved):
            yield from (record for _, _, record in self._saved[origin])

    def bodies(self, limit_bytes: int, *, reset: bool = False) -> Iterator[bytes]:
        """Every frame of the delta, its end included. reset: as frames of a reset, which replaces."""
        origin, waiting, size = "", [], 0
        for record in self.records():
            encoded = encode_record(record)
            if waiting and (record.origin != origin or size + len(encoded) > limit_bytes - PART_OVERHEAD_BYTES):
                yield self._part(origin, waiting, reset)
                waiting, size = [], 0
            origin = record.origin
            waiting.append(encoded)
            size += len(encoded)
        if waiting:
            yield self._part(origin, waiting, reset)
        if reset:
            yield encode(ResetEnd(self.scope, self._parts, self.vector, self.floor))
            return
        yield encode(DeltaEnd(self.scope, self.number, self._parts, self.base, self.vector, self.floor))

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

    def within(self, vector: Vector) -> bool:
        """Whether the vector names everything that came."""
        return all(vector.covers(origin, top) for origin, top in self.tops.items())
