"""Marks every figure over time shares: the fault shaded, its ends as lines with names."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from lab.measurements import FaultBite
from lab.plots import style
from lab.report import partial
from lab.results import Run

NAMED_AT_MOST = 2  # more names would overlap: a flapping link enters and leaves dozens of times


def shade(figure: go.Figure, run: Run) -> None:
    """Shade the faults' spans over all rows; lines and names where they were entered and left."""
    # all at once: plotly's add_vrect checks every shape anew each time, 30 faults took a minute
    figure.update_layout(shapes=shapes(run))
    name(figure, run)


def shapes(run: Run, yref: str = "paper") -> list[dict[str, Any]]:
    """The faults' spans as rectangles, their ends as lines; the nominal span where there was no fault.

    yref: which rows they cover: all, or one as `y2 domain`.
    """
    found = partial.faults(run)
    if not found:
        span = partial.fault_span(run)
        return [_rectangle(*span, style.GREY, yref)] if span else []
    end = partial.end_s(run) or found[-1].entered_s
    spans = [_rectangle(*span, style.FAULT_COLOUR, yref) for fault in found for span in _spans(fault, end)]
    instants = [at_s for f in found for at_s in (f.entered_s, f.left_s) if at_s is not None]
    return spans + [_line(at_s, yref) for at_s in instants]


def name(figure: go.Figure, run: Run, above: int = 0) -> None:
    """Say above the topmost row which fault was entered where. above: how many lines are there already."""
    found, span = partial.faults(run), partial.fault_span(run)
    if found:
        _name(figure, found, above)
    elif span is not None:
        _caption(figure, span[0], "no fault: nominal span", "left", above)


def _spans(fault: FaultBite, end_s: float) -> list[tuple[float, float]]:
    """When it was in force: each of its pulses where it comes and goes."""
    if len(fault.pulses) > 1:
        return [(begin, end_s if end is None else end) for begin, end in fault.pulses]
    return [(fault.entered_s, end_s if fault.left_s is None else fault.left_s)]


def _rectangle(begin_s: float, end_s: float, shade: str, yref: str) -> dict[str, Any]:
    return dict(
        type="rect", name="fault", layer="below", xref="x", x0=begin_s, x1=end_s, yref=yref, y0=0, y1=1,
        fillcolor=style.faded(shade, 0.13), line=dict(width=0),
    )  # fmt: skip


def _line(at_s: float, yref: str) -> dict[str, Any]:
    return dict(
        type="line", name="fault", xref="x", x0=at_s, x1=at_s, yref=yref, y0=0, y1=1,
        line=dict(color=style.FAULT_COLOUR, width=1.2, dash="dash"),
    )  # fmt: skip


def _name(figure: go.Figure, found: list[FaultBite], above: int) -> None:
    if len(found) > NAMED_AT_MOST:
        _caption(figure, found[0].entered_s, f"{len(found)} faults, first entered", "left", above)
        return
    for place, fault in enumerate(found, start=above):
        where = f" {', '.join(fault.targets)}" if fault.targets else ""
        _caption(figure, fault.entered_s, f"{fault.fault}{where} entered", "left", place)
        if fault.left_s is not None:
            _caption(figure, fault.left_s, "left", "left", place)


def _caption(figure: go.Figure, at_s: float, text: str, anchor: Any, place: int = 0) -> None:
    figure.add_annotation(
        x=at_s,
        xref="x",
        y=1,
        yref="paper",
        yshift=4 + 14 * place,
        text=text,
        showarrow=False,
        xanchor=anchor,
        yanchor="bottom",
        font=dict(size=11, color=style.FAULT_COLOUR),
    )
