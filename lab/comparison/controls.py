"""Runs without a fault that an arm can be held against: the same load on the same topology.

Owns what makes a run another's control, and where such runs are looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.comparison.pairing import Question, has_faults, label_of, programs
from lab.errors import LabError, Refused
from lab.experiment import Arm
from lab.repeats import gather
from lab.results import Run

# what the question may differ in: who leads is nobody's matter where nothing fails
BESIDE_LOAD = ("name", "faults", "hypothesis", "leaders_in")


def of_question(found: Question, candidates: Iterable[Run]) -> dict[str, list[Run]]:
    """Arm → its control runs, one a seed, the last of `candidates` counting; an arm without any is not there.

    Those of the question's own seeds where there are any. {} for a question without faults.
    """
    if not found.faulty:
        return {}
    by_arm: dict[str, dict[int, Run]] = {}
    load = gather.digest(gather.asked(found.runs[0], *BESIDE_LOAD))
    for run in candidates:
        if _readable(run) and gather.digest(gather.asked(run, *BESIDE_LOAD)) == load:
            arm = next((arm for arm in found.arms if _same_arm(found, arm, run)), None)
            if arm:
                by_arm.setdefault(arm, {})[run.seed] = run
    return {arm: _alike(of_seed, list(found.arms[arm])) for arm, of_seed in by_arm.items()}


def found_below(results: Path, runs: Iterable[Run]) -> list[Run]:
    """Finished runs of the same arms below results/, the oldest first; of those whose plan tells of faults none,
    since reading their experiments would take seconds."""
    slugs = sorted({Arm.parse(run.arm).slug for run in runs})
    paths = [path.parent for slug in slugs for path in results.glob(f"*/{_escaped(slug)}/*/verdict.json")]
    return [run for run in map(Run, sorted(paths, key=lambda path: path.name)) if not _tells_of_faults(run)]


def _tells_of_faults(run: Run) -> bool:
    try:
        return bool(run.plan.get("faults"))
    except Refused:
        return True


def _same_arm(found: Question, arm: str, run: Run) -> bool:
    known = found.runs
    return any(one.arm == run.arm and programs(one) == programs(run) and label_of(found, one) == arm for one in known)


def _readable(run: Run) -> bool:
    """Whether it went without a fault, proves something, and today's lab can read it."""
    try:
        return not has_faults(run) and gather.word(run) != "unknown" and bool(run.measurements)
    except (LabError, OSError):
        return False


def _alike(of_seed: dict[int, Run], seeds: Sequence[int]) -> list[Run]:
    own = {seed: run for seed, run in of_seed.items() if seed in seeds}
    return [run for _, run in sorted((own or of_seed).items())]


def _escaped(slug: str) -> str:
    return "".join(f"[{char}]" if char in "[*?" else char for char in slug)
