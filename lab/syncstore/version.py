"""Origins and versions: who wrote, and which of two records of a key is the later one.

Owns their text forms and their order. Knows nothing of records, tables or clocks.

An *origin* is `region/node/incarnation`, one text, so that it hashes and compares at the speed of
text and travels as it is. An *incarnation* is 28 hex digits: 12 of wall milliseconds, 16 of random
bits; every start of a node takes a new one, above every one known of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

INCARNATION_DIGITS = 28
LATEST_MS = 7_258_118_400_000
"""2200-01-01 in Unix milliseconds: a later time is no clock's error but a malformed frame."""
AHEAD_MS = 500
"""Versions further ahead of the own clock than this are adopted, counted and alarmed."""


class Version(NamedTuple):
    """Orders the records of one key. `time` in Unix ms of the writer's clock; `maker` the origin that made it."""

    time: int
    counter: int
    maker: str

    def __str__(self) -> str:
        return f"{self.time:012x}.{self.counter:x}.{self.maker}"


NO_VERSION = Version(0, 0, "")


def version_of(text: str) -> Version:
    """The version a client holds as a revision. Raises ValueError."""
    time, counter, maker = text.split(".", 2)
    return Version(int(time, 16), int(counter, 16), maker)


def incarnation(wall_ms: int, bits: int, above: str = "") -> str:
    """A new incarnation, later than `above` even when the clock went back. bits: 64 random ones."""
    if above and int(above[:12], 16) >= wall_ms:
        wall_ms = int(above[:12], 16) + 1
    return f"{wall_ms:012x}{bits & (2**64 - 1):016x}"


def origin(region: str, node: str, incarnation_: str) -> str:
    return f"{region}/{node}/{incarnation_}"


@lru_cache(maxsize=65536)
def parts(origin_: str) -> tuple[str, str, str]:
    """(region, node, incarnation). Raises ValueError for a text that is no origin."""
    region, node, incarnation_ = origin_.split("/")
    if not region or not node or len(incarnation_) != INCARNATION_DIGITS:
        raise ValueError(f"expected region/node/incarnation, found {origin_[:80]!r}")
    return region, node, incarnation_


def region_of(origin_: str) -> str:
    return parts(origin_)[0]


def node_of(origin_: str) -> str:
    return parts(origin_)[1]


def incarnation_of(origin_: str) -> str:
    return parts(origin_)[2]
