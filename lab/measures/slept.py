"""Sleep: seconds the machine was suspended during the run, plus seconds under load in which no worker
of any region recorded anything, counted from 5 s on.

The monotonic clock stands still in a suspend, so the runner compares it with the clock that does
not, and notes the difference. Workers note their event loop's lag every 20 ms; stretches of more
than 5 s without a note that all regions share are the machine's (paused, starved), not a worker's.
"""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from lab.clock import NS_PER_S
from lab.events import LoopLag, Note
from lab.history import History, Span
from lab.measurements import Measurements
from lab.measures.operations import load_span, within

LEAST_S = 5


def measure(history: History, done: Measurements) -> float | None:
    """None when some region's worker recorded no lag at all."""
    span = load_span(history)
    if span is None:
        return None
    lags = history.table(LoopLag).filter(within(span))
    shared: list[Span] | None = None
    for region in history.topology.regions:
        noted = lags.filter(pl.col("region") == region)["at_ns"].to_list()
        if not noted:
            return None
        gaps = _gaps(noted)
        shared = gaps if shared is None else _overlaps(shared, gaps)
    return sum((gap.seconds for gap in shared or []), 0.0) + _suspended_s(history)


def _suspended_s(history: History) -> float:
    notes = history.table(Note).filter(pl.col("name") == "slept")
    return sum(float(text) for text in notes["text"])


def _gaps(noted_ns: list[int]) -> list[Span]:
    return [Span(a, b) for a, b in pairwise(noted_ns) if b - a > LEAST_S * NS_PER_S]


def _overlaps(some: list[Span], others: list[Span]) -> list[Span]:
    both = [Span(max(a.begin_ns, b.begin_ns), min(a.end_ns, b.end_ns)) for a in some for b in others]
    return [span for span in both if span.seconds > LEAST_S]
