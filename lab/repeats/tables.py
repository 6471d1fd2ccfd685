"""Repeats as the first screen's table, region × operation, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.repeats import words
from lab.repeats.model import Cut, Region, Repeats
from lab.report.words import CUT_LABELS, NOT_MEASURED, count

NARROW = 100  # columns; below, operation kinds are left out
WIDEST_WORD = 20  # an arm with its options may be torn
HEAD = (
    "region",
    "operation",
    "steady, %",
    "fault, %",
    "recovery, %",
    "outage in",
    "longest gap, s",
    "p99 in fault, ms",
    "stale p50, s",
    "writes lost",
)
ESCAPED = str.maketrans({"\\": "\\\\", "|": "\\|", "*": "\\*", "<": "&lt;", "&": "&amp;"})
TEXT = ("runs", "region", "operation", "blast radius")
WIDE_ONLY = ("operation", "p99 in fault, ms")


def text(found: Repeats, width: int = NARROW) -> RenderableType:
    """Title, table, blast radius, who was left out; operation kinds where `width` columns hold them."""
    parts: list[RenderableType] = [Text(title(found), style="bold")]
    if found.regions:
        parts += [_drawn(found, width), Text(words.together_said(found))]
    parts += [Text(line, style="yellow") for line in words.left_out_said(found)]
    if len(found.seeds) > 1:
        parts.append(Text(words.SHORT_LEGEND, style="dim"))
    return Group(*parts)


def _drawn(found: Repeats, width: int) -> Table:
    if width >= NARROW:
        return table(HEAD, rows(found), width, whole=2)
    kept = [index for index, name in enumerate(HEAD) if name not in WIDE_ONLY]
    body = [[row[index] for index in kept] for row in rows(found, kinds=False)]
    return table([HEAD[index] for index in kept], body, width, whole=1)


def markdown(found: Repeats) -> str:
    """The same as Markdown, under a heading."""
    said = [f"### {title(found)}"]
    if found.regions:
        said += [pipes(HEAD, rows(found)), words.together_said(found)]
    return "\n\n".join([*said, *words.left_out_said(found)])


def title(found: Repeats) -> str:
    what = f"{found.experiment} on {found.arm}, {found.topology}, leaders in {found.leaders_in}"
    return f"{what}: {words.runs_said(found)}"


def rows(found: Repeats, *, kinds: bool = True) -> list[tuple[str, ...]]:
    """Under `HEAD`: a row per region and cut."""
    return [
        _row(name, region, cut, len(found.seeds))
        for name, region in found.regions.items()
        for cut in region.cuts
        if kinds or cut == "overall"
    ]


def _row(name: str, region: Region, cut: str, of: int) -> tuple[str, ...]:
    first, held = cut == "overall", region.cuts[cut]
    return (
        f"{name}{'*' if region.named else ''}" if first else "",
        CUT_LABELS[cut],
        *(words.short(share, of, words.share) for share in (held.steady, held.fault, held.recovery)),
        _outages(held),
        words.short(held.longest_gap_s, of),
        words.short(held.p99_fault_ms, of),
        words.short(region.staleness_p50_s, of) if first else "",
        count(region.writes_lost) if first else "",
    )


def _outages(cut: Cut) -> str:
    return f"{cut.runs_with_outage} of {cut.runs_measured}" if cut.runs_measured else NOT_MEASURED


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    whole: int,
    gap: int = 2,
    text: Collection[str] = TEXT,
    widest: int = WIDEST_WORD,
) -> Table:
    """For a terminal: the first `whole` columns are names, the others break at blanks, none is torn while
    there is room. text: the columns that are no numbers, and so begin at their left; widest: of a name, or of
    a word, before it may be torn."""
    columns = [[name, *(row[index] for row in rows)] for index, name in enumerate(head)]
    widths = _widths(columns, width - gap * (len(head) - 1), whole, widest)
    if not widths and gap > 1:
        return table(head, rows, width, whole, 1, text, widest)
    drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, gap, 0, 0))
    for index, name in enumerate(head):
        justify: Literal["left", "right"] = "left" if name in text else "right"
        drawn.add_column(name, justify=justify, overflow="fold", width=widths[index] if widths else None)
    for row in rows:
        drawn.add_row(*map(Text, row))  # `[28.2–29.0]` is no markup
    return drawn


def _widths(columns: Sequence[Sequence[str]], room: int, whole: int, widest: int) -> list[int]:
    """Enough for the longest line of the first columns, for the longest word of the others; what is left
    goes to where lines still break. [] without room."""
    wanted = [max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]
    words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    widths = [min(widest, wanted[index] if index < whole else words[index]) for index in range(len(columns))]
    while sum(widths) < min(room, sum(wanted)):
        poorest = max(range(len(widths)), key=lambda index: wanted[index] - widths[index])
        widths[poorest] += 1
    return widths if sum(widths) <= room else []


def pipes(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.translate(ESCAPED) for cell in line) + " |" for line in lines)
