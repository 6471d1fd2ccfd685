"""Virtual time: a heap of what is to happen, in order of (instant, order of being planned).

Owns the one clock of a world. Knows nothing of who plans what.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any


class Timeline:
    """`now_ms` moves only here."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0

    def at(self, when_ms: float, call: Callable[..., None], *args: Any) -> None:
        """Call at that instant, or now where it has passed. What was planned first goes first."""
        self._planned += 1
        heappush(self._heap, (max(when_ms, self.now_ms), self._planned, call, args))

    def after(self, ms: float, call: Callable[..., None], *args: Any) -> None:
        self.at(self.now_ms + ms, call, *args)

    def run_until(self, end_ms: float) -> None:
        """Everything planned before `end_ms`; then it is `end_ms`."""
        heap = self._heap
        while heap and heap[0][0] <= end_ms:
            when, _, call, args = heappop(heap)
            self.now_ms = when
            self.events += 1
            call(*args)
        self.now_ms = max(self.now_ms, end_ms)
