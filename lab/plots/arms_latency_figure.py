"""p50 and p99 latency per region and phase, arms side by side, on a log axis, a panel per operation kind.

Question it answers: who became slow on which arm, even where it stayed available?
"""

from __future__ import annotations

from math import ceil, floor, log10

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lab.comparison import words
from lab.comparison.gather import Compared
from lab.comparison.model import Comparison
from lab.measurements import PHASES
from lab.plots import style
from lab.plots.latency_figure import short

TITLE = "How long operations took that were ok, by arm"
UNIT = "ms from the intended start; the sign is p99, its stem reaches down to p50"
PANEL_PX = 150
Place = tuple[str, str, float, float]
"""Region, phase, p50 and p99 in ms."""


def figure(found: Compared) -> go.Figure:
    """Draw all that was measured; a sentence where nothing was."""
    data = found.data
    panels = [cut for cut in style.CUTS if any(_places(data, cut, arm) for arm in data.arms)]
    if not panels:
        return style.nothing(TITLE, "no latency was measured in runs that count")
    drawn = make_subplots(rows=len(panels), shared_xaxes=True, vertical_spacing=0.3 / (len(panels) + 4))
    for row, cut in enumerate(panels, start=1):
        for arm in data.arms:
            drawn.add_trace(_marks(data, cut, arm, row == 1), row, 1)
        label = style.CUTS[cut][0].replace(" ", "<br>", 1)
        drawn.update_yaxes(type="log", title=dict(text=label, standoff=6, font=dict(size=12)), row=row, col=1)
    drawn.update_yaxes(range=_decades(data, panels), dtick=1, tickformat=",~r")
    drawn.update_xaxes(tickangle=0, tickfont=dict(size=11))
    drawn.update_layout(scattermode="group", scattergap=0.3)
    return style.finish(drawn, TITLE, UNIT, PANEL_PX * len(panels) + 190, axis_px=48)


def _places(data: Comparison, cut: str, arm: str) -> list[Place]:
    found = []
    for region in data.regions:
        for phase in PHASES:
            p50, p99 = (data.number(what, region, cut, phase).arms.get(arm) for what in ("p50_ms", "p99_ms"))
            if p50 and p99:
                found.append((region, phase, p50.mean, p99.mean))
    return found


def _decades(data: Comparison, panels: list[str]) -> list[int]:
    """The powers of ten that hold every percentile shown."""
    places = [place for cut in panels for arm in data.arms for place in _places(data, cut, arm)]
    values = [ms for *_, p50, p99 in places for ms in (p50, p99) if ms > 0]
    return [floor(log10(min(values, default=1))), ceil(log10(max(values, default=1000)))]


def _marks(data: Comparison, cut: str, arm: str, first: bool) -> go.Scatter:
    places = _places(data, cut, arm)
    colour, symbol, _ = style.arm_signs(list(data.arms), arm)
    said = [
        " … ".join(
            words.cell(data.number(what, region, cut, phase), arm, len(data.seeds)) for what in ("p50_ms", "p99_ms")
        )
        for region, phase, *_ in places
    ]
    return go.Scatter(
        x=[[region for region, *_ in places], [short(phase) for _, phase, *_ in places]],
        y=[p99 for *_, p99 in places],
        error_y=dict(
            type="data",
            symmetric=False,
            array=[0.0] * len(places),
            arrayminus=[p99 - p50 for *_, p50, p99 in places],
            width=5,
            thickness=2,
            color=colour,
        ),
        mode="markers",
        name=arm,
        legendgroup=arm,
        offsetgroup=arm,
        showlegend=first,
        customdata=said,
        marker=dict(symbol=symbol, size=9, color=colour, line=dict(color=style.INK, width=0.8)),
        hovertemplate=f"{arm}, %{{x}}: p50 … p99 %{{customdata}} ms<extra></extra>",
    )


def _said(data: Comparison, region: str, cut: str, phase: str, arm: str) -> str:
    """`84.9 … 5,720`, each with its interval where it has one."""
    numbers = [data.number(what, region, cut, phase) for what in ("p50_ms", "p99_ms")]
    return " … ".join(words.cell(number, arm, len(data.seeds)) for number in numbers)
