"""Divergence: looked for all the time, expected never.

Owns the rounds of comparing digests and what a repair takes. A repair is a bug found; it is counted and
told, and makes both sides hold the same again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.syncstore.digest import HASH_BUCKETS, hash_bucket
from lab.syncstore.record import Record
from lab.syncstore.replica import Replica
from lab.syncstore.vector import Vector

ROUNDS = 3
BUCKETS_A_BEACON = 32
BEYOND_AT_MOST = 5000


class Watchman:
    """Compares one scope's digests with those that peers state."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._next = 0
        self._strikes: dict[tuple[str, int], int] = {}
        self.found = 0

    def to_state(self) -> dict[int, int]:
        """Some hash buckets' digests, another lot each time; none while half a delta is in the table."""
        if self._replica.applying is not None:
            return {}
        chosen = [(self._next + place) % HASH_BUCKETS for place in range(BUCKETS_A_BEACON)]
        self._next = (self._next + BUCKETS_A_BEACON) % HASH_BUCKETS
        sums = self._replica.table.digest.sums
        return {place: sums[place] for place in chosen}

    def compare(self, peer: str, vector: Vector, digests: Mapping[int, int]) -> list[int]:
        """The hash buckets that differed for the third time from what `peer` states at `vector`."""
        replica = self._replica
        if not digests or replica.applying is not None or not replica.vector.covers_all(vector):
            return []
        touched = self._beyond(vector)
        if touched is None:
            return []
        found = []
        for place, theirs in digests.items():
            if place in touched or not 0 <= place < HASH_BUCKETS:
                continue
            if theirs == replica.table.digest.sums[place]:
                self._strikes.pop((peer, place), None)
                continue
            strikes = self._strikes.get((peer, place), 0) + 1
            self._strikes[peer, place] = strikes
            if strikes >= ROUNDS:
                self._strikes.pop((peer, place))
                self.found += 1
                found.append(place)
        return found

    def _beyond(self, vector: Vector) -> set[int] | None:
        """Hash buckets in which something is held beyond a vector; None when that is too much to look at."""
        touched: set[int] = set()
        count = 0
        for origin, index in self._replica.table.indexes.items():
            held = vector.get(origin)
            if self._replica.vector.get(origin) <= held:
                continue
            for record in index.above(held):
                touched.add(hash_bucket(record))
                count += 1
                if count > BEYOND_AT_MOST:
                    return None
        return touched

    def records(self, place: int) -> dict[str, list[Record]]:
        """origin → the records of one hash bucket, tombstones too."""
        found: dict[str, list[Record]] = {}
        for record in self._replica.table.records():
            if hash_bucket(record) == place:
                found.setdefault(record.origin, []).append(record)
        return found


def taken(replica: Replica, records: Iterable[Record]) -> list[Record]:
    """Take what a peer holds of a hash bucket: later wins, present beats absent unless a tombstone is held."""
    return [record for record in records if replica.repair(record)]
