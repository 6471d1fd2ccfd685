"""A node's data of one scope: every key's present record, and by origin where it stands in its sequence.

Owns the present record of a key, the index by origin, what an open cut still has to see, and the
digest. Knows nothing of vectors, messages or time. Merging by version is `Replica`'s.

The index holds, per origin, sequences in order beside the records that are still present; what comes
late waits beside them until somebody walks. A record that is displaced leaves None in its place; arrays
half empty are made anew, so they stay bounded by what is present. Whoever walks an old array meanwhile
sees it as it was.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple
from weakref import WeakMethod

from sortedcontainers import SortedList

from lab.syncstore.digest import Digest
from lab.syncstore.record import Record, bucket_parts

SLACK = 1024
LATE_SHARE = 8
"""Late ones may be so small a part of what is in order."""


class Shelf:
    """One bucket's records. `keys` is sorted, for prefixes."""

    __slots__ = ("keys", "kind", "name", "records")

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = bucket_parts(name)[1]
        self.records: dict[str, Record] = {}
        self.keys: SortedList = SortedList()

    def with_prefix(self, prefix: str, after: str = "") -> Iterator[Record]:
        """By key, from the first above `after`."""
        start = max(prefix, after)
        for key in self.keys.irange(start, inclusive=(start != after, True)):
            if not key.startswith(prefix):
                return
            yield self.records[key]


class Line(NamedTuple):
    """Part of an origin's index. What is displaced later leaves None; nothing shifts."""

    origin: str
    sequences: list[int]
    records: list[Record | None]
    start: int
    end: int


class Index:
    """One origin's present records by sequence."""

    __slots__ = ("holes", "late", "records", "sequences")

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.records: list[Record | None] = []
        self.holes = 0
        self.late: dict[int, Record] = {}
        """Sequence → what came after higher ones did, and is not in the arrays yet: a delta may bring thousands,
        and to make room for each would move all that is behind it."""

    def add(self, record: Record) -> None:
        if not self.sequences or record.sequence > self.sequences[-1]:
            self.sequences.append(record.sequence)
            self.records.append(record)
            return
        self.late[record.sequence] = record
        if len(self.late) * LATE_SHARE > len(self.sequences) + SLACK:
            self._settle()

    def _settle(self) -> None:
        """Into new arrays: a walk that holds the old ones must not see them shift, nor what is put there."""
        if not self.late:
            return
        sequences, records, begin = list[int](), list[Record | None](), 0
        for sequence in sorted(self.late):
            place = bisect_left(self.sequences, sequence, begin)
            sequences += self.sequences[begin:place]
            records += self.records[begin:place]
            sequences.append(sequence)
            records.append(self.late[sequence])
            begin = place
            if place < len(self.sequences) and self.sequences[place] == sequence:
                self.holes -= self.records[place] is None
                begin += 1
        self.sequences, self.records = sequences + self.sequences[begin:], records + self.records[begin:]
        self.late = {}

    def remove(self, record: Record) -> None:
        if self.late.get(record.sequence) is record:
            del self.late[record.sequence]
            return
        place = bisect_left(self.sequences, record.sequence)
        if place < len(self.sequences) and self.records[place] is record:
            self.records[place] = None
            self.holes += 1
            if self.holes * 2 > len(self.sequences) + SLACK:
                self._tidy()

    def swap(self, old: Record, new: Record) -> None:
        if self.late.get(old.sequence) is old:
            self.late[old.sequence] = new
            return
        place = bisect_left(self.sequences, old.sequence)
        if place < len(self.sequences) and self.records[place] is old:
            self.records[place] = new

    def _tidy(self) -> None:
        kept = [record for record in self.records if record is not None]
        self.records = list(kept)
        self.sequences = [record.sequence for record in kept]
        self.holes = 0

    def line(self, origin: str, above: int, until: int) -> Line:
        """The arrays of this origin's index as they are now, from beyond `above` to `until`."""
        self._settle()
        start, end = bisect_right(self.sequences, above), bisect_right(self.sequences, until)
        return Line(origin, self.sequences, self.records, start, end)

    def above(self, sequence: int) -> Iterator[Record]:
        """Present records beyond a sequence, in order, as the arrays are at the first step."""
        self._settle()
        sequences, records = self.sequences, self.records
        for place in range(bisect_right(sequences, sequence), len(sequences)):
            record = records[place]
            if record is not None:
                yield record

    def __len__(self) -> int:
        return len(self.sequences) - self.holes + len(self.late)


class Table:
    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.indexes: dict[str, Index] = {}
        self.digest = Digest()
        self.tombstones = 0
        self.count = 0
        self._watching: list[WeakMethod[Callable[[Record], None]]] = []

    def watch(self, told: Callable[[Record], None]) -> None:
        """Tell a bound method of every record that leaves its place, as long as its object is in use: a cut
        whose reader went away must not collect records for ever."""
        self._watching = [one for one in self._watching if one() is not None]
        self._watching.append(WeakMethod(told))

    def unwatch(self, told: Callable[[Record], None]) -> None:
        self._watching = [one for one in self._watching if one() not in (None, told)]

    @property
    def watched(self) -> int:
        return sum(one() is not None for one in self._watching)

    def shelf(self, bucket: str) -> Shelf:
        shelf = self.shelves.get(bucket)
        if shelf is None:
            shelf = self.shelves[bucket] = Shelf(bucket)
        return shelf

    def get(self, bucket: str, key: str) -> Record | None:
        shelf = self.shelves.get(bucket)
        return shelf.records.get(key) if shelf is not None else None

    def place(self, record: Record) -> Record | None:
        """Make it the key's present record; the one that was."""
        shelf = self.shelf(record.bucket)
        old = shelf.records.get(record.key)
        if old is None:
            shelf.keys.add(record.key)
            self.count += 1
        else:
            self._displace(old)
        shelf.records[record.key] = record
        index = self.indexes.get(record.origin)
        if index is None:
            index = self.indexes[record.origin] = Index()
        index.add(record)
        self.digest.toggle(record)
        self.tombstones += record.value is None
        return old

    def _displace(self, old: Record) -> None:
        self.indexes[old.origin].remove(old)
        self.digest.toggle(old)
        self.tombstones -= old.value is None
        for watching in self._watching:
            told = watching()
            if told is not None:
                told(old)

    def swap(self, old: Record, new: Record) -> None:
        """Put `new` in the place of `old`: same key, version and sequence (what expired loses its value)."""
        self.digest.toggle(old)
        self.digest.toggle(new)
        self.tombstones += (new.value is None) - (old.value is None)
        self.shelves[old.bucket].records[old.key] = new
        self.indexes[old.origin].swap(old, new)

    def remove(self, record: Record) -> None:
        """Forget a key altogether."""
        shelf = self.shelves[record.bucket]
        self._displace(record)
        del shelf.records[record.key]
        shelf.keys.remove(record.key)
        self.count -= 1
        if not len(self.indexes[record.origin]):
            del self.indexes[record.origin]

    def records(self) -> Iterator[Record]:
        for shelf in self.shelves.values():
            yield from shelf.records.values()
