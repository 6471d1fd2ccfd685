"""Replication lag of a→b: time from the acknowledgement of a write in a until a probe watch in b
showed it, minus the link's one-way delay; may be negative.

A watch may leave out a write that a newer one of the same key has superseded, so a write counts as
seen at the first sight of its own or a newer revision. `unseen`: acknowledged, but never shown
until the end of the run. By the phase of the acknowledgement; only pairs whose watch showed
anything at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate

import polars as pl

from lab.clock import NS_PER_MS
from lab.events import Operation, Visible
from lab.history import History
from lab.measurements import PHASES, Lag, Measurements
from lab.measures.operations import load_span, phase_of
from lab.topology import Link

Sights = dict[str, tuple[list[str], list[int]]]  # key → revisions ascending; first sight of it or newer


def measure(history: History, done: Measurements) -> dict[str, dict[str, Lag]]:
    """`a->b` → phase → lag; {} when nothing ran under load."""
    if load_span(history) is None:
        return {}
    writes = _writes(history)
    phases = [phase for phase in PHASES if phase in history.phases]
    found = {}
    for link, sights in sorted(_sights(history).items()):
        lags = _lags_ms(writes.get(link.source, []), sights, history.topology.one_way_ms(link))
        found[str(link)] = {phase: _of(lags.get(phase, [])) for phase in phases}
    return found


def _writes(history: History) -> dict[str, list[tuple[str, str, str, int]]]:
    """Home → (phase, key, revision, ended_ns) of the writes acknowledged there under load."""
    rows = (
        history.table(Operation)
        .filter(
            pl.col("operation") == "put", pl.col("outcome") == "ok", pl.col("phase") == "load",
            pl.col("revision") != "", pl.col("home") == pl.col("region"),
        )
        .with_columns(ended_in=phase_of(history, "ended_ns"))
        .filter(pl.col("ended_in").is_not_null())
    )  # fmt: skip
    found: dict[str, list[tuple[str, str, str, int]]] = defaultdict(list)
    for home, *write in rows.select("home", "ended_in", "key", "revision", "ended_ns").iter_rows():
        found[home].append(tuple(write))
    return found


def _sights(history: History) -> dict[Link, Sights]:
    by_key: dict[Link, dict[str, list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    rows = history.table(Visible).select("home", "region", "key", "revision", "at_ns")
    for home, region, key, revision, at_ns in rows.iter_rows():
        by_key[Link(home, region)][key].append((revision, at_ns))
    return {link: {key: _first_from_each(sorted(seen)) for key, seen in keys.items()} for link, keys in by_key.items()}


def _first_from_each(seen: list[tuple[str, int]]) -> tuple[list[str], list[int]]:
    firsts = list(accumulate((at_ns for _, at_ns in reversed(seen)), min))
    return [revision for revision, _ in seen], firsts[::-1]


def _lags_ms(
    writes: Iterable[tuple[str, str, str, int]], sights: Sights, one_way_ms: float
) -> dict[str, list[float | None]]:
    """Phase → the lag of every write in ms, None for one never seen."""
    lags: dict[str, list[float | None]] = defaultdict(list)
    for phase, key, revision, ended_ns in writes:
        revisions, at_ns = sights.get(key, ([], []))
        i = bisect_left(revisions, revision)
        seen = i < len(revisions)
        lags[phase].append((at_ns[i] - ended_ns) / NS_PER_MS - one_way_ms if seen else None)
    return lags


def _of(lags_ms: list[float | None]) -> Lag:
    seen = pl.Series([lag for lag in lags_ms if lag is not None], dtype=pl.Float64)
    return Lag(
        count=len(seen),
        p50_ms=seen.quantile(0.5, "linear"),
        p99_ms=seen.quantile(0.99, "linear"),
        unseen=len(lags_ms) - len(seen),
    )
