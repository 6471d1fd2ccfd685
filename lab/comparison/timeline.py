"""Availability over time of one arm: its runs' windows laid over each other, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.measurements import Windows
from lab.report import partial
from lab.results import Run


@dataclass(frozen=True)
class Second:
    """Availability in one second since steady began: over the runs the mean, the least and the most."""

    begin_s: int
    mean: float
    least: float
    most: float


def seconds(runs: Sequence[Run], region: str, cut: str) -> list[Second]:
    """Each second that lies within a window of any run; [] where none had windows.

    A window of several seconds counts as each of them, as the step it is.
    """
    steps = [step for run in runs if (step := _steps(run, region, cut))]
    found = []
    for begin_s in range(max((len(step) for step in steps), default=0)):
        values = [step[begin_s] for step in steps if begin_s < len(step)]
        mean = values[0] if min(values) == max(values) else fmean(values)
        found.append(Second(begin_s, mean, min(values), max(values)))
    return found


def windows(found: Sequence[Second]) -> Windows | None:
    """Their means as windows of one second, for a small drawing."""
    if not found:
        return None
    values = [second.mean for second in found]
    return Windows(begin_s=float(found[0].begin_s), width_s=1, values=values, due=[0] * len(values))


def _steps(run: Run, region: str, cut: str) -> list[float]:
    found = partial.measured(run).availability.get(region, {}).get(cut)
    if found is None or found.windows is None:
        return []
    return [value for value in found.windows.values for _ in range(found.windows.width_s)]
