"""What was seen last, by key, for at least the last `keep` keys and at most twice as many.

Owns two generations of a dictionary: when the young one is full it becomes the old one, and what was
old is forgotten. So both reading and writing cost what a dictionary costs, and nothing is ever walked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from sys import intern
from typing import Generic, TypeVar

from lab.syncstore import wire

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    __slots__ = ("_keep", "_old", "_young")

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def __iter__(self) -> Iterator[K]:
        return iter({**self._old, **self._young})

    def get(self, key: K) -> V | None:
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)

    def put(self, key: K, value: V) -> None:
        """`value` is never None: None is what an unknown key gives."""
        young = self._young
        young[key] = value
        if len(young) >= self._keep:
            self._old, self._young = young, {}

    def drop(self, key: K) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)


class Seen(Recent[tuple[str, str], wire.Seen]):
    """What a session was shown of each (bucket, key): it never goes back."""

    __slots__ = ()

    def learn(self, bucket: str, key: str, seen: wire.Seen) -> None:
        name = (bucket, key)
        known = self.get(name)
        if known is None or (seen.time, seen.counter, seen.maker) >= (known.time, known.counter, known.maker):
            seen.origin = intern(seen.origin)  # few origins make all records: keep each text once
            seen.maker = intern(seen.maker)
            self.put(name, seen)
