"""The cells and rows that a comparison's tables in HTML are made of.

What is said is escaped here; heads, and what `row`, `spanning` and `table` are handed, is HTML already.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lab.comparison import words
from lab.comparison.model import Comparison, Number
from lab.report.cells import HURT_BELOW
from lab.report.words import NOT_MEASURED

DRAWN = "timeline"  # the column that a narrow page leaves out


def own(data: Comparison, number: Number, arm: str) -> str:
    """An arm's number; hurt where available 5 points less than in steady, or with anything lost or divergent."""
    said = said_of(words.cell(number, arm, len(data.seeds)))
    return f"<td class='{'hurt' if _hurt(data, number, arm) else ''}'>{said}</td>"


def said_of(text: str) -> str:
    """A number as HTML; what is said of its trust beneath it, so that columns stay narrow."""
    if text == NOT_MEASURED:
        return f"<span class='faint' title='not measured'>{text}</span>"
    mean, _, rest = text.partition(" ")
    return escape(mean) + (f"<br><small>{escape(rest)}</small>" if rest else "")


def _hurt(data: Comparison, number: Number, arm: str) -> bool:
    held = number.arms.get(arm)
    if held is None:
        return False
    if number.what == "availability":
        steady = data.number("availability", number.where, number.cut, "steady").arms.get(arm)
        return steady is not None and held.mean < steady.mean - HURT_BELOW
    return number.what in ("writes_lost", "divergent_keys") and held.mean > 0


def difference(data: Comparison, number: Number, arm: str) -> str:
    """An arm's difference; bold where its interval leaves out 0."""
    said = said_of(words.difference_cell(number, arm, len(data.seeds)))
    return f"<td>{f'<b>{said}</b>' if words.sure(number.differences.get(arm)) else said}</td>"


def region(name: str, named: bool) -> str:
    """A region's name as HTML."""
    return escape(name) + (" <span class='faint'>(faulted)</span>" if named else "")


def spanning(content: str, rows: int) -> str:
    """A cell at the left of several rows."""
    return f"<td class='l top' rowspan='{rows}'>{content}</td>"


def text(content: str) -> str:
    return f"<td class='l'>{escape(content)}</td>"


def drawn(svg: str) -> str:
    """A cell of the column `DRAWN`."""
    return f"<td class='l drawn'>{svg}</td>"


def row(content: str, *, first: bool = False, faint: bool = False) -> str:
    """first: a rule above it; faint: beside the point."""
    kinds = " ".join(name for name, held in (("rule", first), ("aside", faint)) if held)
    return f"<tr class='{kinds}'>{content}</tr>" if kinds else f"<tr>{content}</tr>"


def table(head: Sequence[str], rows: Sequence[str], left: Sequence[int] = ()) -> str:
    """left: the columns that are no numbers."""
    kinds = [("l " if place in left else "") + ("drawn" if name == DRAWN else "") for place, name in enumerate(head)]
    names = "".join(f"<th class='{kind.strip()}'>{name}</th>" for kind, name in zip(kinds, head, strict=True))
    return f"<div class='scroll'><table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
