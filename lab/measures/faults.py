"""Whether a fault bit: the witness of every link it harms must have seen the harm while all of it
was in force, from entered to the begin of the heal.

Latency: the median delay of the probes sent then is at least the link's own delay plus 0.7 × what
was added (a silent probe counts with its wait, once that is long enough). Cut: at least one probe
was sent then, or was on its way and held up, and none sent then was answered before the heal began.
Rate: at least one probe was sent, since
small probes can't tell. A fault that harms no links (restart, pause) needs no witness.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import polars as pl

from lab.clock import NS_PER_MS
from lab.history import FaultSpan, History
from lab.measurements import FaultBite, Measurements
from lab.measures.probes import ANSWERED, healed_from_ns, probes
from lab.topology import Link

LEAST_SHARE = 0.7


def measure(history: History, done: Measurements) -> list[FaultBite]:
    """One entry per fault that was entered; [] when steady never began."""
    if "steady" not in history.phases:
        return []
    read = probes(history, "run")
    return [_of(history, fault, read) for fault in history.faults]


def _of(history: History, fault: FaultSpan, read: pl.DataFrame) -> FaultBite:
    healed_ns = healed_from_ns(fault, history)
    sent = read.filter(
        (pl.col("at_ns") < healed_ns) & ((pl.col("at_ns") >= fault.entered_ns) | _held(fault.entered_ns, healed_ns))
    )
    why = []
    for name, harm in sorted(fault.links.items()):
        source, _, target = name.partition("->")
        expected_ms = history.topology.one_way_ms(Link(source, target))
        doubt = _doubt(harm, sent.filter(pl.col("link") == name), expected_ms, healed_ns)
        why += [f"{name}: {doubt}"] if doubt else []
    return FaultBite(
        fault=fault.kind,
        index=fault.index,
        entered_s=history.second(fault.entered_ns),
        left_s=None if fault.left_ns is None else history.second(fault.left_ns),
        targets=list(fault.targets),
        links=fault.links,
        seen=not why,
        why=why,
    )


def _held(entered_ns: int, healed_ns: int) -> pl.Expr:
    """Sent before the fault and held up by it: without an answer until the heal began."""
    silent_ns = pl.col("at_ns") + (pl.col("delay_ms") * NS_PER_MS).cast(pl.Int64)
    still_waiting = (pl.col("answer") == "silent") & (silent_ns > entered_ns)
    return still_waiting | (ANSWERED & (pl.col("answered_ns") >= healed_ns))


def _doubt(harm: dict[str, Any], sent: pl.DataFrame, expected_ms: float, healed_ns: int) -> str:
    """Why one link's witness does not confirm the harm; "" when it does."""
    if sent.is_empty():
        return "no probe was sent while the fault was in force"
    if "cut" in harm:
        return _answered_through_cut(sent, healed_ns)
    if "latency_ms" in harm:
        return _too_fast(sent, expected_ms + LEAST_SHARE * float(harm["latency_ms"]))
    return ""


def _answered_through_cut(sent: pl.DataFrame, healed_ns: int) -> str:
    passed = sent.filter(pl.col("answered_ns") < healed_ns).height
    return f"{passed} of {sent.height} probes were answered although the link was cut" if passed else ""


def _too_fast(sent: pl.DataFrame, least_ms: float) -> str:
    telling = sent.filter(ANSWERED | (pl.col("delay_ms") >= least_ms))["delay_ms"].to_list()
    if not telling:
        return f"no probe waited as long as {least_ms:.0f} ms or was answered"
    median_ms = median(telling)
    return f"median delay {median_ms:.0f} ms < {least_ms:.0f} ms" if median_ms < least_ms else ""
