"""Isolation: the blast radius is empty: no region fell that no fault had named.

Unknown where the blast radius could not be measured.
"""

from __future__ import annotations

from lab.checkers.wording import listed, were
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import KINDS, BlastRadius, Measurements, Outage
from lab.measures.harm import begin_s, harms, unexcused
from lab.verdict import Finding


def check(history: History, measurements: Measurements, experiment: Experiment) -> Finding:
    """invalid: regions fell that no fault named; valid: none did."""
    blast = measurements.blast_radius
    if blast is None:
        return Finding(
            verdict="unknown",
            why=["the blast radius could not be measured: no fault phase, or too few operations in steady"],
        )
    if not blast.regions:
        return Finding(verdict="valid", why=[_kept(history)])
    return Finding(verdict="invalid", why=[_broken(history, measurements, blast)])


def _named(history: History) -> list[str]:
    return sorted({region for harm in harms(history) for region in harm.targets})


def _cause(history: History) -> str:
    named = _named(history)
    if named:
        return f"the fault named only {listed(named)}"
    return "the fault named no region" if history.faults else "there was no fault"


def _kept(history: History) -> str:
    others = [region for region in history.topology.regions if region not in _named(history)]
    return f"no outage in {listed(others)}; {_cause(history)}"


def _broken(history: History, measurements: Measurements, blast: BlastRadius) -> str:
    first: dict[tuple[str, str], Outage] = {}
    for outage in unexcused(history, measurements.outages, KINDS):
        first.setdefault((outage.region, outage.cut), outage)
    since_s = begin_s(history) or 0.0
    stories = [
        f"{region} {', '.join(_story(first[region, kind], since_s) for kind in kinds)}"
        for region, kinds in blast.kinds.items()
    ]
    again = set(blast.regions) & set(_named(history))  # long after its own heal, or before its own fault
    cause = "no fault named it at that time" if again else _cause(history)
    return f"{were(blast.regions)} out although {cause}: {'; '.join(stories)}"


def _story(outage: Outage, since_s: float) -> str:
    lasted = f"{outage.end_s - outage.onset_s:.1f} s"
    end = " to the end" if outage.ongoing else ""
    after_s = max(0.0, outage.onset_s - since_s)  # what was caught in flight was due before the fault
    return f"{outage.cut} {lasted} from {after_s:+.1f} s after the fault{end}"
