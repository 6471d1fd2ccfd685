"""The figures of one run, and of arms beside each other, by name; plotly is loaded only when one is drawn.

A module per figure, named `…_figure` so that importing one can't hide the function of that name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from lab.comparison.gather import Compared
    from lab.results import Run

FIGURES: dict[str, str] = {
    "availability": "lab.plots.availability_figure:figure",
    "latency": "lab.plots.latency_figure:figure",
    "propagation": "lab.plots.propagation_figure:figure",
    "topology_map": "lab.plots.topology_figure:figure",
}
ARMS_FIGURES: dict[str, str] = {
    "arms_availability": "lab.plots.arms_availability_figure:figure",
    "arms_latency": "lab.plots.arms_latency_figure:figure",
    "arms_staleness": "lab.plots.arms_staleness_figure:figure",
}
__all__ = [
    "ARMS_FIGURES", "FIGURES", "arms_availability", "arms_latency", "arms_staleness", "availability", "latency",
    "propagation", "topology_map",
]  # fmt: skip


def availability(run: Run) -> go.Figure:
    """Availability per region and operation kind over time, the fault shaded, leaders below."""
    return _draw("availability", run)


def latency(run: Run) -> go.Figure:
    """p50, p90 and p99 latency per region and phase, on a log axis."""
    return _draw("latency", run)


def propagation(run: Run) -> go.Figure:
    """How long after the fault each region's first outage began, per operation kind."""
    return _draw("propagation", run)


def topology_map(run: Run) -> go.Figure:
    """Regions and links, with what was harmed and who fell without being harmed."""
    return _draw("topology_map", run)


def arms_availability(comparison: Compared) -> go.Figure:
    """Availability per region over time, arms one above the other, the fault shaded."""
    return _draw("arms_availability", comparison)


def arms_latency(comparison: Compared) -> go.Figure:
    """p50 and p99 latency per region and phase, arms side by side, on a log axis."""
    return _draw("arms_latency", comparison)


def arms_staleness(comparison: Compared) -> go.Figure:
    """How old answers were, per region and phase, arms side by side."""
    return _draw("arms_staleness", comparison)


def _draw(name: str, of: Run | Compared) -> Any:
    module, _, function = {**FIGURES, **ARMS_FIGURES}[name].partition(":")
    return getattr(import_module(module), function)(of)
