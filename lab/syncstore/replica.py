"""One scope's data on one node: exactly the merge of what its vector names.

Owns the only ways in which a vector advances: an own write, a stream that begins where the vector
ends, a delta or a reset that is whole. Knows nothing of links, clients or disks: what has to be
logged is handed out as bytes, in the order in which it must stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from lab.syncstore.delta import Cut
from lab.syncstore.entries import Dropped
from lab.syncstore.entries import encode as encode_entry
from lab.syncstore.errors import Malformed
from lab.syncstore.record import Record, later, same_version
from lab.syncstore.stream import Chunk, Ring
from lab.syncstore.table import Table
from lab.syncstore.tombstones import Tombstones
from lab.syncstore.vector import UNKNOWN, Floor, Vector, joined
from lab.syncstore.wire import (
    Delta,
    DeltaEnd,
    Reset,
    ResetEnd,
    Stream,
    array_of,
    decode,
    encode,
    encode_record,
    records_of,
)

SNAPSHOT_PART_BYTES = 256 * 1024
ENDS_KEPT = 4096


class Replica:
    def __init__(self, scope: str, ring_bytes: int) -> None:
        self.scope, self.origin = scope, ""
        self.sequence = 0
        self.vector = Vector({}, {})
        self.durable = Vector({}, {})
        """What of the vector is on this node's disk."""
        self._stated: dict[str, Vector] = {}
        """Other node of the region → what it says it holds."""
        self.second = Vector({}, {})
        """What another node of the region holds too, as far as it has said so since this node's start and has not
        greeted with less since."""
        self.table = Table()
        self.floor = Floor()
        self.dropped_of_closed: dict[str, int] = {}
        """What the floor named before the mark of its incarnation's end took its place; since this node's start."""
        self.ended: dict[str, int] = {}
        """Origin → its last sequence here when it was closed; since this node's start, the latest of them. Whoever
        has seen more of it has seen what was lost."""
        self.given_up = Vector({}, {})
        """What was held before a reset took its place; since this node's start."""
        self.ring = Ring(ring_bytes)
        self.tombstones = Tombstones()
        self.applying: Applying | None = None
        self.effort = 0
        self._batch: list[bytes] = []
        self._batch_first = 1
        self._batch_bytes = 0
        self.on_placed: Callable[[Record, Record | None], None] = lambda record, old: None
        """Told of every record that becomes a key's present one, with the one before."""
        self.on_ended: Callable[[str], None] = lambda scope: None
        """Told the scope when incarnations were closed."""

    # -- own writes ------------------------------------------------------------------------------

    def write(self, record: Record) -> None:
        """Accept an own write: `record` comes with its version, and gets origin and sequence here."""
        self.sequence += 1
        record.sequence, record.origin = self.sequence, self.origin
        if record.maker is None:
            record.maker = self.origin
        self.vector.entries[self.origin] = self.sequence
        encoded = encode_record(record)
        self._batch.append(encoded)
        self._batch_bytes += len(encoded)
        self._merge(record)

    def batch_bytes(self) -> int:
        return self._batch_bytes

    def take_batch(self) -> Chunk | None:
        """Own writes since the last call, as one frame, kept in the ring."""
        if not self._batch:
            return None
        first = self._batch_first
        body = encode(Stream(self.scope, self.origin, first, array_of(self._batch)))
        chunk = Chunk(first, self.sequence, body)
        self.ring.add(self.origin, chunk)
        self._batch, self._batch_first, self._batch_bytes = [], self.sequence + 1, 0
        return chunk

    def know(self, origins: Iterable[str]) -> None:
        """That these incarnations exist was stated somewhere: nothing of them is held yet."""
        for origin in origins:
            if self.vector.get(origin) == UNKNOWN:
                self.vector.entries[origin] = 0
                self.durable.entries.setdefault(origin, 0)

    def renew(self, origin: str) -> None:
        """Go on under a new incarnation. The batch must have been taken."""
        assert not self._batch
        self.origin, self.sequence, self._batch_first = origin, 0, 1
        self.vector.entries.setdefault(origin, 0)
        self.durable.entries.setdefault(origin, 0)

    # -- what others send ------------------------------------------------------------------------

    def peer_holds(self, node: str, vector: Vector, *, greeting: bool = False) -> None:
        """A node of the region says so. greeting: and no more than that, which is less than before where it took a
        reset meanwhile or lost its disk."""
        before = self._stated.setdefault(node, Vector({}, {}))
        if greeting and not vector.covers_all(before):
            self._stated[node] = vector.copy()
            self.second = joined(self._stated.values())
        else:
            before.join(vector)
            self.second.join(vector)

    def take(self, stream: Stream, body: bytes) -> tuple[int, bool] | None:
        """Merge a stream's frame: its last sequence, and whether it brought anything; None when it begins
        beyond what is held. Raises Malformed."""
        entry = max(self.vector.get(stream.origin), 0)
        if stream.first > entry + 1:
            return None
        records = records_of(stream.records, stream.origin, self.scope)
        if not records or any(one.sequence != stream.first + place for place, one in enumerate(records)):
            raise Malformed("expected a stream's records in sequence from its first")
        last = records[-1].sequence
        if last <= entry:
            return last, False
        for record in records[entry + 1 - stream.first :]:
            self._merge(record)
        self.vector.entries[stream.origin] = last
        self.ring.add(stream.origin, Chunk(stream.first, last, body))
        return last, True

    def covers_delta(self, end: DeltaEnd) -> bool:
        """Whether a delta may be taken: it begins where this node is, and nobody has forgotten a delete
        that the other one never saw."""
        return (
            self.vector.covers_all(end.base)
            and self.vector.covers_all(end.floor.vector)
            and end.vector.covers_all(self.floor.vector)
        )

    def cut(self, number: int, base: Vector) -> Cut | None:
        """None while a delta is being taken: half of it is no state that a vector names."""
        if self.applying is not None:
            return None
        return Cut(number, self.scope, self.table, base, self.vector, self.floor)

    def _merge(self, record: Record) -> bool:
        self.effort += 1
        present = self.table.get(record.bucket, record.key)
        if present is not None and not later(record, present):
            return False
        self.place(record, present)
        return True

    def place(self, record: Record, present: Record | None) -> None:
        self.table.place(record)
        self.tombstones.note(record)
        self.on_placed(record, present)

    def repair(self, record: Record) -> bool:
        """Take a record that the vector covers but the table lacks: only after a divergence."""
        present = self.table.get(record.bucket, record.key)
        if present is not None and same_version(record, present):
            # One version with two values: bytes were damaged on a way without TLS. Both sides choose alike.
            if record.value is None or present.value is None or record.value <= present.value:
                return False
        elif present is not None and not later(record, present):
            return False
        self.place(record, present)
        return True

    # -- forgetting ------------------------------------------------------------------------------

    def drop(self, records: list[Record]) -> bytes:
        """Forget tombstones, raising the floor; returns what must be logged."""
        for record in records:
            self.table.remove(record)
            self.floor.vector.raise_to(record.origin, record.sequence)
            self.floor.expired = max(self.floor.expired, record.expires)
            if (record.time, record.counter, record.maker or "") > (
                self.floor.time,
                self.floor.counter,
                self.floor.maker,
            ):
                self.floor.time, self.floor.counter, self.floor.maker = record.time, record.counter, record.maker or ""
        return encode_entry(Dropped(self.scope, self.floor, [(one.bucket, one.key) for one in records]))

    def close(self, member: str, mark: str) -> None:
        for origin in [one for one in self.vector.entries if one.startswith(f"{member}/")]:
            if origin.rpartition("/")[2] < mark:
                self.ring.forget(origin)
        with self.remembering_ends():
            self.vector.close_below(member, mark)
        self.durable.close_below(member, mark)

    @contextmanager
    def remembering_ends(self) -> Iterator[None]:
        before, closed = dict(self.vector.entries), dict(self.vector.closed)
        yield
        self.ended |= {origin: entry for origin, entry in before.items() if origin not in self.vector.entries}
        for origin in list(islice(self.ended, max(0, len(self.ended) - ENDS_KEPT))):
            del self.ended[origin]
        if self.vector.closed != closed:
            self.on_ended(self.scope)

    def lacks(self, shown: dict[str, int]) -> dict[str, int]:
        """Of what was shown elsewhere, origin → sequence, all that this node does not hold."""
        return {origin: entry for origin, entry in shown.items() if entry > 0 and not self.vector.covers(origin, entry)}

    def lost(self, shown: dict[str, int]) -> dict[str, int]:
        """Of closed incarnations of which more was shown than was held here at their end: what was held."""
        held = {origin: self.ended.get(origin, 0) for origin in shown if self.vector.is_closed(origin)}
        return {origin: entry for origin, entry in held.items() if shown[origin] > entry}

    def state(self) -> Iterator[bytes]:
        """The whole state as it is now, as the frames of a reset: a snapshot."""
        cut = Cut(0, self.scope, self.table, Vector({}, {}), self.vector, self.floor)
        return cut.bodies(SNAPSHOT_PART_BYTES, reset=True)

    def has_made_up_for(self, region: str, origin: str, sequence: int) -> bool:
        """Whether a write of the own region that a reset took the name of was written again, or superseded by what
        is here: by another region's record perhaps, which the snapshot may have lacked."""
        mine = f"{region}/"
        if not origin.startswith(mine) or not self.given_up.covers_seen(origin, sequence):
            return False
        others = ((one, entry) for one, entry in self.given_up.entries.items() if not one.startswith(mine))
        return all(self.vector.covers(one, entry) for one, entry in others)

    def replace(self, fresh: Replica) -> None:
        """Become what a reset built: its table, vector and floor."""
        self.given_up.join(self.vector)
        self.table, self.tombstones = fresh.table, fresh.tombstones
        self.vector, self.floor = fresh.vector, fresh.floor
        self.durable = Vector({}, {})
        self.second, self._stated = Vector({}, {}), {}
        self.ring = Ring(self.ring.limit)
        self.applying = None


class Applying:
    """A whole delta on its way into the table, in slices; the vector rises when it is done. With a
    ResetEnd: the whole state on its way into an empty replica."""

    def __init__(self, replica: Replica, parts: list[tuple[str, bytes]], end: DeltaEnd | ResetEnd) -> None:
        self._replica, self.end = replica, end
        self._parts = iter(parts)
        self._records: list[Record] = []
        self._place = 0
        replica.applying = self

    def step(self, count: int) -> bool:
        """Merge up to `count` records; True when all are in. Raises Malformed."""
        replica, vector = self._replica, self._replica.vector
        while count > 0:
            if self._place >= len(self._records):
                if not self._next():
                    self._finish()
                    return True
                continue
            record = self._records[self._place]
            self._place += 1
            count -= 1
            if not vector.covers(record.origin, record.sequence):
                replica._merge(record)
        return False

    def _next(self) -> bool:
        for origin, body in self._parts:
            part = decode(body)
            assert isinstance(part, Delta | Reset)
            self._records, self._place = records_of(part.records, origin, self._replica.scope), 0
            return True
        return False

    def _finish(self) -> None:
        with self._replica.remembering_ends():
            self._replica.vector.join(self.end.vector)
        if isinstance(self.end, ResetEnd):
            self._replica.floor = self.end.floor.copy()
        self._replica.applying = None
