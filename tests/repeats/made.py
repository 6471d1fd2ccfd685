"""Run directories with the numbers a test wants: no history, only what judging would have written."""

from __future__ import annotations

import json
from pathlib import Path

from lab import files
from lab.experiment import Experiment
from lab.measurements import (
    BlastRadius,
    CutAvailability,
    Durability,
    FaultBite,
    Measurements,
    Outage,
    Percentiles,
    Propagation,
    Recovery,
    Staleness,
    Windows,
)
from lab.results import Run, write_json
from lab.topology import Topology
from lab.verdict import Finding, Verdict

TOPOLOGY = Topology.model_validate(
    {"name": "pair", "regions": {"us": {"nodes": 1}, "sg": {"nodes": 1}}, "rtt_ms": {"us-sg": 80}}
)
EXPERIMENT = Experiment.model_validate({"name": "gray", "topology": "pair", "faults": [{"latency": {"region": "sg"}}]})


def cut(fault: float) -> CutAvailability:
    """steady and recovery are whole; seen in windows."""
    return CutAvailability(
        steady=1.0, fault=fault, recovery=1.0, due=1000, ok=900, late=0, longest_gap_s=(1 - fault) * 30,
        windows=Windows(begin_s=0, width_s=1, values=[1.0], due=[20]),
    )  # fmt: skip


def run(
    folder: Path,
    seed: int,
    *,
    us_fault: float = 1.0,
    outage_s: float = 0.0,
    lost: int = 0,
    verdict: str = "valid",
    never: bool = False,
    arm: str = "memory",
    leaders_in: str = "home",
    topology: Topology = TOPOLOGY,
    name: str = "",
) -> Run:
    """sg is faulted and half down; us has `us_fault` of its operations in the fault, and an outage of `put`
    of `outage_s`, from 1 s after the fault on."""
    path = folder / (name or f"20260101T00000{seed}Z-s{seed}")
    path.mkdir(parents=True)
    plan = {"experiment": "gray", "arm": arm, "seed": seed, "leaders_in": leaders_in, "runtime": "memory"}
    write_json(path / "plan.json", plan)
    files.dump(topology, path / "topology.yaml")
    files.dump(EXPERIMENT, path / "experiment.yaml")
    fell = outage_s > 0
    out = [
        Outage(
            region="us", cut="put", kind="availability", onset_s=13, end_s=13 + outage_s, ongoing=False, depth=1.0,
            lost_operations=100,
        )
    ]  # fmt: skip
    latency = {"fault": Percentiles(count=100, p50_ms=10, p90_ms=20, p99_ms=100 + seed, max_ms=200)}
    measured = Measurements(
        phases={"steady": (0, 12), "fault": (12, 42), "recovery": (42, 62)},
        availability={
            "us": {"overall": cut(us_fault), "put": cut(us_fault)},
            "sg": {"overall": cut(0.5), "put": cut(0.5)},
        },
        latency={"us": {"overall": latency}},
        outages=out if fell else [],
        propagation=[
            Propagation(fault=0, region="us", named=False, delay_s=1.0 if fell else None, by_kind={"put": 1.0})
        ],
        blast_radius=BlastRadius(
            regions=["us"] if fell else [],
            kinds={"us": ["put"]} if fell else {},
            collateral_region_seconds=outage_s / 2,
            second_wave=["us"] if never else [],
        ),
        recovery={"us": Recovery(seconds=None if never else float(seed), never=never, never_resumed=[])},
        staleness={"us": {"fault": Staleness(reads=10, stale_reads=5, p50_s=0.1 * seed, max_s=2.0)}},
        durability=Durability(
            acknowledged=10, tested=5, lost=lost, lost_by_region={"us": lost}, examples=[], unread=0
        ),
        faults=[
            FaultBite(
                fault="latency", index=0, entered_s=12, left_s=42, targets=["sg"], links={}, seen=True, why=[]
            )
        ],
    )  # fmt: skip
    write_json(path / "measurements.json", measured.model_dump(mode="json"))
    found = Verdict(
        verdict=verdict,  # type: ignore[arg-type]
        hypothesis=["isolation"],
        why=["loop lag p99 34 ms > 10 ms.", "and more"] if verdict == "unknown" else [],
        as_expected=verdict == "valid",
        checkers={"isolation": Finding(verdict=verdict)},  # type: ignore[arg-type]
    )
    (path / "verdict.json").write_text(json.dumps(found.model_dump(mode="json")))
    return Run.at(path)
