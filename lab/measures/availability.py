"""Availability of a region in a window: operations due in it that were ok within their deadline,
divided by operations due in it.

An operation is due at its intended start, whether or not the client came round to sending it (no
coordinated omission); the deadline counts from there. Cuts: overall, by operation kind, by whose
keys (own region's, others'). Windows begin with steady and are the smallest whole seconds wide at
which every full window under load holds at least 20 due operations of the cut; a trailing partial
window is dropped, and there are none where even the whole load is too thin. A phase's availability
is that of all its operations (steady without its first 2 s and without those still open when the
first fault was entering: it may have caught them in flight), and None below 20 of them.
`longest_gap_s` is the longest stretch of due times under load without one that was ok in time.
"""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from lab.clock import NS_PER_S
from lab.history import History, Span
from lab.measurements import CUTS, PHASES, CutAvailability, Measurements, Windows
from lab.measures.operations import in_cut, load_operations, load_span
from lab.measures.windows import MIN_DUE, fold, per_second, width_s


def measure(history: History, done: Measurements) -> dict[str, dict[str, CutAvailability]]:
    """Region → cut → availability; {} when nothing ran under load."""
    span = load_span(history)
    if span is None:
        return {}
    load = load_operations(history)
    by_region = {region: load.filter(pl.col("region") == region) for region in history.topology.regions}
    return {region: {cut: _of(rows.filter(in_cut(cut)), span) for cut in CUTS} for region, rows in by_region.items()}


def _of(rows: pl.DataFrame, span: Span) -> CutAvailability:
    phases = dict(
        rows.group_by("load_phase").agg(value=pl.when(pl.len() >= MIN_DUE).then(pl.col("in_time").mean())).rows()
    )
    steady, fault, recovery = (phases.get(name) for name in PHASES)
    return CutAvailability(
        steady=steady,
        fault=fault,
        recovery=recovery,
        due=rows.height,
        ok=int(rows["in_time"].sum()),
        late=rows.filter((pl.col("outcome") == "ok") & ~pl.col("in_time")).height,
        longest_gap_s=_longest_gap_s(rows, span),
        windows=_windows(rows, span),
    )


def _windows(rows: pl.DataFrame, span: Span) -> Windows | None:
    due = per_second(rows["at_ns"], span.begin_ns, span.end_ns)
    width = width_s(due)
    if width is None:
        return None
    in_time = per_second(rows.filter("in_time")["at_ns"], span.begin_ns, span.end_ns)
    folded = fold(due, width)
    values = [ok / all_due for ok, all_due in zip(fold(in_time, width), folded, strict=True)]
    return Windows(begin_s=0.0, width_s=width, values=values, due=folded)


def _longest_gap_s(rows: pl.DataFrame, span: Span) -> float | None:
    if rows.is_empty():
        return None
    instants: list[int] = [span.begin_ns, *rows.filter("in_time")["at_ns"], span.end_ns]
    return max(b - a for a, b in pairwise(instants)) / NS_PER_S
