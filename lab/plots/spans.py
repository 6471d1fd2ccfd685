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
    found = partial.faults(run)
    if not found:
        _shade_nominal(figure, run)
        return
    end = partial.end_s(run) or found[-1].entered_s
    shapes = [_rectangle(*span, style.FAULT_COLOUR) for fault in found for span in _spans(fault, end)]
    instants = [at_s for f in found for at_s in (f.entered_s, f.left_s) if at_s is not None]
    # all at once: plotly's add_vrect checks every shape anew each time, 30 faults took a minute
    figure.update_layout(shapes=shapes + [_line(at_s) for at_s in instants])
    _name(figure, found)


def _spans(fault: FaultBite, end_s: float) -> list[tuple[float, float]]:
    """When it was in force: each of its pulses where it comes and goes."""
    if len(fault.pulses) > 1:
        return [(begin, end_s if end is None else end) for begin, end in fault.pulses]
    return [(fault.entered_s, end_s if fault.left_s is None else fault.left_s)]


def _shade_nominal(figure: go.Figure, run: Run) -> None:
    span = partial.fault_span(run)
    if span is not None:
        figure.update_layout(shapes=[_rectangle(*span, style.GREY)])
        _caption(figure, span[0], "no fault: nominal span", "left")


def _rectangle(begin_s: float, end_s: float, shade: str) -> dict[str, Any]:
    return dict(
        type="rect", name="fault", layer="below", xref="x", x0=begin_s, x1=end_s, yref="paper", y0=0, y1=1,
        fillcolor=style.faded(shade, 0.13), line=dict(width=0),
    )  # fmt: skip


def _line(at_s: float) -> dict[str, Any]:
    return dict(
        type="line", name="fault", xref="x", x0=at_s, x1=at_s, yref="paper", y0=0, y1=1,
        line=dict(color=style.FAULT_COLOUR, width=1.2, dash="dash"),
    )  # fmt: skip


def _name(figure: go.Figure, found: list[FaultBite]) -> None:
    if len(found) > NAMED_AT_MOST:
        _caption(figure, found[0].entered_s, f"{len(found)} faults, first entered", "left")
        return
    for place, fault in enumerate(found):
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
