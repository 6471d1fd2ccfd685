"""Many runs, one after another: every arm of an experiment on one or several seeds.

Each run goes the way of a notebook: `render` executes it, the notebook calls `lab.run`, and here
its progress is read from the run's directory.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import launch, plan, reaper, render
from lab.errors import EXIT_EXPECTED, EXIT_REFUSED, EXIT_SURPRISE, EXIT_UNKNOWN, LabError, RunBroken
from lab.plan import Plan
from lab.results import Run, write_json

POLL_S = 0.2
JUDGED_WITHIN_S = 25.0  # after its kernel died, a run heals and is judged by itself
ENDED_WITHIN_S = 10.0
Watch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """How one run ended, for tables and `results/last.json`."""

    experiment: str
    arm: str
    seed: int
    leaders_in: str
    path: str
    verdict: str
    as_expected: bool
    why: list[str]

    @property
    def exit_code(self) -> int:
        if self.verdict == "unknown":
            return EXIT_UNKNOWN
        return EXIT_EXPECTED if self.as_expected else EXIT_SURPRISE


def plans(
    experiment: str, arms: Sequence[str], *, runtime: str, seeds: Sequence[int], leaders_in: Sequence[str]
) -> list[Plan]:
    """Every arm × seed × leader placement, all resolved before the first one starts."""
    return [
        plan.make(experiment, arm=arm, runtime=runtime, seed=seed, leaders_in=placed)
        for placed in leaders_in
        for seed in seeds
        for arm in arms
    ]


def execute(this: Plan, watch: Watch, say: Callable[[str], None]) -> Outcome:
    """One run with its notebook and page. Raises Refused; a run that broke is an `unknown` outcome."""
    directory = launch.prepare(this, say=say)
    parameters = {
        "experiment": this.experiment.name,
        "arm": this.arm.text,
        "runtime": this.runtime,
        "seed": this.seed,
        "leaders_in": this.experiment.leaders_in,
        "run_directory": as_seen_from_here(directory),
    }
    child = render.start(directory, parameters)
    progress = launch.Progress(directory)
    try:
        while child.poll() is None:
            time.sleep(POLL_S)
            for line in progress.new():
                watch(line)
    except BaseException:  # Ctrl-C, or a full disk: the kernel dies with its parent, the run heals
        child.terminate()
        _await_verdict(directory)
        _await_end(child)
        raise
    assert child.stderr is not None
    told = child.stderr.read().strip()
    if child.returncode != 0:
        say(told.splitlines()[-1] if told else f"the notebook's process ended with code {child.returncode}.")
        _await_verdict(directory)
    return _outcome(this, directory, told)


def rendered(run: Run) -> None:
    """Make the notebook and page of a finished run again. Raises LabError."""
    parameters = {
        "experiment": run.experiment.name,
        "arm": run.arm,
        "runtime": str(run.plan["runtime"]),
        "seed": run.seed,
        "leaders_in": str(run.plan["leaders_in"]),
        "run_path": as_seen_from_here(run.path.resolve()),
    }
    child = render.start(run.path, parameters)
    assert child.stderr is not None
    told = child.stderr.read()
    if child.wait() != 0:
        raise RunBroken(told.strip() or "the report could not be drawn.")


def exit_code(codes: Sequence[int]) -> int:
    """Many runs: refused, else a surprise, else unknown, else as expected."""
    return next((code for code in (EXIT_REFUSED, EXIT_SURPRISE, EXIT_UNKNOWN) if code in codes), EXIT_EXPECTED)


def save(outcomes: Sequence[Outcome], code: int) -> Path:
    """Write results/last.json, since make flattens exit codes."""
    path = plan.home() / "results" / "last.json"
    with contextlib.suppress(OSError):  # results/ may be full: the verdicts were printed
        write_json(path, {"exit_code": code, "runs": [asdict(outcome) for outcome in outcomes]})
    return path


def as_seen_from_here(path: Path) -> str:
    """Relative where it can be: the parameters of a notebook are shared with it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _outcome(this: Plan, directory: Path, told: str) -> Outcome:
    verdict, why, as_expected = "unknown", [told or "the run died"], False
    with contextlib.suppress(LabError):
        judged = launch.finished(directory).verdict
        verdict, why, as_expected = judged.verdict, judged.why, judged.as_expected
    return Outcome(
        experiment=this.experiment.name,
        arm=this.arm.text,
        seed=this.seed,
        leaders_in=this.experiment.leaders_in,
        path=str(directory),
        verdict=verdict,
        as_expected=as_expected,
        why=why,
    )


def _await_end(child: subprocess.Popen[str]) -> None:
    """It removes the kernel's files on its way out."""
    try:
        child.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _await_verdict(directory: Path) -> None:
    """A run whose kernel is gone ends by itself; wait for that, so that nothing is torn."""
    began = (directory / "progress.jsonl").exists()
    deadline = time.monotonic() + (JUDGED_WITHIN_S if began else 0)
    while not Run(directory).judged and time.monotonic() < deadline and any(reaper.marked(directory)):
        time.sleep(POLL_S)


def seeds(first: int, repeats: int) -> Iterator[int]:
    """`repeats` seeds, from `first` on."""
    return iter(range(first, first + repeats))
