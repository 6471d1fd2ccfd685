"""Amplification: messages the backend's nodes handled per operation that ended ok, by phase; ratio
= fault ÷ steady.

Nodes tell a running total (`messages_total`); within a phase its increases are added up over all
nodes, and a total that drops (a restarted node) counts from zero. The operations are those that
ended ok between the first and the last sample of the phase, so that a sampling interval at its
edges does not look like fewer messages. None where no node was sampled twice or nothing ended ok.
"""

from __future__ import annotations

import polars as pl

from lab.events import Operation
from lab.history import History, Span
from lab.measurements import PHASES, Amplification, Measurements
from lab.measures.operations import phase_spans, within


def measure(history: History, done: Measurements) -> Amplification | None:
    """None when the backend tells no message totals."""
    totals = history.samples.filter(pl.col("name") == "messages_total", pl.col("number").is_not_null())
    if totals.is_empty() or not history.phases:
        return None
    ended_ns = history.table(Operation).filter(pl.col("phase") == "load", pl.col("outcome") == "ok")
    spans = phase_spans(history)
    values = {
        phase: _per_operation(totals.filter(within(spans[phase])), ended_ns) if phase in spans else None
        for phase in PHASES
    }
    steady, fault = values["steady"], values["fault"]
    return Amplification(**values, ratio=fault / steady if steady and fault is not None else None)


def _per_operation(totals: pl.DataFrame, operations: pl.DataFrame) -> float | None:
    rise = pl.col("number").diff().over("node")
    rises = totals.sort("node", "at_ns").select(rise=pl.when(rise < 0).then(pl.col("number")).otherwise(rise))["rise"]
    if rises.drop_nulls().is_empty():
        return None
    begin_ns, end_ns = totals.select(pl.col("at_ns").min(), end=pl.col("at_ns").max()).row(0)
    completed = operations.filter(within(Span(begin_ns, end_ns), "ended_ns")).height
    return float(rises.sum()) / completed if completed else None
