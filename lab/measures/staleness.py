"""Staleness of a read of others' keys: how long the copy read had been out of date: the time from
the acknowledgement of the oldest write of that key it did not show to the start of the read; 0 if
it showed every write acknowledged before the read started.

The oldest unseen write, not the newest: with the newest, an hour-long partition could never look
staler than one interval between writes, a flattering number. Only reads that were ok count, by the
phase they were due in, so this stands beside availability: a store that answers with old data pays
here, one that does not answer pays there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from itertools import accumulate
from statistics import median

import polars as pl

from lab.clock import NS_PER_S
from lab.events import Operation
from lab.history import History
from lab.measurements import PHASES, Measurements, Staleness
from lab.measures.operations import load_operations, load_span

Acknowledged = tuple[list[str], list[int]]  # revisions ascending; earliest ack of that one or newer


def measure(history: History, done: Measurements) -> dict[str, dict[str, Staleness]]:
    """Region → phase → staleness; {} when nothing ran under load."""
    if load_span(history) is None:
        return {}
    ages: dict[tuple[str, str], list[float]] = defaultdict(list)
    writes = _writes(history)
    reads = load_operations(history).filter(pl.col("kind") == "get_others", pl.col("outcome") == "ok")
    columns = ("region", "load_phase", "home", "key", "revision", "started_ns")
    for region, phase, home, key, revision, started_ns in reads.select(columns).iter_rows():
        ages[region, phase].append(_age_s(writes.get((home, key)), revision, started_ns))
    return {
        region: {phase: _of(ages[region, phase]) for phase in PHASES if phase in history.phases}
        for region in history.topology.regions
    }


def _writes(history: History) -> dict[tuple[str, str], Acknowledged]:
    puts = history.table(Operation).filter(
        pl.col("operation") == "put", pl.col("outcome") == "ok", pl.col("revision") != ""
    )
    found: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for home, key, revision, ended_ns in puts.select("home", "key", "revision", "ended_ns").iter_rows():
        found[home, key].append((revision, ended_ns))
    return {key: _earliest_from_each(sorted(writes)) for key, writes in found.items()}


def _earliest_from_each(writes: list[tuple[str, int]]) -> Acknowledged:
    earliest = list(accumulate((ended_ns for _, ended_ns in reversed(writes)), min))
    return [revision for revision, _ in writes], earliest[::-1]


def _age_s(writes: Acknowledged | None, revision: str, started_ns: int) -> float:
    if writes is None:
        return 0.0
    revisions, earliest_ns = writes
    newer = bisect_right(revisions, revision)
    if newer == len(revisions) or earliest_ns[newer] > started_ns:
        return 0.0
    return (started_ns - earliest_ns[newer]) / NS_PER_S


def _of(ages_s: list[float]) -> Staleness:
    return Staleness(
        reads=len(ages_s),
        stale_reads=sum(age > 0 for age in ages_s),
        p50_s=median(ages_s) if ages_s else None,
        max_s=max(ages_s, default=None),
    )
