"""The propagation matrix: fault and operation kind × region, seconds until the first outage.

Question it answers: in what order did the others fall, and how soon?
"""

from __future__ import annotations

import plotly.graph_objects as go

from lab.measurements import KINDS, Propagation
from lab.plots import style
from lab.report import partial
from lab.results import Run

TITLE = "How soon the fault reached each region"
ROW_PX = 30
Row = tuple[str, str, dict[str, float | None]]  # label, cut, region -> delay in s


def figure(run: Run) -> go.Figure:
    """Draw the matrix; `none` where a region never had an outage."""
    done = partial.measured(run)
    if not done.propagation:
        return style.nothing(TITLE, "no propagation was measured in this run")
    regions = [region for region in partial.regions(run) if any(p.region == region for p in done.propagation)]
    rows = _rows(run, done.propagation)
    cells = [[delays.get(region) for region in regions] for _, _, delays in rows]
    drawn = go.Figure(_matrix(run, regions, rows, cells))
    drawn.update_xaxes(side="top", tickfont=dict(size=13), ticks="", type="category")
    drawn.update_yaxes(autorange="reversed", ticks="", type="category", showgrid=False)
    height = ROW_PX * len(rows) + style.TOP_PX + 40
    drawn = style.finish(drawn, TITLE, "seconds from the fault to a region's first outage", height)
    return drawn.update_layout(margin=dict(t=style.TOP_PX + 24, b=16))


def _rows(run: Run, found: list[Propagation]) -> list[Row]:
    entered = partial.faults(run)
    names = {fault.index: f"{fault.fault} {', '.join(fault.targets)}".strip() for fault in entered}
    rows: list[Row] = []
    for fault in sorted({p.fault for p in found}):
        own = [p for p in found if p.fault == fault]
        name = names.get(fault, "no fault" if fault < 0 else f"fault {fault}")
        many = f" (#{fault})" if len(names) > 1 else ""
        rows.append((f"<b>{name}{many}: first</b>", "overall", {p.region: p.delay_s for p in own}))
        for kind in KINDS:
            rows.append((f"{style.CUTS[kind][0]}{many}", kind, {p.region: p.by_kind.get(kind) for p in own}))
    return rows


def _matrix(run: Run, regions: list[str], rows: list[Row], cells: list[list[float | None]]) -> go.Heatmap:
    named = partial.named(run)
    return go.Heatmap(
        z=cells,
        x=[f"<b>{r}</b>" + (" (faulted)" if r in named else "") for r in regions],
        y=[label for label, _, _ in rows],
        text=_texts(run, regions, rows),
        texttemplate="%{text}",
        textfont=dict(size=13),
        xgap=3,
        ygap=3,
        zmin=0,
        hoverongaps=False,
        # at least a second, or delays that differ by milliseconds would look far apart
        zmax=max([1.0, *(delay for row in cells for delay in row if delay is not None)]),
        # light everywhere, so that dark text stays legible: sooner is more orange
        colorscale=[[0, "#F3A56B"], [0.5, "#F9D5B8"], [1, "#FDF3EA"]],
        showscale=False,
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
    )


def _texts(run: Run, regions: list[str], rows: list[Row]) -> list[list[str]]:
    return [[_text(run, region, cut, delays.get(region)) for region in regions] for _, cut, delays in rows]


def _text(run: Run, region: str, cut: str, delay_s: float | None) -> str:
    """`none` only where an outage could have been seen."""
    if delay_s is not None:
        return f"{delay_s:.1f} s"
    found = partial.measured(run).availability.get(region, {}).get(cut)
    return "–" if found is None or found.windows is None else "none"
