"""Propagation from a fault to a region: onset of the region's first availability outage after the
fault, minus the instant the fault was entering; none if it never had one.

The outage may be of any operation kind, or of all together; `by_kind` tells them apart. "Entering"
is when the fault's first harm began. An outage is after the fault if it ends after that instant and
its onset is less than one deadline before it: an operation due shortly before is caught in flight,
and its delay is 0. Without a fault the nominal fault phase stands in, as index -1.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.history import History
from lab.measurements import KINDS, Measurements, Outage, Propagation
from lab.measures.harm import Harm, availability_outages, belongs, harms
from lab.measures.operations import deadline_s


def measure(history: History, done: Measurements) -> list[Propagation]:
    """One entry per fault and region, in the topology's order; [] when no fault phase began."""
    outages = availability_outages(done.outages, ("overall", *KINDS))
    deadline = deadline_s(history)
    return [
        _of(harm, region, [o for o in outages if o.region == region], deadline)
        for harm in harms(history)
        for region in history.topology.regions
    ]


def _of(harm: Harm, region: str, outages: list[Outage], deadline: float) -> Propagation:
    after = [outage for outage in outages if belongs(outage, harm.entering_s, deadline)]
    return Propagation(
        fault=harm.index,
        region=region,
        named=region in harm.targets,
        delay_s=_delay_s(after, harm.entering_s),
        by_kind={kind: _delay_s((o for o in after if o.cut == kind), harm.entering_s) for kind in KINDS},
    )


def _delay_s(outages: Iterable[Outage], entering_s: float) -> float | None:
    onset_s = min((outage.onset_s for outage in outages), default=None)
    return None if onset_s is None else max(0.0, onset_s - entering_s)
