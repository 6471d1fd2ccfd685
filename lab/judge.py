"""Files → measurements → verdict: pure, repeatable on any old run with today's definitions."""

from __future__ import annotations

from pathlib import Path

from lab import parts, plan
from lab.clock import now_ns
from lab.errors import Refused
from lab.events import AnyEvent, Note, read_events, read_samples
from lab.experiment import Arm, Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.results import Run, write_json
from lab.verdict import Finding, Verdict, conclude


def collect(directory: Path, *, died: bool = False) -> None:
    """Merge what runner and workers appended into the run's two tables, and drop the parts.

    died: the runner did not live to do this itself; the history says so, as evidence.
    Raises Refused when there is nothing to merge, OSError when the disk refuses the tables.
    """
    run = Run.at(directory)
    parts = sorted(directory.glob("events-*.jsonl"))
    samples = directory / "samples.jsonl"
    if not parts:
        raise Refused(f"{directory} holds no history: the run died before anything was recorded.")
    bad: list[bytes] = []
    events: list[AnyEvent] = [event for part in parts for event in read_events(part, bad)]
    told = read_samples(samples, bad)
    if bad:
        events.append(Note(at_ns=now_ns(), name="broken", text=f"{len(bad)} recorded lines can't be read"))
    if died:
        last_ns = max((event.at_ns for event in events), default=0)
        events.append(Note(at_ns=last_ns, name="broken", text="the runner died before the run's end"))
    History.of(events, told, run.topology, run.experiment).save(directory)
    for part in [*parts, samples]:
        part.unlink(missing_ok=True)


def judge(directory: Path) -> Run:
    """Measure and check a run; writes measurements.json, then, last, verdict.json.

    A run that died before it was collected is collected first, and is `unknown`.
    """
    if not (directory / "history.parquet").is_file():
        collect(directory, died=True)
    run = Run.at(directory)
    measurements = measure(run.history)
    verdict = check(run.history, measurements, run.experiment, Arm.parse(run.arm))
    write_json(directory / "measurements.json", measurements.model_dump(mode="json"))
    write_json(directory / "verdict.json", verdict.model_dump(mode="json"))
    return Run.at(directory)


def measure(history: History) -> Measurements:
    """Every measure in its order, each handed what the earlier ones found."""
    done = Measurements()
    for key, function in plan.measures().items():
        setattr(done, key, function(history, done))
    return done


def check(history: History, measurements: Measurements, experiment: Experiment, arm: Arm) -> Verdict:
    """Evidence first, then the hypothesis, each beside what the experiment file expects."""
    names = [plan.EVIDENCE, *(name for name in experiment.hypothesis if name != plan.EVIDENCE)]
    findings: dict[str, Finding] = {}
    for name in names:
        finding = _found(name, history, measurements, experiment)
        findings[name] = finding.model_copy(update={"expected": experiment.expected(arm, name)})
    return conclude(experiment.hypothesis, findings)


def _found(name: str, history: History, measurements: Measurements, experiment: Experiment) -> Finding:
    """What a checker says; a user's own that raises has decided nothing, and stops no other."""
    try:
        with parts.theirs("checker", name):
            finding: Finding = plan.checker(name)(history, measurements, experiment)
            return finding
    except Refused as refused:
        return Finding(verdict="unknown", why=[str(refused)])
