"""Latency: time from the intended start of an operation to its completion, of operations that ended
ok, late ones included; percentiles per phase.

Operations that never ended ok have no latency: read it beside availability. Percentiles are
interpolated linearly; steady is taken without its first 2 s and without operations still open when
the first fault was entering.
"""

from __future__ import annotations

import polars as pl

from lab.history import History
from lab.measurements import KINDS, PHASES, Measurements, Percentiles
from lab.measures.operations import in_cut, load_operations, load_span

NOTHING = Percentiles(count=0, p50_ms=None, p90_ms=None, p99_ms=None, max_ms=None)


def measure(history: History, done: Measurements) -> dict[str, dict[str, dict[str, Percentiles]]]:
    """Region → overall or operation kind → phase → percentiles; {} when nothing ran under load."""
    if load_span(history) is None:
        return {}
    ok = load_operations(history).filter(pl.col("outcome") == "ok", pl.col("load_phase").is_not_null())
    found = {cut: _by_region_and_phase(ok.filter(in_cut(cut))) for cut in ("overall", *KINDS)}
    return {
        region: {
            cut: {phase: cells.get((region, phase), NOTHING) for phase in PHASES if phase in history.phases}
            for cut, cells in found.items()
        }
        for region in history.topology.regions
    }


def _by_region_and_phase(rows: pl.DataFrame) -> dict[tuple[str, str], Percentiles]:
    took = pl.col("latency_ms")
    table = rows.group_by("region", "load_phase").agg(
        count=pl.len(),
        p50_ms=took.quantile(0.5, "linear"),
        p90_ms=took.quantile(0.9, "linear"),
        p99_ms=took.quantile(0.99, "linear"),
        max_ms=took.max(),
    )
    return {(row.pop("region"), row.pop("load_phase")): Percentiles(**row) for row in table.to_dicts()}
