"""One run → every number that is set beside another arm's, under its key. Reads measurements only.

Owns which numbers those are and between what limits each can lie; how arms are paired is for
`pairing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from lab.comparison.model import Key
from lab.measurements import PHASES, Measurements
from lab.repeats.gather import AMOUNT, SHARE, longest_outage_s
from lab.report import partial, rows
from lab.report.table import Row
from lab.results import Run

Found = tuple[Key, float | None]
Bounds = tuple[float, float]
SHARES = ("availability",)
SIGNED = ("lag_p50_ms", "lag_p99_ms")  # lag beyond the link's own delay may be negative
ANY = (-math.inf, math.inf)
Table = Mapping[Key, float]


def of_run(run: Run) -> dict[Key, float]:
    """What the run measured; what it did not is not there."""
    done = partial.measured(run)
    found: list[Found] = [*_whole(done)]
    for row in rows(run):
        found += _cut(done, row)
        if row["cut"] == "overall":
            found += _region(done, row)
    found += _lags(done)
    return {key: float(value) for key, value in found if value is not None}


def value(table: Table, key: Key) -> float | None:
    """A number of one run. An error nobody met there is 0, where errors were counted."""
    what, where, _, phase = key
    none = 0.0 if what == "errors" and ("errors", where, "", phase) in table else None
    return table.get(key, none)


def bounds(what: str) -> Bounds:
    """What a number can be at all."""
    if what in SIGNED:
        return ANY
    return SHARE if what in SHARES else AMOUNT


def difference_bounds(what: str) -> Bounds:
    return (-1.0, 1.0) if what in SHARES else ANY


def _whole(done: Measurements) -> Iterator[Found]:
    radius, amplification = done.blast_radius, done.amplification
    yield ("blast_radius_regions", "", "", ""), len(radius.regions) if radius else None
    yield ("collateral_region_seconds", "", "", ""), radius.collateral_region_seconds if radius else None
    yield ("longest_outage_s", "", "", ""), longest_outage_s(done) if radius else None
    yield ("writes_lost", "", "", ""), done.durability.lost if done.durability else None
    yield ("divergent_keys", "", "", ""), done.divergence.divergent if done.divergence else None
    for phase in PHASES:
        yield ("messages_per_operation", "", "", phase), getattr(amplification, phase, None)


def _cut(done: Measurements, row: Row) -> Iterator[Found]:
    region, cut = row["region"], row["cut"]
    for phase in PHASES:
        yield ("availability", region, cut, phase), row[phase]
        took = done.latency.get(region, {}).get(cut, {}).get(phase)
        yield ("p50_ms", region, cut, phase), took.p50_ms if took else None
        yield ("p99_ms", region, cut, phase), took.p99_ms if took else None
    yield ("outages", region, cut, ""), row["outages"]
    yield ("longest_outage_s", region, cut, ""), 0.0 if row["outages"] == 0 else row["longest_outage_s"]
    yield ("out_after_s", region, cut, ""), row["propagation_s"]
    yield ("longest_gap_s", region, cut, ""), row["longest_gap_s"]


def _region(done: Measurements, row: Row) -> Iterator[Found]:
    region = row["region"]
    for phase in PHASES:
        stale = done.staleness.get(region, {}).get(phase)
        yield ("staleness_p50_s", region, "", phase), stale.p50_s if stale else None
        yield ("staleness_max_s", region, "", phase), stale.max_s if stale else None
    if region in done.recovery:
        yield ("recovery_s", region, "", ""), row["recovery_s"]
        yield ("never_recovered", region, "", ""), row["never_recovered"]
        yield ("watches_never_resumed", region, "", ""), len(row["never_resumed"])
    yield ("writes_lost", region, "", ""), row["writes_lost"]
    if region in done.errors:
        yield ("errors", region, "", ""), sum(row["errors"].values())
        for code, count in row["errors"].items():
            yield ("errors", region, code, ""), count


def _lags(done: Measurements) -> Iterator[Found]:
    for link, phases in done.replication_lag.items():
        for phase, lag in phases.items():
            yield ("lag_p50_ms", link, "", phase), lag.p50_ms
            yield ("lag_p99_ms", link, "", phase), lag.p99_ms
            yield ("lag_unseen", link, "", phase), lag.unseen
