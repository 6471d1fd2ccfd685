"""Which runs can be set beside each other: asked the same with leaders placed alike, on several arms.

Runs pair by seed. What has no partner is named with the reason, never dropped in silence. Owns who
goes with whom; makes no number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.comparison.model import LeftOut
from lab.repeats import gather
from lab.report import partial
from lab.report.words import listed
from lab.results import Run

BySeed = dict[int, Run]


@dataclass(frozen=True)
class Question:
    """Runs that were asked the same. arms: arm → seed → run; given: all of them, in their order, also
    those whose seed was run again on that arm."""

    experiment: str
    topology: str
    leaders_in: str
    arms: dict[str, BySeed] = field(default_factory=dict)
    given: list[Run] = field(default_factory=list)

    @property
    def words(self) -> str:
        """`gray-region on three-regions, leaders in home`."""
        return f"{self.experiment} on {self.topology}, leaders in {self.leaders_in}"

    @property
    def older(self) -> list[Run]:
        """Runs in whose place a later one of the same arm and seed counts."""
        return [run for run in self.given if run not in self.runs]

    @property
    def runs(self) -> list[Run]:
        return [run for of_arm in self.arms.values() for run in of_arm.values()]

    @property
    def faulty(self) -> bool:
        """Whether its experiment has any fault."""
        return any(has_faults(run) for run in self.runs)


def questions(runs: Iterable[Run]) -> list[Question]:
    """Every question, arms in the order of their first run; of an arm's equal seeds the last run counts.

    Raises Refused where a run's files can't be read.
    """
    by_question: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        experiment, topology, leaders_in, _ = gather.which(run)
        key = (experiment, topology, leaders_in, gather.digest(gather.asked(run)))
        by_question.setdefault(key, []).append(run)
    return [_question(Question(*key[:3]), same) for key, same in by_question.items()]


def _question(found: Question, runs: Sequence[Run]) -> Question:
    for run in runs:
        found.given.append(run)
        found.arms.setdefault(_label(run, runs), {})[run.seed] = run
    return found


def _label(run: Run, among: Sequence[Run]) -> str:
    """The arm; with the versions of its programs where runs of the same arm had others."""
    same = [programs(other) for other in among if other.arm == run.arm]
    if all(one == programs(run) for one in same):
        return run.arm
    said = ", ".join(f"{name} {version}" for name, version in programs(run).items())
    return f"{run.arm} ({said or 'no program'})"


def has_faults(run: Run) -> bool:
    """Whether its experiment has any."""
    found = partial.experiment(run)
    return bool(found and found.faults)


def programs(run: Run) -> dict[str, str]:
    """Server program → version; {} where a run has none, or does not tell."""
    return dict(run.plan.get("programs") or {})


def pair(found: Question) -> tuple[list[int], list[LeftOut]]:
    """The seeds with which every arm that proved anything did, and the runs that don't count.

    An arm that proved nothing at all takes no seed from the others.
    """
    proven = {arm: {seed for seed, run in of_arm.items() if _proves(run)} for arm, of_arm in found.arms.items()}
    counting = [seeds for seeds in proven.values() if seeds]
    seeds = sorted(set.intersection(*counting)) if counting else []
    left = [_left(label_of(found, run), run, "a later run of the same arm and seed counts") for run in found.older]
    for arm, of_arm in found.arms.items():
        for seed, run in sorted(of_arm.items()):
            if not _proves(run):
                left.append(_left(arm, run, f"unknown: {_first(gather.why(run))}"))
            elif seed not in seeds:
                left.append(_left(arm, run, _partnerless(seed, arm, found, proven)))
    return seeds, left


def label_of(found: Question, run: Run) -> str:
    """The arm a run belongs to, also when another run of the same seed took its place."""
    return next(
        arm
        for arm, of_arm in found.arms.items()
        if any(one.arm == run.arm and programs(one) == programs(run) for one in of_arm.values())
    )


def alone(found: Question, used: Collection[Path] = ()) -> list[str]:
    """A sentence on each run of a question that only one arm was asked. used: as controls, so not left out."""
    of_whom = ", ".join(found.arms)
    return [
        f"left out: {run.place} has no partner: only {of_whom} was asked {found.words}."
        for run in found.runs
        if run.path.resolve() not in used
    ]


def _proves(run: Run) -> bool:
    return gather.word(run) != "unknown"


def _first(why: Sequence[str]) -> str:
    more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
    return (why[0].rstrip(".") if why else "no checker said why") + more


def _partnerless(seed: int, arm: str, found: Question, proven: Mapping[str, set[int]]) -> str:
    lacking = [other for other, seeds in proven.items() if other != arm and seeds and seed not in seeds]
    unknown = [other for other in lacking if seed in found.arms[other]]
    absent = [other for other in lacking if seed not in found.arms[other]]
    said = [f"none of {listed(absent)}"] if absent else []
    said += [f"that of {listed(unknown)} is unknown"] if unknown else []
    return f"no partner of seed {seed}: {'; '.join(said)}"


def _left(arm: str, run: Run, why: str) -> LeftOut:
    return LeftOut(arm=arm, seed=run.seed, run=run.place, why=why)
