"""Which outage belongs to which fault: the one place where seconds of outages meet faults.

A fault counts from the instant it was *entering*, when its first harm began: a delay counted from
there is never too short. An operation due shortly before may be caught in flight, so an outage
belongs to a fault if it ended after the fault was entering and its onset is less than one deadline
before that. Owns the 10 s for which a healed fault still explains what happens to its region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.history import History
from lab.measurements import Outage
from lab.measures.operations import deadline_s

AFTERMATH_S = 10.0
NOMINAL = -1


@dataclass(frozen=True)
class Harm:
    """A fault in seconds since the begin of steady; `left_s` is None when it never left."""

    index: int
    targets: tuple[str, ...]
    entering_s: float
    left_s: float | None


def harms(history: History) -> list[Harm]:
    """Every fault that was entered; without any, the fault phase as index -1, naming nobody.
    Empty when the run never came that far."""
    if "steady" not in history.phases:
        return []
    if history.faults:
        return [
            Harm(
                fault.index,
                fault.targets,
                history.second(fault.entering_ns),
                None if fault.left_ns is None else history.second(fault.left_ns),
            )
            for fault in history.faults
        ]
    if "fault" not in history.phases:
        return []
    nominal = history.phases["fault"]
    return [Harm(NOMINAL, (), history.second(nominal.begin_ns), history.second(nominal.end_ns))]


def begin_s(history: History) -> float | None:
    """When the first harm began; None when the run never came that far."""
    return min((harm.entering_s for harm in harms(history)), default=None)


def heal_s(history: History) -> float | None:
    """When the last fault had left; None while one is in force or the run never came that far."""
    left = [harm.left_s for harm in harms(history)]
    known = [second for second in left if second is not None]
    return max(known) if known and len(known) == len(left) else None


def healing_s(history: History) -> float | None:
    """When the last heal began: what it upsets it upsets from then on; None as for `heal_s`."""
    if heal_s(history) is None:
        return None
    begun = [fault.leaving_ns for fault in history.faults if fault.leaving_ns is not None]
    return history.second(max(begun)) if begun else heal_s(history)


def availability_outages(outages: Iterable[Outage], cuts: Iterable[str]) -> list[Outage]:
    """The availability outages of the named cuts, by onset."""
    wanted = set(cuts)
    found = [o for o in outages if o.kind == "availability" and o.cut in wanted]
    return sorted(found, key=lambda o: (o.onset_s, o.region, o.cut))


def belongs(outage: Outage, entering_s: float, deadline: float) -> bool:
    """Whether an outage can be due to what was entering then (operations in flight included)."""
    return outage.end_s > entering_s and outage.onset_s > entering_s - deadline


def excused(outage: Outage, faults: Iterable[Harm], deadline: float) -> bool:
    """Whether a fault naming the outage's region was in force at its onset, or had left < 10 s before."""
    return any(
        outage.region in harm.targets
        and belongs(outage, harm.entering_s, deadline)
        and (harm.left_s is None or outage.onset_s < harm.left_s + AFTERMATH_S)
        for harm in faults
    )


def unexcused(history: History, outages: Iterable[Outage], cuts: Iterable[str]) -> list[Outage]:
    """Availability outages since the first harm that no fault naming their region explains."""
    faults, since_s, deadline = harms(history), begin_s(history), deadline_s(history)
    if since_s is None:
        return []
    return [
        outage
        for outage in availability_outages(outages, cuts)
        if belongs(outage, since_s, deadline) and not excused(outage, faults, deadline)
    ]
