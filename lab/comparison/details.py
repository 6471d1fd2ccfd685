"""What stands below a comparison's first screen, as tables: lag, staleness, errors, every difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeVar

from lab.comparison import cells
from lab.comparison.model import Comparison, Number
from lab.measurements import KINDS, PHASES
from lab.report.words import CUT_LABELS

CUTS = ("overall", *KINDS)
Place = TypeVar("Place")
LAG = {"lag_p50_ms": "p50, ms", "lag_p99_ms": "p99, ms", "lag_unseen": "unseen"}
STALE = {"staleness_p50_s": "p50, s", "staleness_max_s": "max, s"}


def lags(data: Comparison) -> str:
    """Replication lag of each link in each phase, a row per arm."""
    links = list(dict.fromkeys(number.where for number in data.of("lag_p50_ms")))
    if not links:
        return "<p class='faint'>No replication lag was measured.</p>"
    return _by_phase(data, "link", {link: escape(link.replace("->", " → ")) for link in links}, LAG)


def stale(data: Comparison) -> str:
    """How old answers on others' keys were, in every phase, a row per region and arm."""
    return _by_phase(data, "region", _regions(data), STALE)


def latency(data: Comparison) -> str:
    """p50 and p99 of operations that ended ok, in every phase, a row per region, operation and arm."""
    places = {
        (region, cut): f"{shown}, {escape(CUT_LABELS[cut])}" for region, shown in _regions(data).items() for cut in CUTS
    }
    head = ["operation", "arm", *(f"{phase}<br>{said}, ms" for phase in PHASES for said in ("p50", "p99"))]
    numbers = {
        (region, cut): [data.number(what, region, cut, phase) for phase in PHASES for what in ("p50_ms", "p99_ms")]
        for region, cut in places
    }
    return _by_arm(data, head, places, numbers)


def errors(data: Comparison) -> str:
    """Every error by code, region and arm; of several seeds mean counts."""
    codes = sorted({number.cut for number in data.of("errors") if number.cut})
    if not codes:
        return "<p class='faint'>No operation failed or was late, on any arm.</p>"
    numbers = {region: [data.number("errors", region, code) for code in ["", *codes]] for region in data.regions}
    return _by_arm(data, ["region", "arm", "all", *map(escape, codes)], _regions(data), numbers)


def differences(data: Comparison) -> str:
    """Every number that differs, its difference and, from three seeds on, its interval."""
    rows = [_difference(data, number, arm) for number in data.numbers for arm in data.others if _differs(number, arm)]
    if not rows:
        return "<p class='faint'>No number differs, or none could be paired.</p>"
    head = ["number", "where", "operation", "phase", "arm", data.first, "the arm's own", "difference"]
    return cells.table([escape(name) for name in head], rows, left=range(5))


def _regions(data: Comparison) -> dict[str, str]:
    return {region: cells.region(region, named) for region, named in data.regions.items()}


def _by_phase(data: Comparison, of: str, places: Mapping[str, str], whats: Mapping[str, str]) -> str:
    head = [of, "arm", *(f"{phase}<br>{said}" for phase in PHASES for said in whats.values())]
    numbers = {
        place: [data.number(what, place, "", phase) for phase in PHASES for what in whats] for place in places
    }  # fmt: skip
    return _by_arm(data, head, places, numbers)


def _by_arm(
    data: Comparison, head: Sequence[str], places: Mapping[Place, str], numbers: Mapping[Place, Sequence[Number]]
) -> str:
    """A row per place and arm. places: name → as HTML."""
    rows = []
    for place, shown in places.items():
        for index, arm in enumerate(data.arms):
            begin = "" if index else cells.spanning(shown, len(data.arms))
            found = "".join(cells.own(data, number, arm) for number in numbers[place])
            rows.append(cells.row(begin + cells.text(arm) + found, first=not index))
    return cells.table(head, rows, left=(0, 1))


def _differs(number: Number, arm: str) -> bool:
    held = number.differences.get(arm)
    return held is not None and (held.least, held.most) != (0, 0)


def _difference(data: Comparison, number: Number, arm: str) -> str:
    names = [number.what, number.where.replace("->", " → "), CUT_LABELS.get(number.cut, number.cut), number.phase, arm]
    begin = "".join(cells.text(name) for name in names)
    numbers = cells.own(data, number, data.first) + cells.own(data, number, arm)
    return cells.row(begin + numbers + cells.difference(data, number, arm))
