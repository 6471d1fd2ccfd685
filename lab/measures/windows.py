"""Window arithmetic: counts per second → windows wide enough to be trusted → spans of bad ones.

Owns the numbers 20 (operations a window) and 2 (consecutive windows). Knows nothing of
operations, regions or faults: plain numbers in, plain numbers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from lab.clock import NS_PER_S

MIN_DUE = 20
MIN_WINDOWS = 2


def per_second(instants_ns: Iterable[int], begin_ns: int, end_ns: int) -> list[int]:
    """How many instants fall into each whole second of [begin, end); a partial last one is dropped."""
    counts = [0] * max(0, (end_ns - begin_ns) // NS_PER_S)
    for at_ns in instants_ns:
        second = (at_ns - begin_ns) // NS_PER_S
        if 0 <= second < len(counts):
            counts[second] += 1
    return counts


def width_s(due_per_second: Sequence[int], least: int = MIN_DUE) -> int | None:
    """The smallest width at which every full window holds `least`; None when none does."""
    sums = [0, *accumulate(due_per_second)]
    seconds = len(due_per_second)
    for width in range(1, seconds + 1):
        if all(sums[i + width] - sums[i] >= least for i in range(0, seconds - width + 1, width)):
            return width
    return None


def fold(per_second_counts: Sequence[int], width: int) -> list[int]:
    """Counts per second → counts per full window of `width` seconds; a trailing rest is dropped."""
    full = len(per_second_counts) // width
    return [sum(per_second_counts[i * width : (i + 1) * width]) for i in range(full)]


def spans(bad: Sequence[bool], least: int = MIN_WINDOWS) -> list[tuple[int, int]]:
    """(first, last) of every maximal stretch of at least `least` bad windows."""
    found, first = [], None
    for i, is_bad in enumerate([*bad, False]):
        if is_bad and first is None:
            first = i
        elif not is_bad and first is not None:
            if i - first >= least:
                found.append((first, i - 1))
            first = None
    return found


def shortfall_s(values: Sequence[float], steady: float, begin_s: float, width: int, since_s: float) -> float:
    """∫ max(0, 1 − value ÷ steady) dt from `since_s` to the last window's end, in seconds."""
    total = 0.0
    for i, value in enumerate(values):
        end_s = begin_s + (i + 1) * width
        overlap_s = min(float(width), max(0.0, end_s - since_s))
        total += max(0.0, 1 - value / steady) * overlap_s
    return total
