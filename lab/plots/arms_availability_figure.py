"""Availability over time, arms one above the other for each region, each with its own fault shaded.

Question it answers: who could no longer work on which arm, and when? Of several seeds the mean is
drawn, and for all operations the band from the least to the most.
"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lab.comparison import timeline
from lab.comparison.gather import Compared
from lab.comparison.timeline import Second
from lab.plots import spans, style
from lab.report import partial

ROW_PX, GAP_PX = 92, 22  # the arm's name stands in the gap above its row
UNIT = "share of operations ok in time; seconds since steady began"
OF_MANY = "share of operations ok in time, mean of the seeds, band: least to most; seconds"
TITLE = "Who could work on which arm, and when"


def figure(found: Compared) -> go.Figure:
    """Draw every region on every arm that proved something; a sentence where none did."""
    rows = [(region, arm) for region in found.data.regions for arm, runs in found.runs.items() if runs]
    if not rows or not any(timeline.seconds(found.runs[arm], region, "overall") for region, arm in rows):
        return style.nothing(TITLE, "no availability was measured in runs that count")
    drawn = make_subplots(rows=len(rows), shared_xaxes=True, vertical_spacing=GAP_PX / (ROW_PX * len(rows)))
    for row, (region, arm) in enumerate(rows, start=1):
        _row(drawn, found, region, arm, row)
    runs = [run for of_arm in found.runs.values() for run in of_arm]
    shapes = [
        shape
        for row, (_, arm) in enumerate(rows, start=1)
        for shape in spans.shapes(found.runs[arm][0], f"y{row if row > 1 else ''} domain")
    ]
    drawn.update_layout(shapes=shapes)
    spans.name(drawn, runs[0], above=1)
    drawn.update_xaxes(range=[0, max(partial.end_s(run) for run in runs)])
    unit = OF_MANY if len(found.data.seeds) > 1 else UNIT
    style.finish(drawn, TITLE, unit, ROW_PX * len(rows) + 190 + GAP_PX)
    return drawn.update_layout(margin_t=style.TOP_PX + GAP_PX)


def _row(drawn: go.Figure, found: Compared, region: str, arm: str, row: int) -> None:
    runs, data = found.runs[arm], found.data
    shade = style.colour(list(data.regions), region)
    for cut in style.CUTS:
        seconds = timeline.seconds(runs, region, cut)
        if seconds:
            if cut == "overall" and len(runs) > 1:
                drawn.add_trace(_band(seconds, shade), row=row, col=1)
            drawn.add_trace(_line(seconds, region, arm, cut, shade, row == 1), row=row, col=1)
    harmed = "<br><i>faulted</i>" if data.regions[region] else ""
    drawn.update_yaxes(
        title=dict(text=f"<b>{region}</b>{harmed}", font=dict(color=shade), standoff=4),
        range=[-0.06, 1.06],
        tickvals=[0, 0.5, 1],
        tickformat=".0%",
        row=row,
        col=1,
    )
    _name(drawn, arm, row)


def _line(seconds: list[Second], region: str, arm: str, cut: str, shade: str, first: bool) -> go.Scatter:
    label, ink, dash, width = style.CUTS[cut]
    overall = cut == "overall"
    return go.Scatter(
        # an `hv` step needs the last value once more, at the end of its second
        x=[*(one.begin_s for one in seconds), seconds[-1].begin_s + 1],
        y=[*(one.mean for one in seconds), seconds[-1].mean],
        name=label,
        legendgroup=cut,
        showlegend=first,
        mode="lines",
        line=dict(color=shade if overall else ink, dash=dash, width=width, shape="hv"),
        fill="tozeroy" if overall else None,
        fillcolor=style.faded(shade, 0.18) if overall else None,
        hovertemplate=f"{region} on {arm}, {label}: %{{y:.1%}} from %{{x:.0f}} s<extra></extra>",
    )


def _band(seconds: list[Second], shade: str) -> go.Scatter:
    """From the least to the most of the seeds, as one outline: there and back again, in steps."""
    there = [at_s for one in seconds for at_s in (one.begin_s, one.begin_s + 1)]
    most = [one.most for one in seconds for _ in range(2)]
    least = [one.least for one in seconds for _ in range(2)]
    return go.Scatter(
        x=[*there, *reversed(there)],
        y=[*most, *reversed(least)],
        mode="lines",
        line=dict(width=0),
        fill="toself",
        fillcolor=style.faded(shade, 0.35),
        showlegend=False,
        hoverinfo="skip",
    )


def _name(drawn: go.Figure, arm: str, row: int) -> None:
    drawn.add_annotation(
        text=f"<b>{arm}</b>",
        x=0,
        xref="x domain",
        y=1,
        yref="y domain",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font=dict(size=11, color=style.INK),
        row=row,
        col=1,
    )
