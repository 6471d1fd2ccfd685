"""Recovery of a region: time from the last heal to the end of its last availability outage, 0 if
none ended after the heal, never if it is still out at the end of load.

The outage may be of any operation kind, or of all together. Without a fault the end of the nominal
fault phase stands for the heal. Never resumed: a home region whose probe watch in this region showed
something during steady and nothing from the heal on, although at least 20 writes to it were
acknowledged between the heal and 2 s before the end of load.
"""

from __future__ import annotations

import polars as pl

from lab.clock import NS_PER_S
from lab.events import Operation, Visible
from lab.history import History, Span
from lab.measurements import KINDS, Measurements, Outage, Recovery
from lab.measures.harm import availability_outages, harms, heal_s
from lab.measures.operations import load_span, within

MIN_WRITES = 20
IN_TRANSIT_S = 2


def measure(history: History, done: Measurements) -> dict[str, Recovery]:
    """Region → recovery; {} when no fault phase began. Seconds are None if a fault never left."""
    if not harms(history):
        return {}
    healed_s = heal_s(history)
    dead = _never_resumed(history, healed_s)
    outages = availability_outages(done.outages, ("overall", *KINDS))
    return {
        region: _of([o for o in outages if o.region == region], healed_s, dead.get(region, []))
        for region in history.topology.regions
    }


def _of(outages: list[Outage], healed_s: float | None, dead: list[str]) -> Recovery:
    never = any(outage.ongoing for outage in outages)
    if never or healed_s is None:
        return Recovery(seconds=None, never=never, never_resumed=dead)
    last_s = max((outage.end_s for outage in outages), default=healed_s)
    return Recovery(seconds=max(0.0, last_s - healed_s), never=False, never_resumed=dead)


def _never_resumed(history: History, healed_s: float | None) -> dict[str, list[str]]:
    load = load_span(history)
    if load is None or healed_s is None:
        return {}
    healed_ns = history.zero_ns + round(healed_s * NS_PER_S)
    written = _homes_written(history, Span(healed_ns, load.end_ns - IN_TRANSIT_S * NS_PER_S))
    visible = history.table(Visible)
    before = _pairs(visible.filter(within(history.phases["steady"])))
    after = _pairs(visible.filter(pl.col("at_ns") >= healed_ns))
    dead: dict[str, list[str]] = {}
    for region, home in sorted(before - after):
        if home in written:
            dead.setdefault(region, []).append(home)
    return dead


def _homes_written(history: History, span: Span) -> set[str]:
    puts = history.table(Operation).filter(
        pl.col("operation") == "put", pl.col("outcome") == "ok", within(span, "ended_ns")
    )
    counts = puts.group_by("home").len().filter(pl.col("len") >= MIN_WRITES)
    return set(counts["home"])


def _pairs(visible: pl.DataFrame) -> set[tuple[str, str]]:
    return {(region, home) for region, home in visible.select("region", "home").unique().rows()}
