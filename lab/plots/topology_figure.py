"""The map: regions on a circle, round-trip times on the edges, harm and blast radius marked.

Question it answers: where was the harm, and who fell without being harmed?
"""

from __future__ import annotations

from itertools import combinations
from math import cos, pi, sin
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from lab.plots import style
from lab.report import partial
from lab.report.words import CUT_WORDS, harm_words, listed
from lab.results import Run
from lab.topology import Topology

UNIT = "round-trip times, and what a fault added to a direction"
LABEL_WIDTH = 18  # characters: a region at the edge of a narrow screen keeps its words
TITLE = "Where the harm was, and who fell"
Point = tuple[float, float]


def figure(run: Run) -> go.Figure:
    """Draw the topology of a run; a sentence where the run has none."""
    topology = partial.topology(run)
    if topology is None:
        return style.nothing(TITLE, "this run has no topology")
    places = _places(topology.region_names)
    drawn = go.Figure()
    for pair in combinations(topology.region_names, 2):
        _edge(drawn, run, topology, places, pair)
    for region in topology.region_names:
        drawn.add_trace(_node(run, topology, region, places[region]))
    _legend(drawn, told=partial.measured(run).blast_radius is not None)
    drawn.update_xaxes(visible=False, range=[-1.6, 1.6])
    drawn.update_yaxes(visible=False, range=[-1.35, 1.75])
    return style.finish(drawn, TITLE, UNIT, 500, axis_px=10)


def _places(regions: tuple[str, ...]) -> dict[str, Point]:
    """The regions clockwise from the top of a circle of radius 1."""
    turn = 2 * pi / len(regions)
    return {region: (sin(i * turn), cos(i * turn)) for i, region in enumerate(regions)}


def _harm(run: Run) -> dict[str, dict[str, Any]]:
    """`a->b` -> what that link suffered, all faults together."""
    return {link: harm for fault in partial.faults(run) for link, harm in fault.links.items()}


def _edge(drawn: go.Figure, run: Run, topology: Topology, places: dict[str, Point], pair: tuple[str, str]) -> None:
    (x0, y0), (x1, y1) = places[pair[0]], places[pair[1]]
    harm = _harm(run)
    ways = [f"{a}->{b}" for a, b in (pair, pair[::-1]) if f"{a}->{b}" in harm]
    drawn.add_trace(
        go.Scatter(
            x=[x0, x1],
            y=[y0, y1],
            mode="lines",
            showlegend=False,
            hoverinfo="skip",
            line=dict(
                color=style.FAULT_COLOUR if ways else style.FAINT,
                width=3.5 if ways else 1.5,
                dash="dash" if ways else "solid",
            ),
        )
    )
    lines = [f"{topology.rtt(*pair):g} ms RTT"]
    lines += [f"<b>{way.replace('->', '→')} {harm_words(harm[way])}</b>" for way in ways]
    drawn.add_annotation(
        x=(x0 + x1) / 2,
        y=(y0 + y1) / 2,
        text="<br>".join(lines),
        showarrow=False,
        bgcolor=style.PAPER,
        borderpad=2,
        font=dict(size=11, color=style.FAULT_COLOUR if ways else style.INK),
    )


def _node(run: Run, topology: Topology, region: str, place: Point) -> go.Scatter:
    regions, blast = topology.region_names, partial.measured(run).blast_radius
    named, fell = region in partial.named(run), blast is not None and region in blast.regions
    shade = style.colour(regions, region)
    count = topology.regions[region].nodes
    what = ["<b>faulted</b>"] if named else []
    if fell and blast is not None:
        own = blast.kinds.get(region, [])
        kinds = listed([CUT_WORDS[kind] for kind in own if kind in CUT_WORDS])
        kinds = "every kind" if len(own) == len(CUT_WORDS) else "<br>".join(wrap(kinds, LABEL_WIDTH))
        what.append(f"<b>fell:<br>{kinds}</b>" if kinds else "<b>fell</b>")
    return go.Scatter(
        x=[place[0]],
        y=[place[1]],
        mode="markers+text",
        showlegend=False,
        name=region,
        text=["<br>".join([f"<b>{region}</b> · {count} node{'s' * (count > 1)}", *what])],
        textposition="top center" if place[1] > 0 else "bottom center",
        textfont=dict(size=12, color=style.INK),
        marker=dict(
            size=40 if named or fell else 32,
            color=style.faded(shade, 0.9) if not fell else style.PAPER,
            symbol="x" if named else "circle",
            line=dict(color=shade if fell else style.INK, width=7 if fell else 1.5),
        ),
        hovertemplate="%{text}<extra></extra>",
        cliponaxis=False,
    )


def _legend(drawn: go.Figure, told: bool) -> None:
    """Signs in words, since shapes alone are not self-evident; what was not measured kept nothing."""
    signs = [
        ("x", style.FAINT, style.INK, "named by the fault"),
        ("circle", style.PAPER, style.FAINT, "blast radius: fell without being named"),
        ("circle", style.FAINT, style.INK, "kept working" if told else "whether it fell was not measured"),
    ]
    for symbol, fill, edge, name in signs:
        width = 4 if fill == style.PAPER else 1
        drawn.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=name,
                marker=dict(symbol=symbol, size=13, color=fill, line=dict(color=edge, width=width)),
            )
        )
