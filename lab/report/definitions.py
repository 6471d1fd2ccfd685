"""What the words of a report mean: the first paragraph of each measure's docstring, so that the
definition printed is the one beside the code that computes it."""

from __future__ import annotations

from html import escape
from importlib import import_module

from lab.checkers.evidence import GATES
from lab.measurements import DEFINITIONS_VERSION
from lab.measures import MEASURES
from lab.report.page import Page

DEFINED = (
    "availability",
    "outages",
    "propagation",
    "blast_radius",
    "recovery",
    "staleness",
    "replication_lag",
    "amplification",
    "durability",
    "divergence",
)


def definitions() -> list[tuple[str, str]]:
    """(word, definition) of every measure a reader meets, in the order of the report."""
    return [_split(_first_paragraph(MEASURES[name].partition(":")[0])) for name in DEFINED]


def gates() -> list[tuple[str, str, str]]:
    """(gate, what it looks at, limit) of everything that makes a run `unknown`."""
    return [(gate.name, gate.what, gate.limit) for gate in GATES]


def definitions_html() -> Page:
    """Both lists, for the foot of a report."""
    words = "".join(f"<dt><b>{escape(word)}</b></dt><dd>{escape(text)}</dd>" for word, text in definitions())
    rows = "".join(f"<li><b>{escape(name)}</b>: {escape(what)}; {escape(limit)}</li>" for name, what, limit in gates())
    return Page(
        f"<p>Definitions, version {DEFINITIONS_VERSION}.</p><dl>{words}</dl>"
        f"<p>A run is <b>unknown</b>, whatever it showed, unless all of these hold:</p><ul>{rows}</ul>"
    )


def _first_paragraph(module: str) -> str:
    text = (import_module(module).__doc__ or "").partition("\n\n")[0]
    return " ".join(text.split())


def _split(paragraph: str) -> tuple[str, str]:
    """`Outage of a cut: a maximal span …` → (word, definition)."""
    word, _, text = paragraph.partition(": ")
    return word, text
