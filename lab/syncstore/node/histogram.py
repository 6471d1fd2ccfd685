"""Counts of durations, cheap enough to take all the time.

Owns the bounds. What is shown of it is `metrics`' business.
"""

from __future__ import annotations

from bisect import bisect_left

BOUNDS_MS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)


class Histogram:
    """counts: one for each bound (at or below it), and one for all above the last. All in ms."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0.0
        self.max_ms = 0.0
        self.last_ms = 0.0

    def add(self, took_ms: float) -> None:
        self.counts[bisect_left(BOUNDS_MS, took_ms)] += 1
        self.sum_ms += took_ms
        self.last_ms = took_ms
        if took_ms > self.max_ms:
            self.max_ms = took_ms

    def below_ms(self, share: float) -> float:
        """A bound that this share of all durations did not exceed; the maximum where that is nearer; 0 for none."""
        wanted = share * sum(self.counts)
        seen = 0
        for count, bound in zip(self.counts, BOUNDS_MS, strict=False):
            seen += count
            if seen >= wanted:
                return min(bound, self.max_ms)
        return self.max_ms

    def told(self) -> dict[str, float]:
        """For `/status`."""
        return {
            "count": sum(self.counts),
            "p50_ms": round(self.below_ms(0.5), 3),
            "p99_ms": round(self.below_ms(0.99), 3),
            "max_ms": round(self.max_ms, 3),
            "last_ms": round(self.last_ms, 3),
        }
