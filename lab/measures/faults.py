"""Whether a fault bit: the witness of every link it harms, and the system for every node, must have
seen the harm while all of it was in force, from entered to the begin of the heal, in each pulse.

Latency: the median delay of the probes sent then is at least the link's own delay plus 0.7 × what
was added (a silent probe counts with its wait, once that is long enough); rate: likewise plus 0.7 ×
the time the probe's own bytes take at that rate. Cut: at least one probe was sent then, or was on
its way and held up, and none sent then was answered before the heal began. Nodes: each was read at
least once then, never but in the state it was put in, and was running when last seen after the heal.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import polars as pl

from lab.clock import NS_PER_MS
from lab.events import WITNESS_BYTES, NodeReading
from lab.history import FaultSpan, History
from lab.measurements import FaultBite, Measurements
from lab.measures.probes import ANSWERED, healed_from_ns, probes
from lab.topology import Link

LEAST_SHARE = 0.7


def measure(history: History, done: Measurements) -> list[FaultBite]:
    """One entry per fault that was entered; [] when steady never began."""
    if "steady" not in history.phases:
        return []
    read, states = probes(history, "run"), history.table(NodeReading)
    return [_of(history, fault, read, states) for fault in history.faults]


def _of(history: History, fault: FaultSpan, read: pl.DataFrame, states: pl.DataFrame) -> FaultBite:
    pulses = fault.pulses or ((fault.entered_ns, fault.leaving_ns),)
    why = []
    for number, (entered_ns, leaving_ns) in enumerate(pulses):
        healed_ns = leaving_ns if leaving_ns is not None else healed_from_ns(fault, history)
        which = f"pulse {number + 1}: " if len(pulses) > 1 else ""
        doubts = [
            *_links(history, fault, read, entered_ns, healed_ns),
            *(
                _node(node, state, states, entered_ns, healed_ns, _harmed_again_ns(history, node, healed_ns))
                for node, state in fault.nodes.items()
            ),
        ]
        why += [which + doubt for doubt in doubts if doubt]
    return FaultBite(
        fault=fault.kind,
        index=fault.index,
        entered_s=history.second(fault.entered_ns),
        left_s=None if fault.left_ns is None else history.second(fault.left_ns),
        targets=list(fault.targets),
        links=fault.links,
        nodes=fault.nodes,
        pulses=[(history.second(begin), None if end is None else history.second(end)) for begin, end in pulses],
        seen=not why,
        why=why,
    )


def _links(history: History, fault: FaultSpan, read: pl.DataFrame, entered_ns: int, healed_ns: int) -> Iterator[str]:
    sent = read.filter((pl.col("at_ns") < healed_ns) & ((pl.col("at_ns") >= entered_ns) | _held(entered_ns, healed_ns)))
    for name, harm in sorted(fault.links.items()):
        source, _, target = name.partition("->")
        expected_ms = history.topology.one_way_ms(Link(source, target))
        if doubt := _doubt(harm, sent.filter(pl.col("link") == name), expected_ms, healed_ns):
            yield f"{name}: {doubt}"


def _node(node: str, wanted: str, states: pl.DataFrame, entered_ns: int, healed_ns: int, again_ns: int) -> str:
    own = states.filter(pl.col("node") == node)
    then = own.filter(pl.col("at_ns").is_between(entered_ns, healed_ns, closed="left"))["state"].unique().sort()
    after = own.filter(pl.col("at_ns").is_between(healed_ns, again_ns, closed="left"))["state"].to_list()
    if then.is_empty():
        return f"{node}: nobody looked at it while the fault was in force"
    if then.to_list() != [wanted]:
        return f"{node}: seen {' and '.join(then)}, expected {wanted}"
    if not after:
        return f"{node}: nobody looked at it after the heal"
    return f"{node}: {after[-1]} when last seen after the heal" if after[-1] != "running" else ""


def _harmed_again_ns(history: History, node: str, healed_ns: int) -> int:
    """When the next fault of this node, or the next pulse, begins; else beyond the history's end."""
    begins = [
        entering_ns
        for fault in history.faults
        if node in fault.nodes
        for entering_ns in (fault.entering_ns, *(entered_ns for entered_ns, _ in fault.pulses))
    ]
    return min((begin_ns for begin_ns in begins if begin_ns >= healed_ns), default=history.last_ns + 1)


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
    if "rate_kbps" in harm:  # bytes ÷ (kilobytes a second) = ms
        return _too_fast(sent, expected_ms + LEAST_SHARE * WITNESS_BYTES / float(harm["rate_kbps"]))
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
