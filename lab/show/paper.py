"""Lines for a terminal of a given width: titles, paragraphs, commands and tables, no line ending in blanks.

Commands are never wrapped, so that they can be copied.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

INDENT = 2
WIDEST = 100


class Paper:
    """Written from top to bottom; `lines` are (text, style)."""

    def __init__(self, width: int) -> None:
        self.width = max(40, min(width, WIDEST))
        self.lines: list[tuple[str, str]] = []

    def title(self, left: str, right: str) -> None:
        """Two ends of one line, where they fit on one."""
        gap = self.width - len(left) - len(right)
        self.lines.append((f"{left}{' ' * gap}{right}" if gap > 1 else f"{left}  {right}", "bold"))

    def heading(self, text: str) -> None:
        self.lines += [("", ""), (text, "bold")]

    def say(self, text: str, indent: int = INDENT, style: str = "") -> None:
        """A paragraph; `hanging` lines of a list are for `item`."""
        self._wrapped(text, " " * indent, " " * indent, style)

    def blank(self) -> None:
        self.lines.append(("", ""))

    def item(self, name: str, text: str, indent: int = INDENT, width: int = 0) -> None:
        """`name  text`, the text in a column of its own that is `width` wide at its left."""
        begin = f"{' ' * indent}{name:{width}}  "
        self._wrapped(text, begin, " " * len(begin), "")

    def items(self, rows: Sequence[tuple[str, str]], indent: int = INDENT) -> None:
        """Items with one column for all their texts."""
        for name, text in rows:
            self.item(name, text, indent, max(len(name) for name, _ in rows))

    def command(self, text: str) -> None:
        self.lines.append((" " * INDENT + text, "cyan"))

    def drawn(self, lines: Sequence[str]) -> None:
        self.lines += [((" " * INDENT + line).rstrip(), "") for line in lines]

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """Columns as wide as their widest cell; those in `right` are set right, the last one wraps."""
        widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
        for number, row in enumerate([head, *rows]):
            cells = [
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row[:-1], widths[:-1], strict=True))
            ]
            begin = " " * INDENT + "".join(f"{cell}  " for cell in cells)
            last = row[-1].rjust(widths[-1]) if len(row) - 1 in right else row[-1]
            self._wrapped(last, begin, " " * len(begin), "dim" if number == 0 else "")

    def _wrapped(self, text: str, begin: str, later: str, style: str) -> None:
        room = self.width - len(later)
        if room < 20:  # no column left: below its name
            self.lines.append((begin.rstrip(), style))
            begin = later = " " * (INDENT * 3)
        wrapped = textwrap.wrap(
            text, max(20, self.width - len(later)), break_long_words=False, break_on_hyphens=False
        ) or [""]
        self.lines += [((begin if n == 0 else later) + line, style) for n, line in enumerate(wrapped)]

    def print_to(self, console: Console) -> None:
        for text, style in self.lines:
            console.print(Text(text.rstrip(), style=style), soft_wrap=True)
