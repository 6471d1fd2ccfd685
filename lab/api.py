"""What notebooks and scripts call: one run, made or loaded, or arms beside each other, that show themselves."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import launch, plan, report, results
from lab.comparison import controls, gather, named, page, pairing
from lab.comparison.gather import Compared
from lab.comparison.pairing import Question
from lab.errors import Refused
from lab.report.page import Page


class Run(results.Run):
    """A run that a notebook shows as its first screen."""

    def _repr_html_(self) -> str:
        return report.html(self)


def run(
    experiment: str = "gray-region",
    *,
    arm: str = "jetstream-stretched",
    runtime: str = "auto",
    seed: int = 1,
    leaders_in: str = "",
    topology: str = "",
    run_directory: str = "",
    run_path: str = "",
) -> Run:
    """Run an experiment on an arm, or, with `run_path`, load a run made before.

    topology: put the question to this one instead of the experiment's own; leaders_in likewise.
    The run happens in a process of its own and heals when this one dies. run_directory: where to
    write it; empty: a new directory below results/. Raises Refused before anything starts,
    a run_directory that holds a finished run is shown as it is.
    RunBroken when the run could not be judged at all; one that broke but was judged is returned,
    with the verdict `unknown`.
    """
    if run_path:
        return load(run_path)
    if run_directory and Path(run_directory, "verdict.json").exists():  # the notebook of a finished run
        return load(run_directory)
    if run_directory and Path(run_directory, "plan.json").exists():
        return Run(launch.drive(Path(run_directory).resolve(), _quietly).path)
    planned = plan.make(experiment, arm=arm, runtime=runtime, seed=seed, leaders_in=leaders_in, topology=topology)
    directory = launch.prepare(planned, run_directory, _say)
    return Run(launch.drive(directory, _quietly).path)


def load(path: str | Path) -> Run:
    """A run made before. Raises Refused when it isn't one, or was never judged."""
    found = Run(results.Run.at(path).path)
    if not found.judged:
        raise Refused(f"{path} was never judged: the run died. `lab judge {path}` judges what it left.")
    return found


class Comparison(Compared):
    """Arms beside each other, that a notebook shows as a first screen; what lies below it, piece by piece."""

    def _repr_html_(self) -> str:
        return page.html(self)

    def latency(self) -> Page:
        """p50 and p99 by operation and phase."""
        return page.latency_html(self)

    def stale(self) -> Page:
        """How old answers on others' keys were, by phase."""
        return page.stale_html(self)

    def lags(self) -> Page:
        """Replication lag by link and phase."""
        return page.lags_html(self)

    def errors(self) -> Page:
        """What was not ok in time, by code."""
        return page.errors_html(self)

    def differences(self) -> Page:
        """Every number that differs, seed by seed."""
        return page.differences_html(self)

    def limits(self) -> Page:
        """What this comparison can't say."""
        return page.limits_html(self)


def compare(
    runs: str | Path | Sequence[str | Path] = "",
    *,
    experiment: str = "gray-region",
    arms: str | Sequence[str] = "jetstream-stretched, syncstore",
    runtime: str = "auto",
    seed: int = 1,
    leaders_in: str = "",
    topology: str = "",
) -> Comparison:
    """Set runs of several arms beside each other, paired by seed; without `runs`, make one of each arm first.

    runs: their directories or folders of them, a list or one text with commas between; arms likewise.
    Runs without a fault, among them or below results/, are shown as controls. Raises Refused when the
    runs were asked several questions, or only one arm was.
    """
    if not runs:
        given = {"runtime": runtime, "seed": seed, "leaders_in": leaders_in, "topology": topology}
        asked = list(filter(None, re.split(r"[,\s]+", arms))) if isinstance(arms, str) else list(arms)
        for arm in asked:  # refuse all that can be refused before the first one starts
            plan.make(experiment, arm=arm, **given)  # type: ignore[arg-type]
        runs = [run(experiment, arm=arm, **given).path for arm in asked]  # type: ignore[arg-type]
    known = named.found(runs, _say)
    found = gather.compare(_one(pairing.questions(known)), [*known, *_controls(known)])
    return Comparison(found.data, found.runs, found.controls, found.given)


def _one(questions: Sequence[Question]) -> Question:
    """The only one that several arms were asked; of one with faults and one without, which is its control,
    the one with. Raises Refused."""
    several = [question for question in questions if len(question.arms) > 1]
    chosen = [question for question in several if question.faulty] or several
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        asked = "; ".join(question.words for question in chosen)
        raise Refused(f"these runs were asked {len(chosen)} questions ({asked}); compare those of one at a time.")
    alone = " ".join(sentence for question in questions for sentence in pairing.alone(question))
    raise Refused(f"no two of these runs can be set beside each other: {alone or 'none was given.'}")


def _controls(known: Sequence[results.Run]) -> list[results.Run]:
    return controls.found_below(plan.home() / "results", known)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _quietly(line: Mapping[str, Any]) -> None:
    """Phases only: a kernel that chats loses messages."""
    if line["what"] == "phase" and sys.stderr.isatty():
        _say(f"{line['phase']} …")
