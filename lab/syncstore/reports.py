"""What all nodes hold: reports, and the two things they allow to forget.

Owns region reports (low: what every node of a region holds durably; high: what any of them holds; the
slowest of its clocks) and the rule by which an incarnation is closed. They only ever state what was true
once, and what a node once held durably it still holds, unless its disk was exchanged (then its vector no
longer covers the floor). So reports of one region are joined as they come, in any order, over any way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from lab.syncstore.vector import WHOLE, Vector, joined, meet
from lab.syncstore.version import parts


@dataclass
class Report:
    low: Vector = field(default_factory=lambda: Vector({}, {}))
    high: Vector = field(default_factory=lambda: Vector({}, {}))
    clock_ms: int = 0
    """Unix ms that every clock of the region has shown at least."""

    def join(self, low: Vector, high: Vector, clock_ms: int) -> None:
        self.low.join(low)
        self.high.join(high)
        self.clock_ms = max(self.clock_ms, clock_ms)


def of_region(stated: Iterable[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    """(low, high) from (held, durable) of every node of a region."""
    held, durable = zip(*stated, strict=True)
    return meet(durable), joined(held)


def all_hold(reports: Mapping[str, Report], counted: Iterable[str], mine: Vector) -> Vector | None:
    """What every member node of the counted regions holds durably; None while a region has not reported
    or this node does not hold all that the reports speak of."""
    lows = []
    for region in counted:
        report = reports.get(region)
        if report is None or not mine.covers_all(report.high):
            return None
        lows.append(report.low)
    return meet(lows) if lows else None


def all_past(reports: Mapping[str, Report], counted: Iterable[str]) -> int:
    """Unix ms that every clock of the counted regions has shown; 0 while one has not reported."""
    return min((reports[region].clock_ms if region in reports else 0 for region in counted), default=0)


def closable(reports: Mapping[str, Report], counted: Iterable[str], mine: Vector) -> list[tuple[str, str]]:
    """(member, mark): incarnations that every member node knows to be over and holds alike and durably. None of
    a region that doesn't count: it may hold more of them."""
    counted = list(counted)
    regions = [reports.get(region) for region in counted]
    if any(one is None or not mine.covers_all(one.high) for one in regions):
        return []
    present = [one for one in regions if one is not None]
    by_member: dict[str, list[str]] = {}
    for origin in mine.entries:
        region, node, _ = parts(origin)
        if region in counted:
            by_member.setdefault(f"{region}/{node}", []).append(origin)
    found = []
    for member, origins in by_member.items():
        origins.sort()
        for origin, newer in pairwise(origins):
            if not all(_agrees(one, origin, mine.entries[origin]) for one in present):
                break  # incarnations of a node are closed in order
            found.append((member, newer.rpartition("/")[2]))
    return found


def _agrees(report: Report, origin: str, sequence: int) -> bool:
    if report.low.get(origin) == WHOLE:
        return True
    held = report.high.get(origin)
    return report.low.get(origin) == sequence and held in (sequence, WHOLE) and report.low.knows_newer(origin)
