"""Blast radius: the regions with an availability outage in any operation kind at whose onset no
fault naming the region was in force, or had left less than 10 s before.

Only outages since the first fault was entering count (an operation due less than one deadline
before it and caught in flight counts with it); without a fault, since the nominal fault phase
began. Collateral = Σ over those regions of ∫ max(0, 1 − availability ÷ steady) dt of the overall
cut from then to the end of load, in region-seconds. Second wave: regions named by no fault with an
outage whose onset is after the last heal began (an operation due less than the longest round trip
before it and caught in flight counts with it).
"""

from __future__ import annotations

from lab.history import History
from lab.measurements import KINDS, BlastRadius, Measurements
from lab.measures.harm import availability_outages, begin_s, harms, healing_s, unexcused
from lab.measures.windows import shortfall_s


def measure(history: History, done: Measurements) -> BlastRadius | None:
    """None when no fault phase began or a region has too few operations to tell an outage."""
    since_s = begin_s(history)
    if since_s is None or not _every_region_can_be_told(history, done):
        return None
    hit = unexcused(history, done.outages, KINDS)
    kinds = {
        region: [kind for kind in KINDS if any((o.region, o.cut) == (region, kind) for o in hit)]
        for region in history.topology.regions
    }
    kinds = {region: found for region, found in kinds.items() if found}
    return BlastRadius(
        regions=list(kinds),
        kinds=kinds,
        collateral_region_seconds=sum(_collateral_s(done, region, since_s) for region in kinds),
        second_wave=_second_wave(history, done),
    )


def _every_region_can_be_told(history: History, done: Measurements) -> bool:
    cells = [done.availability.get(region, {}).get("overall") for region in history.topology.regions]
    return all(cell is not None and cell.steady is not None and cell.windows is not None for cell in cells)


def _collateral_s(done: Measurements, region: str, since_s: float) -> float:
    cell = done.availability[region]["overall"]
    if cell.windows is None or not cell.steady:
        return 0.0
    windows = cell.windows
    return shortfall_s(windows.values, cell.steady, windows.begin_s, windows.width_s, since_s)


def _second_wave(history: History, done: Measurements) -> list[str]:
    since_s = healing_s(history)
    if since_s is None:
        return []
    in_flight_s = max(history.topology.rtt_ms.values(), default=0.0) / 1000
    named = {region for harm in harms(history) for region in harm.targets}
    late = {o.region for o in availability_outages(done.outages, KINDS) if o.onset_s > since_s - in_flight_s}
    return [region for region in history.topology.regions if region in late - named]
