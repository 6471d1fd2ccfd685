"""Lines as a table, for a terminal and for Markdown; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.bench.lines import Line

HEAD = ("what", "SyncStore", "JetStream", "ratio (least–most)", "bar", "met")
MET = {True: "yes", False: "NO", None: ""}
STYLES = {True: "green", False: "bold red", None: ""}
NOTE = (
    "Middle of all pairs, with least and most; a ratio is SyncStore ÷ JetStream unless it says lower, "
    "in row 3 harmed ÷ steady. What of a bar is met is said of the middle."
)


def shown(lines: Sequence[Line], titles: Mapping[int, str], about: Sequence[str]) -> RenderableType:
    """For a terminal of 80 to 100 columns."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for name in HEAD:
        table.add_column(name, justify="left" if name in ("what", "bar", "met") else "right", no_wrap=name == "met")
    for row, some in by_row(lines).items():
        table.add_row(Text(f"{row}. {titles.get(row, '')}", style="bold"))
        for line in some:
            table.add_row(*map(Text, cells(line)[:-1]), Text(MET[line.met], style=STYLES[line.met]))
    return Group(*(Text(sentence) for sentence in about), Text(""), table, Text(""), Text(NOTE, style="dim"))


def markdown(lines: Sequence[Line], titles: Mapping[int, str], about: Sequence[str]) -> str:
    """The same to keep."""
    parts = ["# SyncStore beside JetStream", "", *about, "", NOTE]
    for row, some in by_row(lines).items():
        parts += ["", f"## {row}. {titles.get(row, '')}", "", _row(HEAD), "|" + "---|" * len(HEAD)]
        parts += [_row(cells(line)) for line in some]
    return "\n".join([*parts, ""])


def by_row(lines: Sequence[Line]) -> dict[int, list[Line]]:
    found: dict[int, list[Line]] = {}
    for line in lines:
        found.setdefault(line.row, []).append(line)
    return dict(sorted(found.items()))


def cells(line: Line) -> tuple[str, ...]:
    return line.what, line.syncstore, line.jetstream, line.ratio, line.bar, MET[line.met]


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
