"""Harness: how the lab itself did in each region's worker: how late its event loop woke
(every 20 ms under load), operations it could not start (`shed`), most operations in flight, and
whether its record is complete (it said `done`).
"""

from __future__ import annotations

import polars as pl

from lab.events import LoopLag, WorkerMark
from lab.history import History
from lab.measurements import Harness, Measurements
from lab.measures.operations import load_operations, load_span, within


def measure(history: History, done: Measurements) -> dict[str, Harness]:
    """Region → harness, also for regions whose worker left no line."""
    span = load_span(history)
    lags = history.table(LoopLag).filter(within(span) if span else pl.lit(False))
    shed = load_operations(history).filter(pl.col("error") == "shed")
    ended = history.table(WorkerMark).filter(pl.col("state") == "done")
    return {
        region: _of(*(table.filter(pl.col("region") == region) for table in (lags, shed, ended)))
        for region in history.topology.regions
    }


def _of(lags: pl.DataFrame, shed: pl.DataFrame, ended: pl.DataFrame) -> Harness:
    lag = pl.col("lag_ms")
    p50_ms, p99_ms, max_ms = lags.select(
        lag.quantile(0.5, "linear"), p99=lag.quantile(0.99, "linear"), max=lag.max()
    ).row(0)
    in_flight_max = ended.select(pl.col("in_flight_max").max()).item()
    return Harness(
        loop_lag_p50_ms=p50_ms,
        loop_lag_p99_ms=p99_ms,
        loop_lag_max_ms=max_ms,
        shed=shed.height,
        in_flight_max=in_flight_max or 0,
        complete=not ended.is_empty(),
    )
