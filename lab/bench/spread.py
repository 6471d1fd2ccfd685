"""What several numbers of one kind come to. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The middle, least and most of what was measured."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError for no values."""
        several = list(values)
        if not several:
            raise ValueError("expected at least one value, found none")
        return cls(median(several), min(several), max(several))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the least value that so great a share of all is at or below; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Pair by pair. Raises ValueError where they aren't pairs."""
    return [over / under if under else math.inf for over, under in zip(above, below, strict=True)]
