"""The figures of one run, by name; each draws from a run and loads plotly only when called.

A module per figure, named `…_figure` so that importing one can't hide the function of that name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from lab.results import Run

FIGURES: dict[str, str] = {
    "availability": "lab.plots.availability_figure:figure",
    "latency": "lab.plots.latency_figure:figure",
    "propagation": "lab.plots.propagation_figure:figure",
    "topology_map": "lab.plots.topology_figure:figure",
}
__all__ = ["FIGURES", "availability", "latency", "propagation", "topology_map"]


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


def _draw(name: str, run: Run) -> Any:
    module, _, function = FIGURES[name].partition(":")
    return getattr(import_module(module), function)(run)
