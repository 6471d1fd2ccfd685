"""Outage of a cut: a maximal span in which its availability is below steady − 0.05 in at least two
consecutive windows; a single bad window is none.

Onset: the due time of the first operation of the first bad window that was not ok in time; end:
that of the last such one of the last bad window. So both are finer than the windows. `ongoing`: the
last bad window is the last one under load. Latency outage, reported apart and never part of a blast
radius: p99 of the ok operations above 5 × steady's and above 250 ms in at least two consecutive
windows, overall or in one operation kind; windows with fewer than 20 ok operations have no p99,
they break no outage and begin none; onset and end are the first and last operation above the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import polars as pl

from lab.clock import NS_PER_S
from lab.history import History, Span
from lab.measurements import CutAvailability, Measurements, Outage
from lab.measures.operations import in_cut, load_operations, load_span
from lab.measures.windows import MIN_DUE, spans

DROP = 0.05
SLOWER = 5
SLOW_MS = 250.0


def measure(history: History, done: Measurements) -> list[Outage]:
    """Every outage of every region and cut, by onset."""
    span = load_span(history)
    if span is None:
        return []
    load = load_operations(history)
    found: list[Outage] = []
    for region, cuts in done.availability.items():
        own = load.filter(pl.col("region") == region)
        for cut, availability in cuts.items():
            steady = done.latency.get(region, {}).get(cut, {}).get("steady")
            found += _Cut(region, cut, own.filter(in_cut(cut)), span, availability).outages(
                steady.p99_ms if steady else None
            )
    return sorted(found, key=lambda o: (o.onset_s, o.region, o.cut, o.kind))


class _Cut:
    """The operations of one region and cut, with the windows they were counted in."""

    def __init__(self, region: str, cut: str, rows: pl.DataFrame, span: Span, availability: CutAvailability) -> None:
        self.region, self.cut, self.span, self.availability = region, cut, span, availability
        width = availability.windows.width_s if availability.windows else 1
        self.rows = rows.with_columns(window=(pl.col("at_ns") - span.begin_ns) // (width * NS_PER_S))

    def outages(self, steady_p99_ms: float | None) -> Iterator[Outage]:
        if self.availability.windows is None:
            return
        if self.availability.steady is not None:
            yield from self._unavailable(self.availability.windows.values, self.availability.steady)
        if steady_p99_ms is not None:
            yield from self._slow(len(self.availability.windows.values), steady_p99_ms)

    def _unavailable(self, values: list[float], steady: float) -> Iterator[Outage]:
        for first, last in spans([value < steady - DROP for value in values]):
            depth = steady - min(values[first : last + 1])
            yield self._outage("availability", ~pl.col("in_time"), first, last, last == len(values) - 1, depth)

    def _slow(self, windows: int, steady_p99_ms: float) -> Iterator[Outage]:
        limit_ms = max(SLOWER * steady_p99_ms, SLOW_MS)
        ok = pl.col("outcome") == "ok"
        valued = (
            self.rows.filter(ok, pl.col("window") < windows)
            .group_by("window")
            .agg(count=pl.len(), p99_ms=pl.col("latency_ms").quantile(0.99, "linear"))
            .filter(pl.col("count") >= MIN_DUE)
            .sort("window")
        )
        p99s, numbers = valued["p99_ms"].to_list(), valued["window"].to_list()
        slow = ok & (pl.col("latency_ms") > limit_ms)
        for first, last in spans([p99 > limit_ms for p99 in p99s]):
            ongoing, worst = last == len(p99s) - 1, max(p99s[first : last + 1])
            yield self._outage("latency", slow, numbers[first], numbers[last], ongoing, worst)

    def _outage(
        self, kind: Literal["availability", "latency"], harmed: pl.Expr,
        first: int, last: int, ongoing: bool, depth: float,
    ) -> Outage:  # fmt: skip
        due_ns = self.rows.filter(harmed, pl.col("window").is_between(first, last))["at_ns"]
        onset_ns, end_ns = due_ns[0], due_ns[-1]
        lost = self.rows.filter(~pl.col("in_time"), pl.col("at_ns").is_between(onset_ns, end_ns)).height
        return Outage(
            region=self.region,
            cut=self.cut,
            kind=kind,
            onset_s=(onset_ns - self.span.begin_ns) / NS_PER_S,
            end_s=(end_ns - self.span.begin_ns) / NS_PER_S,
            ongoing=ongoing,
            depth=depth,
            lost_operations=lost,
        )
