"""Origins and versions: who wrote, and which of two records of a key is the later one.

Owns their text forms and their order. Knows nothing of records, tables or clocks.

An *origin* is `region/node/incarnation`, one text, so that it hashes and compares at the speed of
text and travels as it is. An *incarnation* is 28 hex digits: 12 of wall milliseconds, 16 of random
bits; every start of a node takes a new one, above every one known of it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

INCARNATION_DIGITS = 28
INCARNATION_PATTERN = r"^0[0-9a-f]{27}\Z"
MEMBER_PATTERN = r"^[^/]{1,128}/[^/]{1,128}\Z"
ORIGIN_PATTERN = r"^[^/]{1,128}/[^/]{1,128}/0[0-9a-f]{27}\Z"
LATEST_MS = 7_258_118_400_000
"""2200-01-01 in Unix milliseconds: a later time is no clock's error but a malformed frame."""
LAST_MS = 2**44 - 1
"""More than an incarnation has room for."""
COUNTER_LIMIT = 2**32
"""A higher counter is no writer's but a malformed frame; a writer that comes to it goes on with the next ms."""
AHEAD_MS = 500
"""Versions further ahead of the own clock than this are adopted, counted and alarmed."""


class Version(NamedTuple):
    """Orders the records of one key. `time` in Unix ms of the writer's clock; `maker` the origin that made it."""

    time: int
    counter: int
    maker: str

    def __str__(self) -> str:
        return f"{self.time:012x}.{self.counter:08x}.{self.maker}"


NO_VERSION = Version(0, 0, "")


def version_of(text: str) -> Version:
    """The version a client holds as a revision. Raises ValueError."""
    time, counter, maker = text.split(".", 2)
    return Version(int(time, 16), int(counter, 16), maker)


def incarnation(wall_ms: int, bits: int, above: str = "") -> str:
    """A new incarnation, later than `above` even when the clock went back. bits: 64 random ones."""
    if above and int(above[:12], 16) >= wall_ms:
        wall_ms = int(above[:12], 16) + 1
    if wall_ms > LAST_MS:  # somebody stated what can't be; there still is a later one
        return f"{int(above, 16) + 1:028x}"
    return f"{wall_ms:012x}{bits & (2**64 - 1):016x}"


def origin(region: str, node: str, incarnation_: str) -> str:
    return f"{region}/{node}/{incarnation_}"


_origin = re.compile(ORIGIN_PATTERN)


@lru_cache(maxsize=65536)
def parts(origin_: str) -> tuple[str, str, str]:
    """(region, node, incarnation). Raises ValueError for a text that is no origin."""
    if _origin.match(origin_) is None:
        raise ValueError(f"expected region/node/incarnation, found {origin_[:80]!r}")
    region, node, incarnation_ = origin_.split("/")
    return region, node, incarnation_


def region_of(origin_: str) -> str:
    return parts(origin_)[0]


def node_of(origin_: str) -> str:
    return parts(origin_)[1]


def incarnation_of(origin_: str) -> str:
    return parts(origin_)[2]


def after(time: int, counter: int) -> tuple[int, int]:
    """The lowest (time, counter) above this one."""
    return (time, counter + 1) if counter + 1 < COUNTER_LIMIT else (time + 1, 0)


class VersionClock:
    """Makes the versions of one node's writes.

    A new version is above the node's clock and its last version, and above what is present or was seen
    of the key. Only the first two move it: a version from the future is passed by for its own key alone,
    so one region's wrong clock never becomes everybody's.
    """

    __slots__ = ("counter", "time")

    def __init__(self) -> None:
        self.time = self.counter = 0

    def next(self, wall_ms: int, *above: tuple[int, int]) -> tuple[int, int]:
        """(time, counter) of a new version; `above`: of versions of the key it must pass."""
        if wall_ms > self.time:
            self.time, self.counter = wall_ms, 0
        else:
            self.time, self.counter = after(self.time, self.counter)
        made = (self.time, self.counter)
        for time, counter in above:
            if (time, counter) >= made:
                made = after(time, counter)
        return made

    def raise_to(self, time: int, counter: int) -> None:
        """What was forgotten must stay below what is written from now on."""
        if (time, counter) > (self.time, self.counter):
            self.time, self.counter = time, counter
