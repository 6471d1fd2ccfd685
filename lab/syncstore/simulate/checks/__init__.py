"""What SyncStore promises, asked of a world: each check gives the broken promises as sentences.

`content` and `answers` judge while a world lives, `service` over its whole life, `rest` when it has come
to rest. None knows the schedule but where a promise names it: disks that were lost, clocks that are
wrong, regions that were evicted, harm inside a region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

TOLD_AT_MOST = 12


def brief(broken: Iterable[str]) -> list[str]:
    """At most so many of each beginning, in the order in which they were found."""
    counts: Counter[str] = Counter()
    kept: list[str] = []
    for one in broken:
        kind = " ".join(one.split()[1:4])
        counts[kind] += 1
        if counts[kind] <= 3 and len(kept) < TOLD_AT_MOST:
            kept.append(one)
    return kept
