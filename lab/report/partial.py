"""A run as far as it got: what may be missing from its directory, read without stumbling.

A run that broke in deploy has neither a history nor measurements; its report must still say so.
Figures and report read runs through these functions only.
"""

from __future__ import annotations

from lab.errors import LabError
from lab.experiment import Experiment
from lab.history import FaultSpan, History
from lab.measurements import PHASES, FaultBite, Measurements
from lab.results import Run
from lab.topology import Topology
from lab.verdict import Verdict


def measured(run: Run) -> Measurements:
    """The run's measurements; empty ones where nothing was measured."""
    return run.measurements if (run.path / "measurements.json").is_file() else Measurements()


def verdict(run: Run) -> Verdict | None:
    """The run's verdict; None when it died before it was judged."""
    return run.verdict if run.judged else None


def history(run: Run) -> History | None:
    """The run's history; None when it recorded nothing, or not even a `steady` began."""
    stored = all((run.path / name).is_file() for name in ("history.parquet", "samples.parquet"))
    found = run.history if stored else None
    return found if found is not None and "steady" in found.phases else None


def notes(run: Run) -> list[tuple[str, str]]:
    """(name, text) of every note in the history, oldest first, even of a run without phases."""
    if not (run.path / "history.parquet").is_file() or not (run.path / "samples.parquet").is_file():
        return []
    rows = run.history.rows
    if not {"name", "text"} <= set(rows.columns):
        return []
    return [(row["name"], row["text"]) for row in rows.to_dicts() if row["event"] == "note"]


def experiment(run: Run) -> Experiment | None:
    """The resolved experiment; None where the run broke before it was written."""
    try:
        return run.experiment
    except LabError:
        return None


def topology(run: Run) -> Topology | None:
    """The resolved topology; None where the run broke before it was written."""
    try:
        return run.topology
    except LabError:
        return None


def experiment_name(run: Run) -> str:
    """The experiment as the user typed it, else as its file calls itself."""
    found = experiment(run)
    return str(run.plan.get("experiment") or (found.name if found else "") or "experiment")


def regions(run: Run) -> tuple[str, ...]:
    """The regions in the order of the topology, which is also the order of their colours."""
    found = topology(run)
    return found.region_names if found else tuple(measured(run).availability)


def runtime(run: Run) -> str:
    """`docker`, `process` …; "" where the run does not tell."""
    return str(run.environment.get("runtime") or run.plan.get("runtime") or "")


def faults(run: Run) -> list[FaultBite]:
    """The faults that were entered: as measured, else as the history of an unjudged run has them."""
    past = None if (run.path / "measurements.json").is_file() else history(run)
    return measured(run).faults if past is None else [_bite(past, span) for span in past.faults]


def fault_span(run: Run) -> tuple[float, float] | None:
    """First harm to last heal in seconds of the run; the fault phase where nothing was entered."""
    done = measured(run)
    spans = [(fault.entered_s, fault.left_s) for fault in faults(run)]
    if not spans:
        return done.phases.get("fault")
    last = end_s(run) or max(begin for begin, _ in spans)
    ends = [last if end is None else end for _, end in spans]
    return min(begin for begin, _ in spans), max(ends)


def end_s(run: Run) -> float:
    """When load ended, in seconds of the run: where every axis of time ends. 0.0 without load."""
    spans = measured(run).phases
    return max((spans[phase][1] for phase in PHASES if phase in spans), default=0.0)


def named(run: Run) -> set[str]:
    """The regions any fault named."""
    return {target for fault in faults(run) for target in fault.targets}


def _bite(past: History, span: FaultSpan) -> FaultBite:
    return FaultBite(
        fault=span.kind,
        index=span.index,
        entered_s=past.second(span.entered_ns),
        left_s=None if span.left_ns is None else past.second(span.left_ns),
        targets=list(span.targets),
        links=span.links,
        nodes=span.nodes,
        pulses=[(past.second(begin), None if end is None else past.second(end)) for begin, end in span.pulses],
        seen=False,
        why=["this run was not judged"],
    )
