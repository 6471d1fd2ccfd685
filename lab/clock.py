"""The one monotonic clock and the seeded random source.

Every instant of a run, in every process on this host, is CLOCK_MONOTONIC in nanoseconds, so
events of workers, nemesis and witnesses can be laid on one line without correction. Wall time
appears only in pairs, to place server log lines and to notice a machine that slept.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


def now_ns() -> int:
    """Now, in nanoseconds of CLOCK_MONOTONIC."""
    return time.monotonic_ns()


def wall_pair() -> tuple[int, int]:
    """(wall, monotonic) in ns, read together."""
    return time.time_ns(), now_ns()


def asleep_s() -> float:
    """Seconds this machine has been suspended since it booted; 0 where the system can't tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boot is None else time.clock_gettime(boot) - time.monotonic()


async def sleep_until(at_ns: int) -> None:
    """Return at `at_ns` or as soon after as the loop allows; at once when it has passed."""
    while (left_ns := at_ns - now_ns()) > 0:
        await asyncio.sleep(left_ns / NS_PER_S)


def seeded(seed: int, *labels: object) -> random.Random:
    """A generator for one purpose: equal seed and labels give equal draws on every machine,
    and drawing more for one purpose never shifts another's."""
    text = "/".join([str(seed), *map(str, labels)])
    return random.Random(hashlib.sha256(text.encode()).digest())
