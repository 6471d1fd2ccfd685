"""The load of a run as one table, and the cuts it is looked at in.

Owns what "due", "in time" and a cut mean; knows no windows and no faults. Only rows of phase
`load` count, and of these only those due within the load span: preload and read-back are not what
a user would have felt.
"""

from __future__ import annotations

import polars as pl

from lab.clock import NS_PER_MS, NS_PER_S
from lab.events import Operation
from lab.history import History, Span
from lab.measurements import KINDS, PHASES

DEFAULT_DEADLINE_S = 2.0
WARM_UP_S = 2

KIND = (
    pl.when(pl.col("operation") != "get")
    .then(pl.col("operation"))
    .when(pl.col("home") == pl.col("region"))
    .then(pl.lit("get_own"))
    .otherwise(pl.lit("get_others"))
)


def deadline_s(history: History) -> float:
    """How long an operation may take, in seconds from its intended start."""
    return float(history.experiment.workload.settings.get("deadline_s", DEFAULT_DEADLINE_S))


def load_span(history: History) -> Span | None:
    """Steady's begin to recovery's end; None when steady never began."""
    return history.phases["load"] if "steady" in history.phases else None


def phase_spans(history: History) -> dict[str, Span]:
    """The phases under load, steady without its first 2 s, while connections warm up."""
    found = {name: history.phases[name] for name in PHASES if name in history.phases}
    if "steady" in found:
        steady = found["steady"]
        begin_ns = min(steady.begin_ns + WARM_UP_S * NS_PER_S, steady.end_ns)
        found["steady"] = Span(begin_ns, steady.end_ns)
    return found


def within(span: Span, column: str = "at_ns") -> pl.Expr:
    """Whether an instant lies in the span, end excluded."""
    return (pl.col(column) >= span.begin_ns) & (pl.col(column) < span.end_ns)


def phase_of(history: History, column: str = "at_ns") -> pl.Expr:
    """The phase under load an instant lies in, null for none (and for steady's first 2 s)."""
    found: pl.Expr = pl.lit(None, dtype=pl.String)
    for name, span in phase_spans(history).items():
        found = pl.when(within(span, column)).then(pl.lit(name)).otherwise(found)
    return found


def load_operations(history: History) -> pl.DataFrame:
    """Every operation due under load, with `kind`, `in_time`, `latency_ms` and `load_phase`."""
    operations = history.table(Operation)
    span = load_span(history)
    chosen = (pl.col("phase") == "load") & (within(span) if span else pl.lit(False))
    took_ns = pl.col("ended_ns") - pl.col("at_ns")
    ok = pl.col("outcome") == "ok"
    return operations.filter(chosen).with_columns(
        kind=KIND,
        in_time=ok & (took_ns <= round(deadline_s(history) * NS_PER_S)),
        latency_ms=took_ns / NS_PER_MS,
        load_phase=pl.when(_caught_in_flight(history)).then(None).otherwise(phase_of(history)),
    )


def _caught_in_flight(history: History) -> pl.Expr:
    """Due less than one deadline before the first fault was entering, and still open then: such an
    operation says nothing about steady (with it, a fault would fail the gate on steady) and was not
    due in the fault. One that was late already is steady's own failure."""
    entering_ns = min((fault.entering_ns for fault in history.faults), default=None)
    if entering_ns is None:
        return pl.lit(False)
    still_open = (pl.col("ended_ns") == 0) | (pl.col("ended_ns") > entering_ns)
    young = pl.col("at_ns") > entering_ns - round(deadline_s(history) * NS_PER_S)
    return young & (pl.col("at_ns") < entering_ns) & still_open


def in_cut(cut: str) -> pl.Expr:
    """Which rows of `load_operations` belong to a cut."""
    if cut in KINDS:
        return pl.col("kind") == cut
    own = pl.col("home") == pl.col("region")
    return {"overall": pl.lit(True), "own_keys": own, "others_keys": ~own}[cut]
