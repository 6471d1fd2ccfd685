"""The first screen's table as HTML: one row per region and operation, a small timeline in each."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from lab.measurements import KINDS, Windows
from lab.report import partial
from lab.report.table import Row, rows
from lab.report.words import CUT_LABELS, NOT_MEASURED, count, milliseconds, percent, seconds
from lab.results import Run

HURT_BELOW = 0.05  # as far below steady as DESIGN's definition of an outage
HEAD = (
    ("region", "l"),
    ("operation", "l"),
    ("timeline", "l"),
    ("steady", ""),
    ("fault", ""),
    ("recovery", ""),
    ("outages<br>(longest)", ""),
    ("out after<br>fault", ""),
    ("longest<br>gap", ""),
    ("p99<br>steady → fault", ""),
    ("recovered<br>after heal", ""),
    ("writes<br>lost", ""),
    ("stale in fault<br>p50 / max", ""),
    ("errors", "l"),
)
WIDTH, HEIGHT = 120, 14


def table(run: Run) -> str:
    """The whole table, and the line of blast radius and amplification beneath it."""
    found = rows(run)
    if not any(row["windows"] is not None or row["steady"] is not None for row in found):
        return "<p class='faint'>Nothing was measured.</p>"
    head = "".join(f"<th class='{side}'>{name}</th>" for name, side in HEAD)
    body = "".join(_row(run, row) for row in found)
    scroll = f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    return scroll + f"<p>{escape(collateral(run))}</p>"


def collateral(run: Run) -> str:
    """One line: blast radius with its kinds, collateral, second wave, messages per operation."""
    done = partial.measured(run)
    radius = done.blast_radius
    if radius is None:
        return "Blast radius: not measured."
    fell = "; ".join(
        f"{region} ({', '.join(CUT_LABELS.get(kind, kind) for kind in radius.kinds.get(region, []))})"
        for region in radius.regions
    )
    collateral_s = radius.collateral_region_seconds
    parts = [f"Blast radius: {fell or 'empty'}", f"collateral {collateral_s:.1f} region-seconds"]
    if radius.second_wave:
        parts.append(f"second wave after the heal: {', '.join(radius.second_wave)}")
    ratio = done.amplification.ratio if done.amplification else None
    parts.append(f"messages per operation × {ratio:.1f} in the fault" if ratio is not None else "")
    return " · ".join(part for part in parts if part) + "."


def _row(run: Run, row: Row) -> str:
    first = row["cut"] == "overall"
    named = " <span class='faint'>(faulted)</span>" if row["named"] else ""
    region = _region_cell(f"{escape(row['region'])}{named}") if first else ""
    cells = [
        region,
        f"<td class='l'>{escape(CUT_LABELS[row['cut']])}</td>",
        f"<td class='l'>{_timeline(run, row['windows'])}</td>",
        *(_share(row, phase) for phase in ("steady", "fault", "recovery")),
        _outages(row),
        _cell(row["propagation_s"], seconds) if row["outages"] else _none(row),
        _cell(row["longest_gap_s"], seconds),
        f"<td>{_text(row['p99_steady_ms'], milliseconds)} → {_text(row['p99_fault_ms'], milliseconds)}</td>",
    ]
    if first:
        cells += _per_region(row)
    return f"<tr{' class=first' if first else ''}>{''.join(cells)}</tr>"


def _region_cell(content: str, kind: str = "l") -> str:
    return f"<td class='{kind}' rowspan='{len(KINDS) + 1}'>{content}</td>"


def _per_region(row: Row) -> list[str]:
    recovered = "never" if row["never_recovered"] else _text(row["recovery_s"], seconds)
    if row["never_resumed"]:
        recovered += f"<br>watches of {escape(', '.join(row['never_resumed']))} never resumed"
    stale = f"{_text(row['staleness_p50_s'], seconds)} / {_text(row['staleness_max_s'], seconds)}"
    codes = sorted(row["errors"].items(), key=lambda item: -item[1])
    errors = "<br>".join(f"{escape(code)} {number:,}" for code, number in codes[:4])
    more = f"<br>and {len(codes) - 4} more" if len(codes) > 4 else ""
    hurt = "hurt" if row["never_recovered"] or row["never_resumed"] else "plain wrap"
    lost = "hurt" if row["writes_lost"] else "plain"
    return [
        _region_cell(recovered, hurt),
        _region_cell(_text(row["writes_lost"], count), lost),
        _region_cell(stale, "plain"),
        _region_cell(errors + more or "none", "l plain wrap"),
    ]


def _share(row: Row, phase: str) -> str:
    value, steady = row[phase], row["steady"]
    hurt = value is not None and steady is not None and value < steady - HURT_BELOW
    return _cell(value, percent, "hurt" if hurt else "")


def _outages(row: Row) -> str:
    if not row["outages"]:
        return _none(row)
    return f"<td>{count(row['outages'])} ({_text(row['longest_outage_s'], seconds)})</td>"


def _none(row: Row) -> str:
    """`none` where there was no outage; "–" where none could have been seen."""
    return "<td class='faint'>none</td>" if row["outages"] == 0 else _cell(None, str)


def _cell(value: Any, say: Callable[[Any], str], kind: str = "") -> str:
    return f"<td class='{kind}'>{_text(value, say)}</td>"


def _text(value: Any, say: Callable[[Any], str]) -> str:
    if value is None:
        return f"<span class='faint' title='not measured'>{NOT_MEASURED}</span>"
    return escape(say(value))


def _timeline(run: Run, windows: Windows | None) -> str:
    return timeline(windows, partial.end_s(run), partial.fault_span(run))


def timeline(windows: Windows | None, end: float, span: tuple[float, float] | None) -> str:
    """Availability over the whole load, `end` seconds, as a small SVG, the fault's span shaded."""
    if windows is None or not windows.values or end <= 0:
        return f"<span class='faint' title='not measured'>{NOT_MEASURED}</span>"
    scale = WIDTH / end
    shade = ""
    if span is not None:
        place = f"x='{span[0] * scale:.1f}' width='{(span[1] - span[0]) * scale:.1f}' height='{HEIGHT}'"
        shade = f"<rect {place} fill='#D55E00' opacity='.22'/>"
    step = windows.width_s * scale
    path = "".join(
        f"{'L' if i else 'M'}{(windows.begin_s * scale + i * step):.1f} {_y(v)}h{step:.1f}"
        for i, v in enumerate(windows.values)
    )
    return (
        f"<svg width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' "
        f"aria-label='availability over time'>{shade}"
        f"<path d='{path}' fill='none' stroke='currentColor' stroke-width='1.3'/></svg>"
    )


def _y(value: float) -> str:
    return f"{1 + (HEIGHT - 2) * (1 - value):.1f}"
