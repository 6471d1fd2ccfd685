"""A comparison for a terminal: a column per arm, their differences, a row per number that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lab.comparison import words
from lab.comparison.gather import Compared
from lab.comparison.model import Comparison, Number
from lab.measurements import KINDS
from lab.repeats import tables
from lab.report.terminal import WORD_STYLES
from lab.report.words import CUT_LABELS, NOT_MEASURED
from lab.results import Run

NARROW = 100  # columns; below, differences of more than two arms are left out
CONTROLS = "Control, the same load without a fault, in the seconds where the fault would be:"
NAMES = ("", "region", "phase", "number")
WHOLE = (
    ("regions that fell", "blast_radius_regions"),
    ("collateral, region-s", "collateral_region_seconds"),
    ("longest outage, s", "longest_outage_s"),
    ("writes lost", "writes_lost"),
    ("divergent keys", "divergent_keys"),
)
Line = tuple[str, str, str, Number]
"""Region, phase, label (each "" where it stands above already), and the number."""


def text(found: Compared, width: int = NARROW) -> RenderableType:
    """Title, what was done, each arm's outcome, the table, who was left out, how to read it."""
    data = found.data
    parts: list[RenderableType] = [Text(words.title(data), style="bold")]
    if words.harm(found):
        parts.append(Text(f"{words.harm(found)}."))
    parts += [_outcome(found, arm) for arm in data.arms]
    if data.seeds:
        named = "*: named by a fault. " if any(data.regions.values()) else ""
        parts += [_table(data, width), Text(f"{named}{words.legend(data)}", style="dim")]
    if data.seeds and found.controls:
        parts += [Text(CONTROLS, style="bold"), _controls(found, width)]
    return Group(*parts, *(Text(line, style="yellow") for line in words.left_out(data)))


def _outcome(found: Compared, arm: str) -> Text:
    told = found.data.arms[arm]
    said = Text(f"{arm}: {words.verdict(told)}", style=f"bold {WORD_STYLES[words.worst(told)]}")
    return said.append(f"; {words.effect(found, arm)}.", style="not bold default")


def _table(data: Comparison, width: int) -> RenderableType:
    others = data.others if len(data.arms) == 2 or width >= NARROW else []
    head = [*NAMES[1:], *_names(data), *(words.difference_name(data, arm) for arm in others)]
    return tables.table(head, list(_rows(data, others)), width, whole=3, text=NAMES)


def _names(data: Comparison) -> list[str]:
    """The arms as heads of columns, on several lines where they would be torn."""
    if len(data.arms) == 2 and max(map(len, data.arms)) <= tables.WIDEST_WORD:
        return list(data.arms)
    return [arm.replace("-", "-\n", 1).replace("+", "\n+") for arm in data.arms]


def _rows(data: Comparison, others: Sequence[str]) -> Iterator[list[str]]:
    for place, (label, what) in enumerate(WHOLE):
        yield ["" if place else "all", "", label, *_cells(data, data.number(what), others)]
    for region in data.regions:
        for *names, number in _of_region(data, region):
            yield [*names, *_cells(data, number, others)]
        said = [words.errors(data, region, arm, most=2) for arm in data.arms]
        yield ["", "", "errors", *said, *("" for _ in others)]


def _of_region(data: Comparison, region: str) -> Iterator[Line]:
    def number(what: str, phase: str = "", cut: str = "overall") -> Number:
        return data.number(what, region, cut, phase)

    yield f"{region}{'*' * data.regions[region]}", "steady", "available, %", number("availability", "steady")
    yield "", "", "p99, ms", number("p99_ms", "steady")
    yield "", "fault", "available, %", number("availability", "fault")
    for kind in KINDS:
        yield "", "", f"  {CUT_LABELS[kind]}", number("availability", "fault", kind)
    yield "", "", "stale p50, s", number("staleness_p50_s", "fault", "")
    yield "", "", "stale max, s", number("staleness_max_s", "fault", "")
    yield "", "", "p50, ms", number("p50_ms", "fault")
    yield "", "", "p99, ms", number("p99_ms", "fault")
    yield "", "recovery", "available, %", number("availability", "recovery")
    yield "", "all", "longest gap, s", number("longest_gap_s")


def _cells(data: Comparison, number: Number, others: Sequence[str]) -> list[str]:
    of = len(data.seeds)
    return [
        *(words.cell(number, arm, of) for arm in data.arms),
        *(words.difference_cell(number, arm, of) for arm in others),
    ]


def _controls(found: Compared, width: int) -> RenderableType:
    data = found.data
    rows = [["seeds", "", *(_seeds(found.controls.get(arm, [])) for arm in data.arms)]]
    for region in data.regions:
        for place, (label, number) in enumerate(_of_control(data, region)):
            cells = [words.control_cell(number, arm, len(found.controls.get(arm, []))) for arm in data.arms]
            rows.append(["" if place else region, label, *cells])
    return tables.table(["region", "number", *_names(data)], rows, width, whole=2, text=NAMES)


def _of_control(data: Comparison, region: str) -> Iterator[tuple[str, Number]]:
    yield "available, %", data.number("availability", region, "overall", "fault")
    yield "p99, ms", data.number("p99_ms", region, "overall", "fault")
    yield "stale max, s", data.number("staleness_max_s", region, "", "fault")


def _seeds(runs: Sequence[Run]) -> str:
    return ", ".join(str(run.seed) for run in runs) or NOT_MEASURED
