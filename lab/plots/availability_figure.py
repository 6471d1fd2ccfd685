"""Availability over time, one row per region, with the fault shaded and leaders in lanes below.

Question it answers: who could no longer work, in what way, from when to when?
"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lab.measurements import CutAvailability, Outage, Windows
from lab.plots import leader_lanes, spans, style
from lab.plots.reduce import reduce
from lab.report import partial
from lab.results import Run

ROW_PX, LANE_PX = 120, 24
UNIT = "share of operations ok in time; seconds since steady began"
TITLE = "Who could work, and when"


def figure(run: Run) -> go.Figure:
    """Draw the availability of every region; a sentence where nothing was measured."""
    done = partial.measured(run)
    if not done.availability:
        return style.nothing(TITLE, "no availability was measured in this run")
    regions = [region for region in partial.regions(run) if region in done.availability]
    heights = [ROW_PX] * len(regions) + ([LANE_PX * (len(done.leaders) + 1)] if done.leaders else [])
    drawn = make_subplots(rows=len(heights), shared_xaxes=True, vertical_spacing=18 / sum(heights), row_heights=heights)
    for row, region in enumerate(regions, start=1):
        _region(drawn, run, region, row)
    if done.leaders:
        leader_lanes.draw(drawn, run, len(heights))
    spans.shade(drawn, run)
    if partial.end_s(run):
        drawn.update_xaxes(range=[0, partial.end_s(run)])
    return style.finish(drawn, TITLE, UNIT, sum(heights) + 190)


def _region(drawn: go.Figure, run: Run, region: str, row: int) -> None:
    regions, done = partial.regions(run), partial.measured(run)
    shade = style.colour(regions, region)
    for cut in style.CUTS:
        found = done.availability[region].get(cut)
        if found is not None and found.windows is not None:
            drawn.add_trace(_line(region, cut, found.windows, shade, row == 1), row=row, col=1)
    own = [o for o in done.outages if o.region == region and o.cut in style.CUTS]
    onsets = [o for o in own if o.kind == "availability"]
    if onsets:
        drawn.add_trace(_onsets(onsets, not _marked_above(run, region)), row=row, col=1)
    harmed = "<br><i>faulted</i>" if region in partial.named(run) else ""
    drawn.update_yaxes(
        title=dict(text=f"<b>{region}</b>{harmed}", font=dict(color=shade), standoff=4),
        range=[-0.06, 1.18],
        tickvals=[0, 0.5, 1],
        tickformat=".0%",
        row=row,
        col=1,
    )
    _say_unmeasured(drawn, done.availability[region], row)


def _line(region: str, cut: str, windows: Windows, shade: str, first: bool) -> go.Scatter:
    label, ink, dash, width = style.CUTS[cut]
    edges = [windows.begin_s + i * windows.width_s for i in range(len(windows.values) + 1)]
    # an `hv` step needs the last value once more, at the end of its window
    x, y = reduce(edges, [*windows.values, windows.values[-1]] if windows.values else [])
    overall = cut == "overall"
    return go.Scatter(
        x=x,
        y=y,
        name=label,
        legendgroup=cut,
        showlegend=first,
        mode="lines",
        line=dict(color=shade if overall else ink, dash=dash, width=width, shape="hv"),
        fill="tozeroy" if overall else None,
        fillcolor=style.faded(shade, 0.18) if overall else None,
        hovertemplate=f"{region}, {label}: %{{y:.1%}} in {windows.width_s} s from %{{x:.0f}}<extra></extra>",
    )


def _onsets(found: list[Outage], first: bool) -> go.Scatter:
    """One triangle per outage; those of one instant share it, all of them in its hover text."""
    by_instant: dict[float, list[str]] = {}
    for outage in found:
        end = "the end" if outage.ongoing else f"{outage.end_s:.1f} s"
        text = f"{style.CUTS[outage.cut][0]}: out until {end}, {outage.lost_operations} operations lost"
        by_instant.setdefault(outage.onset_s, []).append(text)
    return go.Scatter(
        x=list(by_instant),
        y=[1.1] * len(by_instant),
        mode="markers",
        name="onset of an outage",
        legendgroup="onset",
        showlegend=first,
        text=["<br>".join(lines) for lines in by_instant.values()],
        marker=dict(symbol="triangle-down", size=11, color=style.FAULT_COLOUR, line=dict(color=style.INK, width=1)),
        hovertemplate="%{x:.1f} s<br>%{text}<extra></extra>",
    )


def _marked_above(run: Run, region: str) -> bool:
    """Whether a row above already put the onsets' sign into the legend."""
    above = partial.regions(run)[: partial.regions(run).index(region)]
    return any(o.region in above and o.kind == "availability" for o in partial.measured(run).outages)


def _say_unmeasured(drawn: go.Figure, cuts: dict[str, CutAvailability], row: int) -> None:
    told = [cut for cut, found in cuts.items() if found.windows is not None]
    missing = [label for cut, (label, *_) in style.CUTS.items() if cut not in told]
    if missing:
        drawn.add_annotation(
            text=f"not measured: {', '.join(missing)}",
            x=1,
            xref="x domain",
            y=0,
            yref="y domain",
            xanchor="right",
            yanchor="bottom",
            showarrow=False,
            font=dict(size=10, color=style.FAINT),
            row=row,
            col=1,
            bgcolor=style.faded("#FFFFFF", 0.8),
        )
