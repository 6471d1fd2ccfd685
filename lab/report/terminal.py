"""The first screen for a terminal: rich tables and lines, narrow enough for 80 columns."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.report import partial
from lab.report.cells import collateral
from lab.report.repeat import command
from lab.report.sentence import headline
from lab.report.table import Row, rows
from lab.report.words import CUT_LABELS, NOT_MEASURED, count, percent, seconds
from lab.results import Run

WORD_STYLES = {"valid": "green", "invalid": "red", "unknown": "yellow"}
NARROW = 100  # columns; below, operation kinds are left out


def text(run: Run, width: int = 100) -> RenderableType:
    """Sentence, table, blast radius and the command; operation kinds where `width` columns hold them."""
    judged = partial.verdict(run)
    word = judged.verdict if judged else "unknown"
    parts: list[RenderableType] = [Text(headline(run), style=f"bold {WORD_STYLES[word]}")]
    found = [row for row in rows(run) if row["cut"] == "overall" or width >= NARROW]
    if any(row["steady"] is not None for row in found):
        parts += [_table(found), Text(collateral(run))]
    return Group(*parts, Text(command(run), style="dim"))


def _table(found: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("region", "operation"):
        table.add_column(name)
    for name in ("steady", "fault", "recovery", "outages", "longest", "after", "recovered"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found:
        table.add_row(*_cells(row), style="bold" if row["cut"] == "overall" and len(found) > 4 else "")
    return table


def _cells(row: Row) -> list[str]:
    first = row["cut"] == "overall"
    none = "none" if row["outages"] == 0 else None
    return [
        f"{row['region']}{'*' if row['named'] else ''}" if first else "",
        CUT_LABELS[row["cut"]],
        *(percent(row[phase]) for phase in ("steady", "fault", "recovery")),
        count(row["outages"]),
        none or seconds(row["longest_outage_s"]),
        none or seconds(row["propagation_s"]),
        _recovered(row) if first else "",
    ]


def _recovered(row: Row) -> str:
    if row["never_recovered"]:
        return "never"
    return seconds(row["recovery_s"]) if row["recovery_s"] is not None else NOT_MEASURED
