"""How every figure looks: colours, dashes, patterns, fonts, margins; and that it shows at all.

Colours are Okabe and Ito's, which people with any kind of colour blindness can tell apart; a
region keeps its colour in every figure. Colour is never the only sign: regions also have a
pattern, operation kinds a dash, percentiles a symbol.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import plotly.graph_objects as go
import plotly.io as pio

# Okabe & Ito, "Color Universal Design" (2008); black is kept for lines that speak of no region.
REGION_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C00", "#5D3A9B")
REGION_PATTERNS = ("", "/", "x", "\\", ".", "-", "|", "+")
# Colour belongs to the regions; where arms stand side by side they take what regions seldom reach, and always
# a symbol and a pattern as well (from Tol, "Colour schemes" (2021), muted; told apart by the colour-blind, too).
ARM_COLOURS = ("#222222", "#AA4499", "#88CCEE", "#999933", "#882255", "#DDCC77")
ARM_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star")
ARM_PATTERNS = ("", "/", ".", "x", "-", "|")
FAULT_COLOUR = "#D55E00"
GREY = "#999999"
INK, FAINT, GRID, PAPER = "#222222", "#6B6B6B", "#E3E3E3", "#FFFFFF"

TOP_PX = 84
# two buttons only: on a phone they are always there, and more would cover the title
CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtons": [["toImage", "resetScale2d"]]}

# cut -> (label, colour, dash, width): grey and dash, since colour belongs to the regions
CUTS: dict[str, tuple[str, str, str, float]] = {
    "overall": ("all operations", INK, "solid", 2.4),
    "put": ("put", "#000000", "dot", 1.8),
    "get_own": ("get own keys", "#7A7A7A", "dash", 1.5),
    "get_others": ("get others' keys", "#7A7A7A", "solid", 1.5),
    "watch": ("watch", "#000000", "dashdot", 1.5),
}
FONT = dict(family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size=13, color=INK)
TEMPLATE = go.layout.Template(
    layout=dict(
        font=FONT,
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        colorway=list(REGION_COLOURS),
        xaxis=dict(gridcolor=GRID, linecolor=FAINT, zeroline=False, automargin=True, ticks="outside"),
        yaxis=dict(gridcolor=GRID, linecolor=FAINT, zeroline=False, automargin=True),
        hoverlabel=dict(bgcolor=PAPER, font=dict(color=INK)),
    )
)


def colour(regions: Sequence[str], region: str) -> str:
    """The fixed colour of a region: by its place in the topology."""
    return REGION_COLOURS[_place(regions, region) % len(REGION_COLOURS)]


def pattern(regions: Sequence[str], region: str) -> str:
    """The fixed fill pattern of a region, so that bars can be told apart without colour."""
    return REGION_PATTERNS[_place(regions, region) % len(REGION_PATTERNS)]


def arm_signs(arms: Sequence[str], arm: str) -> tuple[str, str, str]:
    """(colour, symbol, pattern) of an arm, by its place in the comparison."""
    place = list(arms).index(arm)
    return tuple(signs[place % len(signs)] for signs in (ARM_COLOURS, ARM_SYMBOLS, ARM_PATTERNS))  # type: ignore[return-value]


def _place(regions: Sequence[str], region: str) -> int:
    return list(regions).index(region) if region in regions else len(regions)


def faded(hexadecimal: str, alpha: float) -> str:
    """A `#rrggbb` colour as a transparent fill."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def finish(figure: go.Figure, title: str, unit: str, height: int, axis_px: int = 30) -> go.Figure:
    """Give a figure its title, template and a layout that fits 420 px as well as 1,200 px.

    unit: what the axis shows, under the title, where it can't collide with the legend below.
    axis_px: how deep the labels of the x axis reach; the legend begins beneath them.
    """
    show_in_notebooks()
    figure.update_layout(
        template=TEMPLATE,
        title=dict(
            text=title,
            subtitle=dict(text=unit, font=dict(size=12, color=FAINT)),
            x=0,
            xref="container",
            xanchor="left",
            y=1,
            yref="container",
            yanchor="top",
            pad=dict(l=12, t=12),
            font=dict(size=16),
        ),
        height=height,
        autosize=True,
        margin=dict(l=8, r=12, t=TOP_PX, b=40),
        legend=dict(
            orientation="h",
            x=0,
            xanchor="left",
            yanchor="top",
            font=dict(size=12),
            y=-axis_px / max(height - TOP_PX - 100, 100),  # in heights of the plot itself
        ),
        hovermode="closest",
    )
    return figure


def nothing(title: str, why: str) -> go.Figure:
    """A figure that says why there is nothing to see."""
    figure = go.Figure()
    figure.add_annotation(text=why, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font=dict(color=FAINT))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return finish(figure, title, "", 180)


def show_in_notebooks() -> None:
    """Also give kernels HTML that needs no extension and no net.

    plotly's own choice in a kernel shows nothing in an exported page; whoever set
    PLOTLY_RENDERER, or chose a renderer in their notebook, keeps it.
    """
    for name in ("notebook", "plotly_mimetype"):
        pio.renderers[name].config = dict(CONFIG)
    if "PLOTLY_RENDERER" not in os.environ and pio.renderers.default == "plotly_mimetype":
        pio.renderers.default = "plotly_mimetype+notebook"
