"""Runs of two arms with the numbers a test wants, made of `tests.repeats.made`: files only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import files
from lab.comparison import gather, pairing
from lab.comparison.gather import Compared
from lab.measurements import Divergence, Lag, Percentiles, Staleness, Windows
from lab.results import Run, write_json
from tests.repeats import made

A, B = "memory", "memory+bug=spreads"
SHARES = {"steady": 0.5, "fault": 1.0, "recovery": 1.0}


def run(
    folder: Path,
    arm: str,
    seed: int,
    *,
    p99_ms: float = 100.0,
    stale_max_s: float = 2.0,
    lag_ms: float | None = 7.0,
    divergent: int | None = 0,
    errors: dict[str, int] | None = None,
    programs: dict[str, str] | None = None,
    faults: bool = True,
    windows: tuple[float, ...] = (1.0, 0.5, 1.0),
    environment: dict[str, Any] | None = None,
    entered_s: float = 12.0,
    **more: Any,
) -> Run:
    """us' numbers; sg is the faulted one. In the directory of its arm, as `lab run` would have it.

    In steady, operations take half as long and answers are half as old as in the fault; puts are available
    less by 0.1 than all operations.
    faults=False: of the same load without a fault. lag_ms: of us->sg in the fault; None: not measured.
    """
    experiment = "gray" if faults else "calm"
    found = made.run(folder / "results" / experiment / arm, seed, arm=arm, **more)
    plan = {**found.plan, "experiment": experiment, "programs": programs or {}}
    write_json(found.path / "plan.json", plan)
    write_json(found.path / "environment.json", environment or {"git": "abc", "host": {"cores": 2}})
    if not faults:
        calm = found.experiment.model_copy(update={"faults": [], "name": "calm", "hypothesis": ["isolation"]})
        files.dump(calm, found.path / "experiment.yaml")
    done = json.loads((found.path / "measurements.json").read_text())
    took = {phase: _percentiles(p99_ms * share) for phase, share in SHARES.items()}
    done["latency"] = {"us": {"overall": took, "put": took}}
    done["staleness"] = {"us": {phase: _staleness(stale_max_s * share) for phase, share in SHARES.items()}}
    put = done["availability"]["us"]["put"]
    put["fault"] = round(put["fault"] - 0.1, 3)
    done["errors"] = {"us": errors or {}, "sg": {}}
    done["divergence"] = Divergence(replicas=2, divergent=divergent, examples=[]).model_dump()
    lag = Lag(count=5, p50_ms=lag_ms, p99_ms=lag_ms, unseen=3).model_dump()
    done["replication_lag"] = {} if lag_ms is None else {"us->sg": {"fault": lag}}
    drawn = Windows(begin_s=0, width_s=20, values=list(windows), due=[20] * len(windows)).model_dump()
    done["availability"]["us"]["overall"]["windows"] = drawn
    done["faults"] = [{**bite, "entered_s": entered_s} for bite in done["faults"] if faults]
    write_json(found.path / "measurements.json", done)
    return Run.at(found.path)


def _percentiles(p99_ms: float) -> dict[str, Any]:
    return Percentiles(count=9, p50_ms=p99_ms / 2, p90_ms=p99_ms, p99_ms=p99_ms, max_ms=p99_ms).model_dump()


def _staleness(max_s: float) -> dict[str, Any]:
    return Staleness(reads=10, stale_reads=5, p50_s=max_s / 10, max_s=max_s).model_dump()


def compared(runs: list[Run], candidates: list[Run] | None = None) -> Compared:
    """The comparison of the only question several arms were asked."""
    [question] = [found for found in pairing.questions(runs) if len(found.arms) > 1]
    return gather.compare(question, candidates or [])


def pairs(folder: Path, seeds: int = 3) -> list[Run]:
    """Seeds 1, 2, …: on A us has 0.7, 0.8, 0.6 of its operations in the fault, on B 0.95 whole, stale instead."""
    shares = (0.7, 0.8, 0.6, 0.7, 0.7)
    return [
        made_run
        for seed in range(1, seeds + 1)
        for made_run in (
            run(folder, A, seed, us_fault=shares[seed - 1], outage_s=10.0 * seed, verdict="invalid", p99_ms=5000 + seed,
                errors={"late": 100 * seed, "timeout": 7}),
            run(folder, B, seed, us_fault=0.95, p99_ms=5.0, stale_max_s=30.0, lag_ms=900.0,
                entered_s=13.0),
        )
    ]  # fmt: skip
