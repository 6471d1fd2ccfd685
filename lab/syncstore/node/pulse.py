"""When the engine wants to be woken, and how late this process is.

Owns two timers. A timer that was armed too early is left to ring and armed anew: most wishes are
moved a thousand times before they come true.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from lab.syncstore.node.histogram import Histogram

LAG_EVERY_S = 0.1


class Alarm:
    """Calls `ring` at a time of the monotonic clock, in ms, or a little later, never before."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring, self._loop = ring, asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms = self._wanted_ms = math.inf

    def at(self, wanted_ms: float) -> None:
        self._wanted_ms = wanted_ms
        if wanted_ms < self._armed_ms:
            self._arm(wanted_ms)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_ms, self._wanted_ms = None, math.inf, math.inf

    def _arm(self, at_ms: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ms = at_ms
        delay_ms = math.ceil(max(0.0, at_ms - time.monotonic() * 1000))  # the loop's own timers count in whole ms
        self._timer = self._loop.call_later(delay_ms / 1000, self._rung)

    def _rung(self) -> None:
        self._timer, self._armed_ms = None, math.inf
        if self._wanted_ms > time.monotonic() * 1000:
            self.at(self._wanted_ms)
            return
        self._wanted_ms = math.inf
        self._ring()


class LoopLag:
    """How late a timer of LAG_EVERY_S rings, again and again: what every request waits in addition."""

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self._due = time.monotonic() + LAG_EVERY_S
        self._timer = self._loop.call_later(LAG_EVERY_S, self._rung)

    def _rung(self) -> None:
        self.histogram.add(max(0.0, (time.monotonic() - self._due) * 1000))
        self._arm()
