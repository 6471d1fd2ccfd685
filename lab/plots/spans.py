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
    for fault in found:
        left = end if fault.left_s is None else fault.left_s
        figure.add_vrect(
            x0=fault.entered_s,
            x1=left,
            layer="below",
            line_width=0,
            name="fault",
            fillcolor=style.faded(style.FAULT_COLOUR, 0.13),
        )
        for at_s in (fault.entered_s, fault.left_s):
            if at_s is not None:
                figure.add_vline(x=at_s, line=dict(color=style.FAULT_COLOUR, width=1.2, dash="dash"))
    _name(figure, found)


def _shade_nominal(figure: go.Figure, run: Run) -> None:
    span = partial.fault_span(run)
    if span is None:
        return
    figure.add_vrect(
        x0=span[0],
        x1=span[1],
        layer="below",
        line_width=0,
        name="fault",
        fillcolor=style.faded("#999999", 0.13),
    )
    _caption(figure, span[0], "no fault: nominal span", "left")


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
