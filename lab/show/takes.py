"""How long things take, bring-up and report included; a machine that is slow takes longer."""

from __future__ import annotations

from lab import files, plan, series
from lab.errors import Refused
from lab.experiment import Experiment
from lab.plan import Plan
from lab.show.names import Thing


def takes_s(experiment: Experiment) -> float:
    """One run, in s: what its plan expects, told without planning it for an arm."""
    return experiment.phases.load_s + sum(plan.AROUND_S.values())


def planned(batch: Thing) -> list[Plan]:
    """Every run of a batch. Raises Refused where one can't be."""
    return series.asked(str(batch.path), arms=[], runtime="auto", seed=1, again=False).planned


def takes(thing: Thing) -> str:
    """`109 s`, `14 min`; "" for what takes no time, `?` for a file that is refused."""
    try:
        if thing.kind == "experiment":
            return duration(takes_s(files.load(thing.path, Experiment)))
        if thing.kind == "batch":
            return duration(sum(this.expected_s for this in planned(thing)))
    except Refused:
        return "?"
    return ""


def duration(seconds: float) -> str:
    """`99 s`, `14 min`, `2 h 5 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
