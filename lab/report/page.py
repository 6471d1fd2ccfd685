"""The first screen as HTML: self-contained, escaped, for Jupyter's light and dark and for export."""

from __future__ import annotations

from html import escape

from lab.report import partial
from lab.report.blind_spots import limits
from lab.report.cells import table
from lab.report.looks import STYLE
from lab.report.repeat import command
from lab.report.sentence import headline
from lab.report.server_log import log_lines
from lab.report.words import harm_words, milliseconds, seconds
from lab.results import Run
from lab.verdict import Verdict


class Page(str):
    """HTML that a notebook shows as HTML."""

    def _repr_html_(self) -> str:
        return str(self)


def html(run: Run) -> Page:
    """All that decides, in one screen of 1280 × 800 for three regions."""
    judged = partial.verdict(run)
    parts = [_title(run, judged), _question(run), table(run), _bite(run), _why(judged), _again(run)]
    return _page("".join(parts))


def logs_html(run: Run) -> Page:
    """The server log lines around the onset."""
    lines = log_lines(run)
    if not lines:
        none = "No telling server log lines from 2 s before to 12 s after the onset."
        return _page(f"<p class='faint'>{none}</p>")
    body = "".join(
        f"<tr><td>{line.second:.1f} s</td><td class='l'>{escape(line.node)}</td>"
        f"<td class='l wrap' style='max-width:none'><code>{escape(line.text)}</code></td></tr>"
        for line in lines
    )
    return _page(f"<div class='scroll'><table><tbody>{body}</tbody></table></div>")


def limits_html(run: Run) -> Page:
    """What this run can't say, as a list."""
    return _page(f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in limits(run))}</ul>")


def _page(body: str) -> Page:
    return Page(f"<div class='lab'><style>{STYLE}</style>{body}</div>")


def _title(run: Run, judged: Verdict | None) -> str:
    word = judged.verdict if judged else "unknown"
    sign = {"valid": "✓", "invalid": "✗", "unknown": "?"}[word]
    shown = f"{sign} {word}" if judged else "? not judged"
    return f"<h2><span class='badge {word}'>{shown}</span>{escape(headline(run))}</h2>"


def _question(run: Run) -> str:
    found = partial.experiment(run)
    asked = f" — {escape(found.question)}" if found and found.question else ""
    what = f"{escape(partial.experiment_name(run))} on <b>{escape(run.arm)}</b>, seed {run.seed}"
    place = f", runtime {escape(partial.runtime(run))}" if partial.runtime(run) else ""
    return f"<p class='faint'>{what}{place}{asked}</p>"


def _bite(run: Run) -> str:
    """Did the fault bite? Per fault the witnesses' word, and what each harmed link read."""
    found = partial.faults(run)
    if not found:
        return "<p><b>Did the fault bite?</b> No fault was entered.</p>"
    shown = found[:3]
    lines = []
    for fault in shown:
        unseen = f"<b class='unknown'>not seen</b> {escape('; '.join(fault.why))}"
        word = "<b class='valid'>yes</b>" if fault.seen else unseen
        where = escape(f"{fault.fault} {', '.join(fault.targets)}".strip())
        harmed = [_link(run, link) for link in list(fault.links)[:6]]
        harmed += [escape(f"{node} {state}") for node, state in list(fault.nodes.items())[:6]]
        left = "never left" if fault.left_s is None else f"left {seconds(fault.left_s)}"
        when = f"entered {seconds(fault.entered_s)}, {left}"
        lines.append(f"{where} ({when}): {word} <span class='faint'>{'; '.join(harmed)}</span>")
    more = f" <span class='faint'>and {len(found) - 3} more</span>" if len(found) > 3 else ""
    return f"<p><b>Did the fault bite?</b> {'<br>'.join(lines)}{more}</p>"


def _link(run: Run, link: str) -> str:
    """`sg→us 101 → 1,533 ms (asked +1,432 ms)`, as its witness read it."""
    reading = partial.measured(run).links.get(link)
    asked = "; ".join(harm_words(f.links[link]) for f in partial.faults(run)[:1] if link in f.links)
    name = escape(link.replace("->", "→"))
    if reading is None:
        return f"{name} not measured"
    read = f"{milliseconds(reading.attested_ms)} → {milliseconds(reading.fault_ms)}"
    if reading.fault_ms is None and reading.silent_in_fault:
        read = f"{milliseconds(reading.attested_ms)} → silent"
    return f"{name}&nbsp;{read}" + (f" (asked {escape(asked)})" if asked else "")


def _why(judged: Verdict | None) -> str:
    if judged is None:
        return ""
    parts = []
    for name, finding in judged.checkers.items():
        expected = "" if finding.as_expected else f" (expected {finding.expected})"
        why = f" <span class='faint'>{escape('; '.join(finding.why[:3]))}</span>" if finding.why else ""
        word = f"<span class='{finding.verdict}'>{finding.verdict}</span>"
        parts.append(f"<b>{escape(name)}</b> {word}{expected}{why}")
    return f"<p>{' · '.join(parts)}</p>"


def _again(run: Run) -> str:
    place = run.place
    where = f"<span class='faint'>{escape(place)}</span>"
    return f"<p><b>Again:</b> <code>{escape(command(run))}</code> {where}</p>"
