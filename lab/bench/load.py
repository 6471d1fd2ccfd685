"""Puts, as many as go or as many as are due, and how long each took.

Both stores are driven by the same code in this one process. Owns the measuring; knows nothing of stores
but a function that puts. A put that failed, or was never answered, was acknowledged after no time at all that
could be named: in a percentile it stands as infinitely late, so that a store can't look quick by refusing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from lab.bench.spread import percentile

Put = Callable[[str, bytes], Awaitable[Any]]
VALUE = b"v" * 100
TICK_S = 0.001
DRAIN_S = 10.0
UNANSWERED = "unanswered"


@dataclass
class Window:
    """Puts of one measurement. took_ms: of acknowledged ones; failed: how many, by kind of error; cpu_s: what was
    used meanwhile, by whom, in seconds."""

    seconds: float = 0.0
    took_ms: list[float] = field(default_factory=list)
    degraded: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    cpu_s: dict[str, float] = field(default_factory=dict)

    @property
    def per_s(self) -> float:
        return len(self.took_ms) / self.seconds

    @property
    def p50_ms(self) -> float:
        return percentile(self._all_ms(), 0.5)

    @property
    def p99_ms(self) -> float:
        return percentile(self._all_ms(), 0.99)

    def cpu_per_1000(self, who: str) -> float:
        """CPU-seconds."""
        return self.cpu_s[who] * 1000 / max(1, len(self.took_ms))

    def _all_ms(self) -> list[float]:
        return [*self.took_ms, *[math.inf] * self.failed.total()]

    async def time(self, put: Put, key: str, value: bytes, at_s: float = math.inf) -> None:
        """Make one put, and keep what became of it. at_s: it is timed from then, if it begins later."""
        began = min(time.perf_counter(), at_s)
        try:
            answer = await put(key, value)
        except Exception as error:
            self.failed[type(error).__name__] += 1
        except asyncio.CancelledError:
            self.failed[UNANSWERED] += 1
            raise
        else:
            self.took_ms.append((time.perf_counter() - began) * 1000)
            if getattr(answer, "degraded", False):
                self.degraded += 1


def keys(prefix: str, count: int) -> Iterator[str]:
    """Over and over."""
    return cycle([f"{prefix}.{number:06d}" for number in range(count)])


async def closed(
    put: Put,
    names: Iterator[str],
    in_flight: int,
    seconds: float,
    ramp_s: float = 0.0,
    used: Callable[[], dict[str, float]] = dict,
) -> Window:
    """So many in flight all the time; those count that are begun in the `seconds` after the ramp.

    used: who has used how much CPU so far.
    """
    current, until = Window(), time.perf_counter() + ramp_s + seconds

    async def one_after_another() -> None:
        while time.perf_counter() < until:
            await current.time(put, next(names), VALUE)

    workers = [asyncio.create_task(one_after_another()) for _ in range(in_flight)]
    try:
        await asyncio.sleep(ramp_s)
        current = Window()  # the ramp's is forgotten
        before, began = used(), time.perf_counter()
        await asyncio.sleep(until - began)
        current.cpu_s = {who: cpu_s - before.get(who, 0.0) for who, cpu_s in used().items()}
        current.seconds = until - began
        await asyncio.wait(workers, timeout=DRAIN_S)
    finally:
        await _ended(workers)
    return current


async def paced(put: Put, names: Iterator[str], per_s: float, until: Callable[[float], bool]) -> Window:
    """One put after another as they fall due, whether or not earlier ones have been answered.

    until: given the seconds since the begin, whether to stop. A put is timed from when it was due, whoever kept it
    from beginning, but for one tick: the loop's clock has no finer ones, and no store is at fault for those.
    """
    window, began, sent = Window(), time.perf_counter(), 0
    tasks: set[asyncio.Task[None]] = set()
    try:
        while not until(passed := time.perf_counter() - began):
            while sent < passed * per_s:
                due_s = began + sent / per_s + TICK_S
                task = asyncio.create_task(window.time(put, next(names), VALUE, due_s))
                sent += 1
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(TICK_S)
        window.seconds = time.perf_counter() - began
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_S)
    finally:
        await _ended(list(tasks))
    return window


async def paced_for(put: Put, names: Iterator[str], per_s: float, seconds: float) -> Window:
    return await paced(put, names, per_s, lambda passed: passed >= seconds)


async def all_of(put: Put, names: Iterator[str], value: bytes, in_flight: int) -> Window:
    """Put each key once."""
    window, began = Window(), time.perf_counter()

    async def one_after_another() -> None:
        for name in names:
            await window.time(put, name, value)

    workers = [asyncio.create_task(one_after_another()) for _ in range(in_flight)]
    try:
        await asyncio.gather(*workers)
    finally:
        await _ended(workers)
    window.seconds = time.perf_counter() - began
    return window


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
