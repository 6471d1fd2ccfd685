"""One run among many: planned, executed or adopted, and how it ended.

Each run goes the way of a notebook: `render` executes it, the notebook calls `lab.run`, and here
its progress is read from the run's directory. In which order many are run is for `series`.
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
from lab.errors import EXIT_EXPECTED, EXIT_REFUSED, EXIT_SURPRISE, EXIT_UNKNOWN, LabError, told
from lab.plan import Plan
from lab.report.words import NOT_MEASURED
from lab.results import Run, write_json
from lab.verdict import Verdict

POLL_S = 0.2
LOOK_S = 2.0  # looking at every process takes long enough to be seen in a run's numbers
JUDGED_WITHIN_S = 25.0  # after its kernel died, a run heals and is judged by itself
ENDED_WITHIN_S = 10.0
REFUSED = "refused"
CANCELLED = "CancelledError"  # what a run that was told to end notes as the kind of its end
Watch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """How one run ended, for tables and `results/last.json`.

    verdict: the run's, or `refused` where it was never begun. surprise: the first sentence on what
    was not expected, "" when all was. blast_radius: in words; "–" where nothing was proven.
    """

    experiment: str
    arm: str
    seed: int
    leaders_in: str
    path: str
    verdict: str
    as_expected: bool
    why: list[str]
    surprise: str = ""
    blast_radius: str = NOT_MEASURED

    @property
    def exit_code(self) -> int:
        if self.verdict == REFUSED:
            return EXIT_REFUSED
        if self.verdict == "unknown":
            return EXIT_UNKNOWN
        return EXIT_EXPECTED if self.as_expected else EXIT_SURPRISE


def plans(
    experiment: str,
    arms: Sequence[str],
    *,
    runtime: str,
    seeds: Sequence[int],
    leaders_in: Sequence[str],
    topology: str = "",
) -> list[Plan]:
    """Every arm × seed × leader placement, all resolved before the first one starts."""
    return [
        plan.make(experiment, arm=arm, runtime=runtime, seed=seed, leaders_in=placed, topology=topology)
        for placed in leaders_in
        for seed in seeds
        for arm in arms
    ]


def make_ready(planned: Sequence[Plan], say: Callable[[str], None]) -> None:
    """Every server program that the runs need, got where need be. Raises BinaryMissing; starts nothing."""
    different = {(this.runtime, *this.backend.programs().items()): this for this in planned}
    for this in different.values():
        plan.programs_of(this, say)


def execute(
    this: Plan, watch: Watch, say: Callable[[str], None], began: Callable[[Path], None] = lambda _: None
) -> Outcome:
    """One run with its notebook and page. Raises Refused; a run that broke is an `unknown` outcome.

    began: told the run's directory before anything is started in it.
    """
    directory = launch.prepare(this, say=say)
    began(directory)
    parameters = {
        "experiment": this.asked,
        "arm": this.arm.text,
        "runtime": this.runtime,
        "seed": this.seed,
        "leaders_in": this.experiment.leaders_in,
        "topology": this.instead,
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
        _await_end(child, directory)
        raise
    assert child.stderr is not None
    last_words = child.stderr.read().strip()
    if child.returncode != 0:
        say(last_words.splitlines()[-1] if last_words else f"the notebook's process ended with {child.returncode}.")
        _await_verdict(directory)
    return _outcome(this, directory, last_words)


def outlast(directory: Path, say: Callable[[str], None]) -> None:
    """Wait for the end, drawing included, of a run that was begun by a process that is gone.

    Whatever is left of it then is ended: its reaper may have been killed, too.
    """
    if _under_way(directory):
        say(f"{as_seen_from_here(directory)} is still under way; waiting for its end.")
    while _under_way(directory):
        time.sleep(LOOK_S)
    reaper.reap(directory)


def adopt(this: Plan, directory: Path, say: Callable[[str], None]) -> Outcome | None:
    """How a run ended that was begun by a process that is gone; its page is drawn where it lacks.

    None when it was cut short, so that it must be made again.
    """
    if not _sound(directory):
        return None
    if not (directory / render.PAGE).exists():
        try:
            rendered(Run(directory))
        except (LabError, OSError) as error:  # the verdict counts, not its drawing
            say(told(error)[0])
    return _outcome(this, directory, "")


def not_made(this: Plan, error: LabError | OSError) -> Outcome:
    """The outcome of a run that could not be begun, or whose end nobody could see."""
    sentence, code = told(error)
    return Outcome(
        experiment=this.experiment.name,
        arm=this.arm.text,
        seed=this.seed,
        leaders_in=this.experiment.leaders_in,
        path="",
        verdict=REFUSED if code == EXIT_REFUSED else "unknown",
        as_expected=False,
        why=[sentence],
        surprise=sentence,
    )


def rendered(run: Run) -> None:
    """Make the notebook and page of a finished run again. Raises LabError."""
    parameters = {
        "experiment": str(run.plan.get("asked") or run.experiment.name),
        "arm": run.arm,
        "runtime": str(run.plan["runtime"]),
        "seed": run.seed,
        "leaders_in": str(run.plan["leaders_in"]),
        "topology": str(run.plan.get("topology_instead", "")),
        "run_path": as_seen_from_here(run.path.resolve()),
    }
    render.draw(run.path, parameters)


def exit_code(codes: Sequence[int]) -> int:
    """Many runs: refused, else a surprise, else unknown, else as expected."""
    return next((code for code in (EXIT_REFUSED, EXIT_SURPRISE, EXIT_UNKNOWN) if code in codes), EXIT_EXPECTED)


def save(outcomes: Sequence[Outcome], left: int = 0) -> int:
    """Write results/last.json, since make flattens exit codes; returns the exit code.

    left: how many runs are still to be made; until they are, nothing better than unknown is true.
    """
    code = exit_code([*(outcome.exit_code for outcome in outcomes), *([EXIT_UNKNOWN] if left else [])])
    with contextlib.suppress(OSError):  # results/ may be full: the verdicts were printed
        write_json(
            plan.home() / "results" / "last.json",
            {"exit_code": code, "left": left, "runs": [asdict(outcome) for outcome in outcomes]},
        )
    return code


def as_seen_from_here(path: Path) -> str:
    """Relative where it can be: the parameters of a notebook are shared with it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _outcome(this: Plan, directory: Path, last_words: str) -> Outcome:
    verdict, why, as_expected = "unknown", [last_words or "the run died"], False
    surprise, blast_radius = why[0], NOT_MEASURED
    with contextlib.suppress(LabError, OSError):
        run = launch.finished(directory)
        judged = run.verdict
        verdict, why, as_expected = judged.verdict, judged.why, judged.as_expected
        surprise = _surprise(judged)
        blast_radius = _blast_radius(run)
    return Outcome(
        experiment=this.experiment.name,
        arm=this.arm.text,
        seed=this.seed,
        leaders_in=this.experiment.leaders_in,
        path=str(directory),
        verdict=verdict,
        as_expected=as_expected,
        why=why,
        surprise=surprise,
        blast_radius=blast_radius,
    )


def _surprise(judged: Verdict) -> str:
    """An `unknown` is explained by its own first sentence, else by that of the first checker that surprised."""
    if judged.as_expected:
        return ""
    if judged.verdict == "unknown":
        return judged.why[0] if judged.why else "no checker said why"
    name, finding = next((name, one) for name, one in judged.checkers.items() if not one.as_expected)
    said = f"{name}: expected {finding.expected}, found {finding.verdict}"
    return f"{said}: {finding.why[0]}" if finding.why else said


def _blast_radius(run: Run) -> str:
    """`us (put, watch); eu (put)`."""
    fell = run.measurements.blast_radius
    if fell is None or run.verdict.verdict == "unknown":
        return NOT_MEASURED
    regions = [f"{region} ({', '.join(fell.kinds.get(region, []))})" for region in fell.regions]
    return "; ".join(regions) or "empty"


def _under_way(directory: Path) -> bool:
    return reaper.running(directory) or render.running(directory)


def _sound(directory: Path) -> bool:
    """Whether a run that nobody saw end came to a verdict by itself, not by being cut short."""
    try:
        if Run(directory).verdict.verdict != "unknown":
            return True
        lines = list(launch.Progress(directory).new())
        interrupted = any(line["what"] == "broken" and line["kind"] == CANCELLED for line in lines)
        return any(line["what"] == "done" for line in lines) and not interrupted
    except (LabError, OSError, ValueError, KeyError):  # torn, as after a power cut
        return False


def _await_end(child: subprocess.Popen[str], directory: Path) -> None:
    """It removes the kernel's files on its way out; the run's last process ends a moment after its verdict."""
    deadline = time.monotonic() + ENDED_WITHIN_S
    try:
        child.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
    while any(reaper.marked(directory)) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _await_verdict(directory: Path) -> None:
    """A run whose kernel is gone ends by itself; wait for that, so that nothing is torn."""
    began = (directory / "progress.jsonl").exists()
    deadline = time.monotonic() + (JUDGED_WITHIN_S if began else 0)
    while not Run(directory).judged and time.monotonic() < deadline and any(reaper.marked(directory)):
        time.sleep(POLL_S)


def seeds(first: int, repeats: int) -> Iterator[int]:
    """`repeats` seeds, from `first` on."""
    return iter(range(first, first + repeats))
