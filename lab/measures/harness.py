"""Harness: how the lab itself did in each region's worker: how late its event loop woke (every 20 ms
under load), how late operations were begun (which no stall can hide from), operations it could not
start (`shed`), most operations in flight, and whether its record is complete (it said `done`).
"""

from __future__ import annotations

import polars as pl

from lab.clock import NS_PER_MS
from lab.events import LoopLag, WorkerMark
from lab.history import History
from lab.measurements import Harness, Measurements
from lab.measures.operations import load_operations, load_span, within


def measure(history: History, done: Measurements) -> dict[str, Harness]:
    """Region → harness, also for regions whose worker left no line."""
    span = load_span(history)
    lags = history.table(LoopLag).filter(within(span) if span else pl.lit(False))
    operations = load_operations(history)
    ended = history.table(WorkerMark).filter(pl.col("state") == "done")
    return {
        region: _of(*(table.filter(pl.col("region") == region) for table in (lags, operations, ended)))
        for region in history.topology.regions
    }


def _of(lags: pl.DataFrame, operations: pl.DataFrame, ended: pl.DataFrame) -> Harness:
    lag = pl.col("lag_ms")
    p50_ms, p99_ms, max_ms = lags.select(
        lag.quantile(0.5, "linear"), p99=lag.quantile(0.99, "linear"), max=lag.max()
    ).row(0)
    late_ms = (pl.col("started_ns") - pl.col("at_ns")).quantile(0.99, "linear") / NS_PER_MS
    in_flight_max = ended.select(pl.col("in_flight_max").max()).item()
    return Harness(
        loop_lag_p50_ms=p50_ms,
        loop_lag_p99_ms=p99_ms,
        loop_lag_max_ms=max_ms,
        start_late_p99_ms=operations.filter(pl.col("started_ns") > 0).select(late_ms).item(),
        shed=operations.filter(pl.col("error") == "shed").height,
        in_flight_max=in_flight_max or 0,
        complete=not ended.is_empty(),
    )
