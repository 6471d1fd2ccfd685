"""p50, p90 and p99 latency per region and phase, on a log axis, one panel per operation kind.

Question it answers: for whom did what become slow, even where it stayed available?
"""

from __future__ import annotations

from math import ceil, floor, log10

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lab.measurements import PHASES, Measurements, Percentiles
from lab.plots import style
from lab.report import partial
from lab.results import Run

TITLE = "How long operations took that were ok"
PANEL_PX = 150
SYMBOLS = {"p50": "circle", "p90": "diamond", "p99": "triangle-up"}
SHORT = {"recovery": "recov."}  # nine of them share 400 px
Place = tuple[str, str, Percentiles]


def figure(run: Run) -> go.Figure:
    """Draw all percentiles; a sentence where no latency was measured."""
    done = partial.measured(run)
    regions = [region for region in partial.regions(run) if region in done.latency]
    panels = [cut for cut in style.CUTS if any(_places(done, regions, cut))]
    if not panels:
        return style.nothing(TITLE, "no latency was measured in this run")
    drawn = make_subplots(
        rows=len(panels),
        shared_xaxes=True,
        vertical_spacing=0.3 / (len(panels) + 4),
        row_heights=[1.4 if cut == "overall" else 1.0 for cut in panels],
    )
    for row, cut in enumerate(panels, start=1):
        _panel(drawn, partial.regions(run), _places(done, regions, cut), row)
        label = style.CUTS[cut][0].replace(" ", "<br>", 1)
        drawn.update_yaxes(type="log", title=dict(text=label, standoff=6, font=dict(size=12)), row=row, col=1)
    # one range for all panels, so that they compare; a label per decade, written out
    drawn.update_yaxes(range=_decades(done, regions, panels), dtick=1, tickformat=",~r")
    # upright labels stay legible at 420 px; turned ones would reach into the legend
    drawn.update_xaxes(tickangle=0, tickfont=dict(size=11))
    return style.finish(drawn, TITLE, "ms from the intended start", PANEL_PX * len(panels) + 190, axis_px=48)


def _decades(done: Measurements, regions: list[str], panels: list[str]) -> list[int]:
    """The powers of ten that hold every percentile shown."""
    places = [found for cut in panels for _, _, found in _places(done, regions, cut)]
    values = [ms for found in places for ms in (found.p50_ms, found.p99_ms) if ms]
    return [floor(log10(min(values, default=1))), ceil(log10(max(values, default=1000)))]


def _places(done: Measurements, regions: list[str], cut: str) -> list[Place]:
    return [
        (region, phase, done.latency[region][cut][phase])
        for region in regions
        for phase in PHASES
        if phase in done.latency[region].get(cut, {})
    ]


def _panel(drawn: go.Figure, regions: tuple[str, ...], places: list[Place], row: int) -> None:
    for region, phase, found in places:
        if found.p50_ms is not None and found.p99_ms is not None:
            shade = style.colour(regions, region)
            drawn.add_trace(_stem(region, phase, found.p50_ms, found.p99_ms, shade), row, 1)
    for name in SYMBOLS:
        drawn.add_trace(_marks(regions, places, name, row == 1), row, 1)


def _stem(region: str, phase: str, low: float, high: float, shade: str) -> go.Scatter:
    return go.Scatter(
        x=[[region, region], [short(phase)] * 2],
        y=[low, high],
        mode="lines",
        showlegend=False,
        hoverinfo="skip",
        line=dict(color=style.faded(shade, 0.55), width=6),
    )


def _marks(regions: tuple[str, ...], places: list[Place], name: str, first: bool) -> go.Scatter:
    shown = [place for place in places if getattr(place[2], f"{name}_ms") is not None]
    return go.Scatter(
        x=[[region for region, _, _ in shown], [short(phase) for _, phase, _ in shown]],
        y=[getattr(found, f"{name}_ms") for _, _, found in shown],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=first,
        customdata=[f"{found.count} ok, max {_ms(found.max_ms)}" for _, _, found in shown],
        marker=dict(
            symbol=SYMBOLS[name],
            size=8,
            color=[style.colour(regions, region) for region, _, _ in shown],
            line=dict(color=style.INK, width=0.8),
        ),
        hovertemplate=f"%{{x}}: {name} %{{y:,.1f}} ms (%{{customdata}})<extra></extra>",
    )


def short(phase: str) -> str:
    """A phase as the axis has room for it."""
    return SHORT.get(phase, phase)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"
