"""Batches without servers: a home of short experiments, runs that are only their files, and a host
that makes them and can be killed at any of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import batch, ledger, plan, series
from lab.batch import Outcome
from lab.errors import LabError
from lab.measurements import BlastRadius, Measurements
from lab.plan import Plan
from lab.results import write_json
from lab.verdict import Finding, VerdictWord, conclude

TOPOLOGY = "regions:\n  a: {nodes: 1}\n  b: {nodes: 1}\nrtt_ms: {a-b: 20}\n"
EXPERIMENT = "question: Which?\ntopology: pair\nfaults:\n  - partition: {region: b}\nhypothesis: [isolation]\n"
BATCH = "about: All three.\nruns:\n  - experiment: one\n  - experiment: two\n  - experiment: three\narms: [memory]\n"


def home(folder: Path, text: str = BATCH) -> Path:
    """A LAB_HOME with experiments one, two and three, and the batch file all.yaml."""
    for name in ("experiments", "topologies", "results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "topologies" / "pair.yaml").write_text(TOPOLOGY)
    for name in ("one", "two", "three"):
        (folder / "experiments" / f"{name}.yaml").write_text(EXPERIMENT)
    (folder / "experiments" / "all.yaml").write_text(text)
    return folder


def ask(seed: int | None = 7, *, again: bool = False, arms: list[str] | None = None) -> series.Batch:
    return series.asked("all", arms=arms or [], runtime="memory", seed=seed, again=again)


def judged(this: Plan, directory: Path, word: VerdictWord = "valid", *, end: str = "done") -> None:
    """The files of a run that ended. end: `done`, `cancelled` or `broken` as the runner notes it, or `died`."""
    directory.mkdir(parents=True, exist_ok=True)
    this.save(directory)
    lines = [{"at_ns": 5_000_000_000, "what": "phase", "phase": "steady"}]
    if end in ("cancelled", "broken"):
        kind = {"cancelled": "CancelledError", "broken": "NetworkBroken"}[end]
        lines.append({"at_ns": 6_000_000_000, "what": "broken", "why": "it ended", "kind": kind})
    if end != "died":
        lines.append({"at_ns": 17_500_000_000, "what": "done"})
    (directory / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (directory / "report.html").write_text("drawn")
    fell = {"a": ["put", "watch"]} if word == "invalid" else {}
    blast = BlastRadius(regions=list(fell), kinds=fell, collateral_region_seconds=0, second_wave=[])
    write_json(directory / "measurements.json", Measurements(blast_radius=blast).model_dump(mode="json"))
    evidence = Finding(verdict="unknown" if word == "unknown" else "valid", why=["the gates."])
    isolation = Finding(verdict="invalid" if word == "invalid" else "valid", why=[f"isolation is {word}."])
    verdict = conclude(["isolation"], {"evidence": evidence, "isolation": isolation})
    write_json(directory / "verdict.json", verdict.model_dump(mode="json"))


class Killed(BaseException):
    """The end of the command, as far as code that is killed can tell."""


@dataclass
class FakeHost:
    """Makes runs as files. words: experiment → its verdict, or what making it raises.
    killed: experiment → what is done to its directory before the command dies in it."""

    root: Path
    words: Mapping[str, VerdictWord | LabError | OSError] = field(default_factory=dict)
    killed: Mapping[str, Callable[[Plan, Path], None]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def announce(self, number: int, of: int, this: Plan, left_s: float) -> None:
        self.said.append(f"{number} of {of}: {ledger.words(this)}, {left_s:.0f} s")

    def execute(self, this: Plan, began: Callable[[Path], None]) -> Outcome:
        name = this.experiment.name
        self.made.append(name)
        word = self.words.get(name, "valid")
        if isinstance(word, (LabError, OSError)):
            raise word
        directory = self.root / f"{ledger.identity(this)}-{len(list(self.root.iterdir()))}"
        directory.mkdir()
        began(directory)
        if name in self.killed:
            self.killed[name](this, directory)
            raise Killed
        judged(this, directory, word)
        found = batch.adopt(this, directory, self.said.append)
        assert found is not None
        return found

    def outlast(self, directory: Path) -> None:
        self.said.append(f"outlast {directory.name}")

    def adopt(self, this: Plan, directory: Path) -> Outcome | None:
        found = batch.adopt(this, directory, self.said.append)
        if found:
            self.adopted.append(this.experiment.name)
        return found

    def ended(self, outcome: Outcome) -> None:
        self.said.append(f"ended {outcome.experiment}")

    def failed(self, error: LabError | OSError) -> None:
        self.failures.append(str(error))


def go(asked: series.Batch, host: FakeHost, *, again: bool = False) -> list[Outcome]:
    """`lab batch` from the opened ledger to its end, or to where it is killed."""
    with series.opened(asked, again=again) as kept:
        return series.conduct(asked.planned, host, kept, lambda ended, left: _keep(asked, ended, left))


def _keep(asked: series.Batch, ended: Sequence[Outcome], left: int) -> None:
    batch.save(ended, left)
    asked.keep_table(ended, left)


def table(asked: series.Batch) -> str:
    return (asked.folder / "table.md").read_text()


def last() -> dict[str, object]:
    value: dict[str, object] = json.loads((plan.home() / "results" / "last.json").read_text())
    return value
