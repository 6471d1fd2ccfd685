"""Version vectors: what a node holds, as origin → sequence, with the marks of closed incarnations.

Owns coverage, joins and meets. Knows nothing of records or of who states a vector to whom.

`closed` is member (`region/node`) → the incarnation below which all are closed: everything such an
incarnation ever wrote is held by every member node, so it counts as covered to the end, and its
entry is gone. An entry of 0 says that the incarnation is known and has written nothing yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

from lab.syncstore.version import (
    COUNTER_LIMIT,
    INCARNATION_PATTERN,
    LATEST_MS,
    MEMBER_PATTERN,
    ORIGIN_PATTERN,
    incarnation_of,
    parts,
)

WHOLE = 2**62
"""What a closed origin's entry counts as."""
UNKNOWN = -1
# Checked where bytes become vectors, so that nothing else of the node has to doubt one.
Origin = Annotated[str, msgspec.Meta(pattern=ORIGIN_PATTERN)]
Member = Annotated[str, msgspec.Meta(pattern=MEMBER_PATTERN)]
Incarnation = Annotated[str, msgspec.Meta(pattern=INCARNATION_PATTERN)]
Sequence = Annotated[int, msgspec.Meta(ge=0, lt=WHOLE)]


class Vector(msgspec.Struct, array_like=True):
    entries: dict[Origin, Sequence] = {}
    closed: dict[Member, Incarnation] = {}

    def get(self, origin: str) -> int:
        """The sequence up to which all of an origin is held; UNKNOWN, or WHOLE where it is closed."""
        entry = self.entries.get(origin)
        if entry is not None:
            return entry
        return WHOLE if self.is_closed(origin) else UNKNOWN

    def is_closed(self, origin: str) -> bool:
        if not self.closed:
            return False
        region, node, incarnation = parts(origin)
        mark = self.closed.get(f"{region}/{node}")
        return mark is not None and incarnation < mark

    def covers(self, origin: str, sequence: int) -> bool:
        return self.get(origin) >= sequence

    def covers_seen(self, origin: str, sequence: int) -> bool:
        """The same of what a client states, which may be nonsense."""
        try:
            return self.covers(origin, sequence)
        except ValueError:
            return False

    def covers_all(self, other: Vector) -> bool:
        """Whether everything `other` names is held here. A known origin that wrote nothing asks for nothing."""
        if any(self.closed.get(member, "") < mark for member, mark in other.closed.items()):
            return False
        return all(entry <= 0 or self.get(origin) >= entry for origin, entry in other.entries.items())

    def beyond(self, other: Vector) -> list[str]:
        """Origins of which this holds more than `other`."""
        return [origin for origin, entry in self.entries.items() if entry > 0 and entry > other.get(origin)]

    def raise_to(self, origin: str, sequence: int) -> None:
        if sequence > self.get(origin):
            self.entries[origin] = sequence

    def close_below(self, member: str, incarnation: str) -> None:
        """Every incarnation of `member` below this one is closed."""
        if self.closed.get(member, "") >= incarnation:
            return
        self.closed[member] = incarnation
        for origin in [one for one in self.entries if self.is_closed(one)]:
            del self.entries[origin]

    def join(self, other: Vector) -> None:
        """Hold what either holds."""
        for member, mark in other.closed.items():
            self.close_below(member, mark)
        for origin, entry in other.entries.items():
            self.raise_to(origin, entry)

    def copy(self) -> Vector:
        return Vector(dict(self.entries), dict(self.closed))

    def knows_newer(self, origin: str) -> bool:
        """Whether a later incarnation of the origin's node is known."""
        region, node, incarnation = parts(origin)
        prefix = f"{region}/{node}/"
        if self.closed.get(f"{region}/{node}", "") > incarnation:
            return True
        return any(one.startswith(prefix) and incarnation_of(one) > incarnation for one in self.entries)

    def latest_incarnation(self, region: str, node: str) -> str:
        """The highest incarnation of a node named here; "" for none."""
        prefix = f"{region}/{node}/"
        named = [incarnation_of(one) for one in self.entries if one.startswith(prefix)]
        return max([*named, self.closed.get(f"{region}/{node}", "")])


def meet(vectors: Iterable[Vector]) -> Vector:
    """What every one of them holds: at least one is needed."""
    first, *others = vectors
    if not others:
        return first.copy()
    origins = dict.fromkeys(origin for one in (first, *others) for origin in one.entries)
    entries = {}
    for origin in origins:
        lowest = min(one.get(origin) for one in (first, *others))
        if lowest != UNKNOWN:
            entries[origin] = lowest
    closed = {
        member: min(one.closed.get(member, "") for one in (first, *others))
        for member in first.closed
        if all(member in one.closed for one in others)
    }
    return Vector(entries, closed)


def joined(vectors: Iterable[Vector]) -> Vector:
    """What any of them holds."""
    found = Vector({}, {})
    for one in vectors:
        found.join(one)
    return found


class Floor(msgspec.Struct, array_like=True):
    """What was dropped: up to which sequence of which origin tombstones may be gone, and the highest
    version among them (time, counter, maker)."""

    vector: Vector = msgspec.field(default_factory=lambda: Vector({}, {}))
    time: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)] = 0
    counter: Annotated[int, msgspec.Meta(ge=0, lt=COUNTER_LIMIT)] = 0
    maker: Annotated[str, msgspec.Meta(max_length=300)] = ""
    expired: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)] = 0
    """The highest expiry among what was dropped, Unix ms: a watch that was away since before may not know of it."""

    def copy(self) -> Floor:
        return Floor(self.vector.copy(), self.time, self.counter, self.maker, self.expired)

    def join(self, other: Floor) -> None:
        self.vector.join(other.vector)
        if (other.time, other.counter, other.maker) > (self.time, self.counter, self.maker):
            self.time, self.counter, self.maker = other.time, other.counter, other.maker
