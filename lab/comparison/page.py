"""A comparison's first screen as HTML, and the pieces below it; self-contained, escaped."""

from __future__ import annotations

from html import escape

from lab.comparison import details, outcome, words
from lab.comparison.gather import Compared
from lab.comparison.limits import limits
from lab.report import repeat
from lab.report.looks import STYLE
from lab.report.page import Page
from lab.results import Run

OWN_STYLE = """
.lab tr.rule td { border-top: 1px solid rgba(128, 128, 128, .4); }
.lab tr.aside td { opacity: .68; font-size: 11.5px; }
.lab td.top { vertical-align: top; }
.lab tr.rule td.top:first-child { font-weight: 600; }
.lab td small { font-size: 10.5px; font-weight: 400; opacity: .8; }
.lab th, .lab td { padding: 1px 5px; }
@media (max-width: 600px) { .lab .drawn { display: none; } }
"""


def html(found: Compared) -> Page:
    """All that decides: outcomes first, then every region; a phone does without the drawn timelines."""
    data = found.data
    done = f"{escape(words.harm(found))}. " if words.harm(found) else ""
    asked = f"<p class='faint'>{done}{escape(data.question)}</p>"
    left = "".join(f"<p class='unknown'>{escape(line)}</p>" for line in words.left_out(data))
    body = [f"<h2>{escape(words.title(data))}</h2>", asked, outcome.sentences(found), left]
    if data.seeds:
        body += [outcome.whole(data), outcome.regions(found), f"<p class='faint'>{escape(words.legend(data))}</p>"]
    return _page("".join([*body, _again(found)]))


def lags_html(found: Compared) -> Page:
    """Replication lag per link and phase."""
    return _page(details.lags(found.data))


def stale_html(found: Compared) -> Page:
    """Staleness per region and phase."""
    return _page(details.stale(found.data))


def latency_html(found: Compared) -> Page:
    """p50 and p99 per operation and phase."""
    return _page(details.latency(found.data))


def errors_html(found: Compared) -> Page:
    """Errors by code."""
    return _page(details.errors(found.data))


def differences_html(found: Compared) -> Page:
    """Every number that differs."""
    return _page(details.differences(found.data))


def limits_html(found: Compared) -> Page:
    """What this comparison can't say, as a list."""
    return _page(f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in limits(found))}</ul>")


def _again(found: Compared) -> str:
    data = found.data
    runs = [run for of_arm in found.runs.values() for run in of_arm]
    if not runs:
        return ""
    places = ", ".join(run.place for run in runs)
    first = min(runs, key=lambda run: run.seed)
    command = repeat.command(first, [run.arm for run in _one_each(found)], _in_a_row(data.seeds))
    return f"<p><b>Again:</b> <code>{escape(command)}</code></p><p class='faint'>Of {escape(places)}</p>"


def _one_each(found: Compared) -> list[Run]:
    return [runs[0] for runs in found.runs.values() if runs]


def _in_a_row(seeds: list[int]) -> int:
    """How many seeds `REPEATS` makes the same of: all, where they follow each other."""
    return len(seeds) if seeds == list(range(seeds[0], seeds[0] + len(seeds))) else 1


def _page(body: str) -> Page:
    return Page(f"<div class='lab'><style>{STYLE}{OWN_STYLE}</style>{body}</div>")
