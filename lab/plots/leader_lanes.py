"""Who led `meta` and each bucket, as lanes below a figure over time, coloured by region."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

from lab.plots import style
from lab.report import partial
from lab.results import Run

SHORTEST_NAMED = 0.09  # of the run's length: a shorter stretch can't hold its leader's name


@dataclass(frozen=True)
class Stretch:
    """One leader of one lane, from `begin_s` to `end_s`; `node` "" means nobody led."""

    lane: str
    begin_s: float
    end_s: float
    node: str

    @property
    def region(self) -> str:
        return self.node.rpartition("-")[0]


def stretches(run: Run) -> list[Stretch]:
    """Every lane's changes as stretches that end where the next begins, or with the load."""
    done = partial.measured(run)
    end = partial.end_s(run)
    found = []
    for lane, leaders in done.leaders.items():
        ends = [begin for begin, _ in leaders.changes[1:]] + [end]
        for (begin, node), stop in zip(leaders.changes, ends, strict=False):
            if stop > max(begin, 0.0):
                found.append(Stretch(lane, max(begin, 0.0), stop, node))
    return found


def draw(figure: go.Figure, run: Run, row: int) -> None:
    """Add the lanes as row `row`: a bar per stretch, a legend entry per leading region."""
    regions, found = partial.regions(run), stretches(run)
    whole = max((stretch.end_s for stretch in found), default=1.0)
    for region in [*regions, ""]:
        own = [stretch for stretch in found if stretch.region == region]
        if own:
            figure.add_trace(_bars(regions, region, own, whole), row=row, col=1)
    figure.update_yaxes(
        title=dict(text="<b>leader</b>", standoff=4),
        autorange="reversed",
        showgrid=False,
        categoryorder="array",
        categoryarray=list(partial.measured(run).leaders),
        row=row,
        col=1,
    )
    figure.update_layout(barmode="overlay", bargap=0.25)


def _bars(regions: tuple[str, ...], region: str, own: list[Stretch], whole: float) -> go.Bar:
    fill = style.colour(regions, region) if region else style.PAPER
    return go.Bar(
        orientation="h",
        y=[s.lane for s in own],
        base=[s.begin_s for s in own],
        x=[s.end_s - s.begin_s for s in own],
        name=f"led from {region}" if region else "no leader",
        text=[s.node if s.end_s - s.begin_s >= SHORTEST_NAMED * whole else "" for s in own],
        textposition="inside",
        insidetextanchor="middle",
        constraintext="none",
        textangle=0,
        textfont=dict(color=style.INK, size=11),
        customdata=[s.node or "nobody" for s in own],
        marker=dict(
            color=style.faded(fill, 0.45),
            line=dict(color=fill if region else style.FAULT_COLOUR, width=1),
            pattern=dict(shape=style.pattern(regions, region), fgcolor=style.faded(fill, 0.9), size=5, solidity=0.15),
        ),
        hovertemplate="%{y}: led by %{customdata} from %{base:.1f} s<extra></extra>",
    )
