"""Who knows everything: every write that any node of a world ever accepted.

Owns the memory of all accepted writes and what follows from a vector: which record of a key a node
must hold. Told by every node at the moment it accepts, so nothing that the network does hides from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.syncstore.record import Record
from lab.syncstore.vector import Vector
from lab.syncstore.version import Version

if TYPE_CHECKING:
    from lab.syncstore.replica import Replica


class Accepted(NamedTuple):
    """One write as it was accepted; ordered by version."""

    version: Version
    origin: str
    sequence: int
    tombstone: bool
    expires: int
    value: bytes | None
    at_ms: float


class Oracle:
    def __init__(self, now_ms: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self.keys: dict[tuple[str, str, str], list[Accepted]] = {}
        """(region for scope `region` else "", bucket, key) → accepted writes, latest version first."""
        self.last: dict[tuple[str, str], int] = {}
        """(scope, origin) → the last sequence it gave."""
        self._held: dict[tuple[str, str], int] = {}
        self._closed: dict[tuple[str, str], int] = {}
        self.on_accepted: Callable[[Record], None] = lambda record: None

    def accepted(self, scope: str, record: Record) -> None:
        origin = record.origin
        region = origin.partition("/")[0] if scope == "region" else ""
        one = Accepted(
            record.version, origin, record.sequence, record.value is None, record.expires, record.value, self._now_ms()
        )
        line = self.keys.setdefault((region, record.bucket, record.key), [])
        place = 0
        while place < len(line) and line[place].version > one.version:
            place += 1
        line.insert(place, one)
        self.last[scope, origin] = record.sequence
        self.on_accepted(record)

    # What a vector names of a closed incarnation is all that anybody still held when it was closed: what was
    # lost with its node (a torn tail, a lost disk) before anybody else had it is not among that.

    def looked_at(self, scope: str, replicas: Sequence[Replica]) -> None:
        """Those of every node that is up: now and then, and before `names` is asked about their marks."""
        for place, last in self.last.items():
            origin = place[1]
            if place[0] != scope or place in self._closed:
                continue
            # Some may have closed it since they were last looked at, others not yet.
            entries = [one.vector.entries.get(origin, one.ended.get(origin)) for one in replicas]
            held = [entry for entry in entries if entry is not None]
            if held:
                self._held[place] = max(*held, self._held.get(place, 0))
            if any(one.vector.is_closed(origin) for one in replicas):
                self._closed[place] = self._held.get(place, last)

    def somebody_left(self) -> None:
        """Died, or was evicted. What only it held may be gone: what was seen held counts no more."""
        self._held = dict.fromkeys(self.last, 0)

    def names(self, vector: Vector, scope: str, origin: str, sequence: int) -> bool:
        """Whether a node whose vector is this must hold a write, or a later one of its key."""
        entry = vector.entries.get(origin)
        if entry is not None:
            return sequence <= entry
        return vector.is_closed(origin) and sequence <= self._closed.get((scope, origin), sequence)

    def find(self, place: tuple[str, str, str], version: Version) -> Accepted | None:
        for one in self.keys.get(place, ()):
            if one.version == version:
                return one
        return None


@contextmanager
def told_of_writes(oracle: Oracle) -> Iterator[None]:
    """Meanwhile every replica of this process tells the oracle what it accepts."""
    from lab.syncstore.replica import Replica

    plain: Any = Replica.write

    def write(self: Replica, record: Record) -> None:
        plain(self, record)
        oracle.accepted(self.scope, record)

    Replica.write = write  # type: ignore[method-assign]
    try:
        yield
    finally:
        Replica.write = plain  # type: ignore[method-assign]
