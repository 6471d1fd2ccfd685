"""How many runs ended, as one table: for a terminal, and as GitHub-flavoured Markdown.

Holds no times, so that a batch that was killed and went on ends with the same table as one that
was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.batch import REFUSED, Outcome
from lab.errors import EXIT_EXPECTED, EXIT_SURPRISE, EXIT_UNKNOWN
from lab.report.terminal import WORD_STYLES

HEAD = ("experiment", "arm", "leaders in", "seed", "verdict", "expected", "blast radius", "why")
ENDED = {EXIT_EXPECTED: "as expected", EXIT_SURPRISE: "other than expected", EXIT_UNKNOWN: "unknown"}
ESCAPED = str.maketrans({"\\": "\\\\", "|": "\\|", "<": "&lt;", "&": "&amp;"})
NO_LIMIT = 2**31


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Cells under `HEAD`; the last says what surprised, "" when nothing did."""
    found = [
        (
            one.experiment,
            one.arm,
            one.leaders_in,
            str(one.seed),
            one.verdict,
            "as expected" if one.as_expected else "no",
            one.blast_radius,
            one.surprise,
        )
        for one in outcomes
    ]
    return [tuple(" ".join(cell.split()) for cell in cells) for cells in found]


def text(outcomes: Sequence[Outcome]) -> RenderableType:
    """For a terminal: what surprised stands beneath the table, where its sentences have room."""
    drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in HEAD[:-1]:
        drawn.add_column(name, overflow="fold")
    surprises: list[Text] = []
    for *cells, surprise in rows(outcomes):
        drawn.add_row(*(Text(cell, style=WORD_STYLES.get(cell, "")) for cell in cells))
        if surprise:
            experiment, arm, leaders_in, seed = cells[:4]
            surprises.append(Text(f"{experiment} on {arm}, leaders in {leaders_in}, seed {seed}: {surprise}"))
    return Group(drawn, *surprises, Text(tally(outcomes), style="bold"))


def tally(outcomes: Sequence[Outcome], left: int = 0) -> str:
    """`12 runs: 10 as expected, 1 other than expected, 1 unknown; 3 not made.`"""
    counts = {words: sum(one.exit_code == code for one in outcomes) for code, words in ENDED.items()}
    counts[REFUSED] = len(outcomes) - sum(counts.values())
    said = ", ".join(f"{count} {words}" for words, count in counts.items() if count) or "none ended"
    return f"{_runs(len(outcomes) + left)}: {said}{f'; {left} not made' if left else ''}."


def markdown(outcomes: Sequence[Outcome], limit_bytes: int = NO_LIMIT) -> str:
    """The table in at most `limit_bytes` of UTF-8: rows that don't fit are left out whole, and counted."""
    head = f"{_line(HEAD)}{'|---' * len(HEAD)}|\n"
    lines = [_line(cells) for cells in rows(outcomes)]
    if _size(head, *lines) <= limit_bytes:
        return head + "".join(lines)
    kept: list[str] = []
    room = limit_bytes - _size(head, _left_out(len(lines)))
    for line in lines:
        if _size(line) <= room:
            room -= _size(line)
            kept.append(line)
    return head + "".join(kept) + _left_out(len(lines) - len(kept))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.translate(ESCAPED) for cell in cells)} |\n"


def _left_out(count: int) -> str:
    return f"\n{_runs(count)} left out: there was no room for more.\n"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)
