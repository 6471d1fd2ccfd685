"""What the witnesses read, one row a probe, and when faults were in force.

A held-up probe reports `silent` again and again before its answer comes; here such lines are one
probe: its answer if there is one, else the longest wait.
"""

from __future__ import annotations

import polars as pl

from lab.clock import NS_PER_MS
from lab.events import WitnessReading
from lab.history import FaultSpan, History

ANSWERED = pl.col("answer") == "ok"


def probes(history: History, stage: str) -> pl.DataFrame:
    """The probes of one stage (attest | run), with `link` (`a->b`) and `answered_ns` (null: never)."""
    readings = history.table(WitnessReading).filter(pl.col("stage") == stage)
    best_last = readings.sort(ANSWERED, "delay_ms").unique(
        ["source", "target", "at_ns"], keep="last", maintain_order=True
    )
    answered_ns = pl.col("at_ns") + (pl.col("delay_ms") * NS_PER_MS).round().cast(pl.Int64)
    return best_last.sort("at_ns").with_columns(
        link=pl.concat_str("source", pl.lit("->"), "target"),
        answered_ns=pl.when(ANSWERED).then(answered_ns),
    )


def healed_from_ns(fault: FaultSpan, history: History) -> int:
    """When the fault began to heal; the history's end when it never did."""
    ends = (fault.leaving_ns, fault.left_ns, history.last_ns)
    return next(end for end in ends if end is not None)


def in_force(history: History) -> pl.Expr:
    """Whether a probe was sent while all of a fault was in force: between pulses it isn't."""
    found: pl.Expr = pl.lit(False)
    for fault in history.faults:
        for entered_ns, leaving_ns in fault.pulses:
            end_ns = history.last_ns + 1 if leaving_ns is None else leaving_ns
            found = found | pl.col("at_ns").is_between(entered_ns, end_ns, closed="left")
    return found
