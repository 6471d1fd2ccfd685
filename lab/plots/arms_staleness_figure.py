"""How old answers on others' keys were, per region and phase, arms side by side.

Question it answers: what was the price of being available? Bars are the oldest answer, signs the
median one.
"""

from __future__ import annotations

import plotly.graph_objects as go

from lab.comparison import words
from lab.comparison.gather import Compared
from lab.comparison.model import Comparison
from lab.measurements import PHASES
from lab.plots import style
from lab.plots.latency_figure import short
from lab.repeats.model import Spread

TITLE = "How old were answers on others' keys"
UNIT = "seconds out of date; bar: the oldest answer, sign: the median one"
HEIGHT_PX = 420


def figure(found: Compared) -> go.Figure:
    """Draw all that was measured; a sentence where nothing was."""
    data = found.data
    if not any(number.arms.get(arm) for number in data.of("staleness_max_s") for arm in data.arms):
        return style.nothing(TITLE, "no staleness was measured in runs that count")
    drawn = go.Figure()
    for arm in data.arms:
        drawn.add_trace(_oldest(data, arm))
    for arm in data.arms:
        drawn.add_trace(_median(data, arm))
    drawn.update_layout(barmode="group", scattermode="group", bargap=0.25, scattergap=0.25)
    drawn.update_yaxes(rangemode="tozero", ticksuffix=" s")
    drawn.update_xaxes(tickangle=0, tickfont=dict(size=11))
    return style.finish(drawn, TITLE, UNIT, HEIGHT_PX, axis_px=48)


def _places(data: Comparison, what: str, arm: str) -> list[tuple[str, str, Spread, str]]:
    """Region, phase, the number over the seeds, and it in words."""
    return [
        (region, phase, held, words.cell(number, arm, len(data.seeds)))
        for region in data.regions
        for phase in PHASES
        if (held := (number := data.number(what, region, "", phase)).arms.get(arm))
    ]


def _oldest(data: Comparison, arm: str) -> go.Bar:
    places = _places(data, "staleness_max_s", arm)
    colour, _, pattern = style.arm_signs(list(data.arms), arm)
    return go.Bar(
        x=_axis(places),
        y=[held.mean for _, _, held, _ in places],
        name=f"{arm}, oldest",
        offsetgroup=arm,
        customdata=[said for *_, said in places],
        marker=dict(
            color=style.faded(colour, 0.45),
            line=dict(color=colour, width=1),
            pattern=dict(shape=pattern, fgcolor=colour, size=6, solidity=0.2),
        ),
        error_y=_interval(places, colour),
        hovertemplate=f"{arm}, %{{x}}: oldest %{{customdata}} s<extra></extra>",
    )


def _median(data: Comparison, arm: str) -> go.Scatter:
    places = _places(data, "staleness_p50_s", arm)
    colour, symbol, _ = style.arm_signs(list(data.arms), arm)
    return go.Scatter(
        x=_axis(places),
        y=[held.mean for _, _, held, _ in places],
        name=f"{arm}, median",
        mode="markers",
        offsetgroup=arm,
        customdata=[said for *_, said in places],
        marker=dict(symbol=symbol, size=8, color=colour, line=dict(color=style.PAPER, width=1)),
        hovertemplate=f"{arm}, %{{x}}: median %{{customdata}} s<extra></extra>",
    )


def _axis(places: list[tuple[str, str, Spread, str]]) -> list[list[str]]:
    return [[region for region, *_ in places], [short(phase) for _, phase, *_ in places]]


def _interval(places: list[tuple[str, str, Spread, str]], colour: str) -> dict[str, object] | None:
    """The 95 % interval over seeds, where there is one."""
    if not any(held.interval for _, _, held, _ in places):
        return None
    ends = [held.interval or (held.mean, held.mean) for _, _, held, _ in places]
    return dict(
        type="data",
        symmetric=False,
        array=[high - held.mean for (_, high), (_, _, held, _) in zip(ends, places, strict=True)],
        arrayminus=[held.mean - low for (low, _), (_, _, held, _) in zip(ends, places, strict=True)],
        color=colour,
        thickness=1.4,
        width=4,
    )
