"""Lines as a table, for a terminal and for Markdown; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.bench.lines import Line

HEAD = ("what", "SyncStore", "JetStream", "ratio (least–most)", "bar", "met")
LEFT = ("bar", "met")
NOT_MEASURED = "not measured"
MET = {True: "yes", False: "NO", None: ""}
STYLES = {True: "green", False: "bold red", None: ""}
NOTE = (
    "Middle of all pairs, with least and most; a ratio is SyncStore ÷ JetStream unless it says lower, "
    "in row 3 harmed ÷ steady. What of a bar is met is said of the middle."
)


def shown(lines: Sequence[Line], titles: Mapping[int, str], about: Sequence[str]) -> RenderableType:
    """For a terminal of 80 to 100 columns."""
    widths = [max(map(len, column)) for column in zip(HEAD, *map(cells, lines), strict=True)][1:]
    parts: list[RenderableType] = [Text(sentence) for sentence in about]
    for row, some in by_row(lines).items():
        parts += [Text(f"\n{row}. {titles.get(row, '')}", style="bold"), _table(some, widths)]
    return Group(*parts, Text(f"\n{NOTE}", style="dim"), Text(f"\n{summary(lines)}", style="bold"))


def summary(lines: Sequence[Line]) -> str:
    """What a tired reader looks for first: how many bars there were, and which were not met."""
    bars = [line for line in lines if line.met is not None]
    missed = [
        f"\n  row {line.row}: {line.what}: {line.ratio or line.syncstore}, not {line.bar}"
        for line in bars
        if not line.met
    ]
    unseen = [f"\n  row {line.row}: {line.what}" for line in lines if line.what.startswith(NOT_MEASURED)]
    said = f"{len(bars) - len(missed)} of {len(bars)} bars are met{'; not met:' if missed or unseen else '.'}"
    return "".join([said, *missed, *unseen])


def _table(lines: Sequence[Line], widths: Sequence[int]) -> Table:
    """widths: of all columns but the first, which takes what is left, so that tables stand below each other."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0), expand=True)
    table.add_column(HEAD[0], ratio=1)
    for name, width in zip(HEAD[1:], widths, strict=True):
        table.add_column(name, justify="left" if name in LEFT else "right", width=width, no_wrap=True)
    for line in lines:
        table.add_row(*map(Text, cells(line)[:-1]), Text(MET[line.met], style=STYLES[line.met]))
    return table


def markdown(lines: Sequence[Line], titles: Mapping[int, str], about: Sequence[str]) -> str:
    """The same to keep."""
    parts = ["# SyncStore beside JetStream", "", *about, "", NOTE]
    for row, some in by_row(lines).items():
        parts += ["", f"## {row}. {titles.get(row, '')}", "", _row(HEAD), "|" + "---|" * len(HEAD)]
        parts += [_row(cells(line)) for line in some]
    return "\n".join([*parts, "", summary(lines), ""])


def kept(told: Mapping[str, Any], titles: Mapping[int, str], about: Sequence[str]) -> str:
    """A page's part, of a `bench.json`: what has a bar or is compared."""
    lines = [line for line in (Line(**one) for one in told["lines"]) if line.bar or line.ratio]
    parts = [*about, "", _row(HEAD), "|" + "---|" * len(HEAD)]
    for row, some in by_row(lines).items():
        parts += [_row((f"**{titles.get(row, '')}**", *[""] * (len(HEAD) - 1))), *(_row(cells(line)) for line in some)]
    return "\n".join([*parts, "", NOTE])


def by_row(lines: Sequence[Line]) -> dict[int, list[Line]]:
    found: dict[int, list[Line]] = {}
    for line in lines:
        found.setdefault(line.row, []).append(line)
    return dict(sorted(found.items()))


def cells(line: Line) -> tuple[str, ...]:
    return line.what, line.syncstore, line.jetstream, line.ratio, line.bar, MET[line.met]


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
