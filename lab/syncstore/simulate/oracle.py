"""Who knows everything: every write that any node of a world ever accepted.

Owns the memory of all accepted writes and what follows from a vector: which record of a key a node
must hold. Told by every node at the moment it accepts, so nothing that the network does hides from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lab.syncstore.record import Record
from lab.syncstore.vector import Vector
from lab.syncstore.version import Version


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
        self.count = 0
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
        self.on_accepted(record)
        self.count += 1

    def due(self, place: tuple[str, str, str], vector: Vector) -> Accepted | None:
        """What a node whose vector is this must hold of a key."""
        for one in self.keys.get(place, ()):
            if vector.covers(one.origin, one.sequence):
                return one
        return None

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
