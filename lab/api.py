"""What notebooks and scripts call: one run, made or loaded, that shows itself."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import launch, plan, report, results
from lab.errors import Refused


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


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _quietly(line: Mapping[str, Any]) -> None:
    """Phases only: a kernel that chats loses messages."""
    if line["what"] == "phase" and sys.stderr.isatty():
        _say(f"{line['phase']} …")
