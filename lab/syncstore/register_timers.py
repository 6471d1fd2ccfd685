"""Calls that are due later, and what waits for the disk: the two ways in which the registers wait.

Owns the two queues. Knows nothing of what is waited for.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from math import inf
from typing import Any

from lab.syncstore.ports import Moment

Call = Callable[[Moment, Any], None]


class Timers:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Call, Any]] = []
        self._order = count()

    @property
    def next_ms(self) -> float:
        return self._heap[0][0] if self._heap else inf

    def at(self, when_ms: float, call: Call, argument: Any) -> None:
        heapq.heappush(self._heap, (when_ms, next(self._order), call, argument))

    def run(self, now: Moment) -> None:
        while self._heap and self._heap[0][0] <= now.mono_ms:
            _, _, call, argument = heapq.heappop(self._heap)
            call(now, argument)


class Outbox:
    """What is said or done once a position of the log is durable. Positions are above 0; what was restored at
    the start counts as durable."""

    def __init__(self) -> None:
        self.durable = 0
        self._ready: deque[Callable[[Moment], None]] = deque()
        self._waiting: deque[tuple[int, Callable[[Moment], None]]] = deque()

    def when(self, position: int, action: Callable[[Moment], None]) -> None:
        """What waits for an earlier position than the one before it goes right after that one."""
        if position <= self.durable:
            self._ready.append(action)
        else:
            self._waiting.append((position, action))

    def run(self, now: Moment) -> None:
        while self._waiting and self._waiting[0][0] <= self.durable:
            self._waiting.popleft()[1](now)
        while self._ready:
            self._ready.popleft()(now)
