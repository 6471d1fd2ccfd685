"""The first screen's table: region × operation, every number that decides. Data, not looks."""

from __future__ import annotations

from typing import Any

from lab.measurements import KINDS, CutAvailability, Measurements, Outage, Percentiles
from lab.report import partial
from lab.results import Run

CUTS = ("overall", *KINDS)
Row = dict[str, Any]


def rows(run: Run) -> list[Row]:
    """One row per region and cut, in the topology's order; what wasn't measured is None.

    Keys: region, named, cut; steady, fault, recovery (availability, 0–1); outages, longest_outage_s,
    longest_gap_s, propagation_s; p99_steady_ms, p99_fault_ms; windows. The `overall` row also has
    what is known per region only: recovery_s, never_recovered, never_resumed, writes_lost,
    staleness_p50_s, staleness_max_s (in the fault phase), errors (code → count).
    """
    done = partial.measured(run)
    named = partial.named(run)
    found = []
    for region in partial.regions(run):
        for cut in CUTS:
            row = {"region": region, "named": region in named, "cut": cut, **_cut(done, region, cut)}
            found.append(row | _whole_region(done, region) if cut == "overall" else row)
    return found


def _cut(done: Measurements, region: str, cut: str) -> Row:
    availability = done.availability.get(region, {}).get(cut)
    own = [o for o in done.outages if o.region == region and o.cut == cut and o.kind == "availability"]
    if cut == "overall":  # a region is out when anything of it is
        own = _merged([o for o in done.outages if o.region == region and o.kind == "availability"])
    seen = availability is not None and (availability.windows is not None or bool(own))
    return {
        **_shares(availability),
        "outages": len(own) if seen else None,
        "longest_outage_s": max((o.end_s - o.onset_s for o in own), default=None),
        "propagation_s": _propagation(done, region, cut),
        "p99_steady_ms": _p99(done, region, cut, "steady"),
        "p99_fault_ms": _p99(done, region, cut, "fault"),
    }


def _shares(found: CutAvailability | None) -> Row:
    if found is None:
        return dict.fromkeys(("steady", "fault", "recovery", "longest_gap_s", "windows"))
    return {
        "steady": found.steady,
        "fault": found.fault,
        "recovery": found.recovery,
        "longest_gap_s": found.longest_gap_s,
        "windows": found.windows,
    }


def _merged(outages: list[Outage]) -> list[Outage]:
    """Outages of several cuts as the stretches in which any was out."""
    merged: list[Outage] = []
    for outage in sorted(outages, key=lambda o: o.onset_s):
        if merged and outage.onset_s <= merged[-1].end_s:
            end = max(merged[-1].end_s, outage.end_s)
            merged[-1] = merged[-1].model_copy(update={"end_s": end})
        else:
            merged.append(outage)
    return merged


def _propagation(done: Measurements, region: str, cut: str) -> float | None:
    """The shortest delay after any fault."""
    own = [p for p in done.propagation if p.region == region]
    delays = [p.delay_s if cut == "overall" else p.by_kind.get(cut) for p in own]
    return min((delay for delay in delays if delay is not None), default=None)


def _p99(done: Measurements, region: str, cut: str, phase: str) -> float | None:
    found: Percentiles | None = done.latency.get(region, {}).get(cut, {}).get(phase)
    return found.p99_ms if found else None


def _whole_region(done: Measurements, region: str) -> Row:
    recovery = done.recovery.get(region)
    staleness = done.staleness.get(region, {}).get("fault")
    durability = done.durability
    known = durability is not None and durability.lost is not None
    return {
        "recovery_s": recovery.seconds if recovery else None,
        "never_recovered": bool(recovery and recovery.never),
        "never_resumed": recovery.never_resumed if recovery else [],
        "writes_lost": durability.lost_by_region.get(region, 0) if known and durability else None,
        "staleness_p50_s": staleness.p50_s if staleness else None,
        "staleness_max_s": staleness.max_s if staleness else None,
        "errors": done.errors.get(region, {}),
    }
