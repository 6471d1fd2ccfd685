"""A made-up run of gray-region on disk: every number by hand, no server, no measure involved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab import files
from lab.clock import NS_PER_S
from lab.events import AnyEvent, FaultMark, Note, Operation, Phase, Sample
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import (
    KINDS,
    Amplification,
    BlastRadius,
    CutAvailability,
    Durability,
    FaultBite,
    Harness,
    LeaderLane,
    LinkReading,
    Measurements,
    Outage,
    Percentiles,
    Propagation,
    Recovery,
    Staleness,
    Windows,
)
from lab.results import Run, write_json, write_text
from lab.topology import Topology
from lab.verdict import Finding, Verdict, conclude

ZERO = 50 * NS_PER_S
LINKS: dict[str, dict[str, Any]] = {
    "sg->us": {"latency_ms": 1432.0},
    "us->sg": {"latency_ms": 1980.0},
    "sg->eu": {"latency_ms": 1025.0},
    "eu->sg": {"latency_ms": 1601.0},
}
# region -> kind -> availability in the fault
IN_FAULT = {
    "us": {"put": 0.98, "get_own": 1.0, "get_others": 0.97, "watch": 0.0},
    "eu": {"put": 0.02, "get_own": 1.0, "get_others": 0.99, "watch": 0.03},
    "sg": {"put": 0.0, "get_own": 0.35, "get_others": 0.0, "watch": None},
}
ONSETS = {"us": 13.0, "eu": 14.0, "sg": 12.0}


def topology() -> Topology:
    return Topology.model_validate(
        {
            "name": "three-regions",
            "regions": {"us": {"nodes": 3}, "eu": {"nodes": 3}, "sg": {"nodes": 3}},
            "rtt_ms": {"us-eu": 80, "us-sg": 200, "eu-sg": 160},
        }
    )


def experiment(name: str = "gray-region") -> Experiment:
    return Experiment.model_validate(
        {
            "name": name,
            "question": "When Singapore is alive but slow, who else can no longer work?",
            "topology": "three-regions",
            "faults": [{"latency": {"region": "sg", "add_ms": [1000, 2000]}, "at_s": 0, "for_s": 30}],
            "expect": {"jetstream-stretched": {"isolation": "invalid"}},
        }
    )


def measurements() -> Measurements:
    """A fault in sg from 12 to 42 s that takes us' watches and eu's puts and watches with it."""
    return Measurements(
        phases={"steady": (0, 12), "fault": (12, 42), "recovery": (42, 62), "load": (0, 62)},
        availability={region: _cuts(region) for region in IN_FAULT},
        latency={region: _latency(region) for region in IN_FAULT},
        outages=_outages(),
        propagation=[_propagation(region) for region in IN_FAULT],
        blast_radius=BlastRadius(
            regions=["us", "eu"],
            kinds={"us": ["watch"], "eu": ["put", "watch"]},
            collateral_region_seconds=14.2,
            second_wave=[],
        ),
        recovery={
            r: Recovery(seconds=s, never=False, never_resumed=[]) for r, s in (("us", 0), ("eu", 0), ("sg", 3.4))
        },
        staleness={
            "us": {"steady": _stale(0.05, 0.1), "fault": _stale(0.1, 2.4)},
            "eu": {"steady": _stale(0.05, 0.1), "fault": _stale(None, None)},
        },
        amplification=Amplification(steady=9.5, fault=21.0, recovery=11.0, ratio=2.2),
        durability=Durability(
            acknowledged=9321, tested=1344, lost=0, lost_by_region={"us": 0, "eu": 0, "sg": 0}, examples=[], unread=0
        ),
        errors={
            "us": {"timeout": 240},
            "eu": {"timeout": 1700, "no responders": 31},
            "sg": {"timeout": 2600},
        },
        links={link: _reading(link) for link in ("us->eu", "eu->us", *LINKS)},
        faults=[
            FaultBite(
                fault="latency",
                index=0,
                entered_s=12.0,
                left_s=42.0,
                targets=["sg"],
                links=LINKS,
                seen=True,
                why=[],
            )
        ],
        leaders={
            "meta": LeaderLane(changes=[(-3.0, "us-1"), (30.0, ""), (33.5, "eu-2")], at_fault="us-1"),
            "kv_us": LeaderLane(changes=[(-3.0, "us-1")], at_fault="us-1"),
            "kv_eu": LeaderLane(changes=[(-3.0, "eu-1")], at_fault="eu-1"),
            "kv_sg": LeaderLane(changes=[(-3.0, "sg-1"), (20.0, "us-2")], at_fault="sg-1"),
        },
        harness={
            r: Harness(
                loop_lag_p50_ms=0.4,
                loop_lag_p99_ms=3,
                start_late_p99_ms=3.0,
                loop_lag_max_ms=6,
                shed=0,
                in_flight_max=90,
                complete=True,
            )
            for r in IN_FAULT
        },
        slept_s=0.0,
        routes_missing=[],
    )


def verdict(**words: Any) -> Verdict:
    """As expected: isolation broken, the rest fine; each checker's word can be replaced."""
    findings = {
        "evidence": Finding(verdict="valid"),
        "isolation": Finding(
            verdict="invalid",
            expected="invalid",
            why=["isolation: us and eu fell though the fault named sg only"],
        ),
        "durability": Finding(verdict="valid"),
    }
    return conclude(["isolation", "durability"], findings | words)


def write(directory: Path, done: Measurements | None = None, judged: Verdict | None = None) -> Run:
    """The whole run as a directory."""
    run = write_plan(directory)
    write_text(directory / "measurements.json", (done or measurements()).model_dump_json(indent=1))
    write_text(directory / "verdict.json", (judged or verdict()).model_dump_json(indent=1))
    History.of(events(), samples(), topology(), experiment()).save(directory)
    return run


def write_plan(directory: Path, arm: str = "jetstream-stretched", name: str = "gray-region") -> Run:
    """Only what a run has that broke in deploy: plan, experiment, topology."""
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "plan.json", {"arm": arm, "seed": 1, "experiment": name})
    write_json(directory / "environment.json", {"runtime": "process"})
    files.dump(experiment(name), directory / "experiment.yaml")
    files.dump(topology(), directory / "topology.yaml")
    return Run.at(directory)


def at(second: float) -> int:
    return ZERO + round(second * NS_PER_S)


def events() -> list[AnyEvent]:
    marks = [("steady", 0), ("fault", 12), ("recovery", 42), ("settle", 62), ("end", 66)]
    states = [("entering", 12.0), ("entered", 12.0), ("leaving", 41.9), ("left", 42.0)]
    return [
        *(Phase(at_ns=at(second), phase=name) for name, second in marks),
        *(
            FaultMark(at_ns=at(second), index=0, fault="latency", state=state, targets=["sg"], links=LINKS)
            for state, second in states
        ),
        Operation(
            at_ns=at(1),
            region="us",
            home="us",
            operation="put",
            key="k1",
            started_ns=at(1),
            ended_ns=at(1.01),
            outcome="ok",
        ),
        Note(at_ns=at(2), name="backend", text="routes: 3 per peer"),
    ]


def samples() -> list[Sample]:
    lines = [
        (-5.0, "us-1", "[INF] Server is ready"),
        (12.4, "eu-1", "[WRN] RAFT [kv_eu] Slow peer sg-1: no heartbeat <for> 2s"),
        (13.0, "us-2", "[WRN] Slow Consumer Detected: WriteDeadline of 10s exceeded with 3 chunks"),
        (13.2, "us-2", "[INF] nothing to see"),
        (14.1, "sg-1", "[INF] JetStream cluster new consumer leader for '$G > KV_kv_sg > x'"),
        (55.0, "sg-1", "[ERR] too late to matter"),
    ]
    return [Sample(at_ns=at(s), node=node, region=node[:2], name="log", text=text) for s, node, text in lines]


def _cuts(region: str) -> dict[str, CutAvailability]:
    kinds = {kind: _cut(region, kind, IN_FAULT[region][kind]) for kind in KINDS}
    values = [value for value in IN_FAULT[region].values() if value is not None]
    return {"overall": _cut(region, "overall", sum(values) / len(values)), **kinds}


def _cut(region: str, kind: str, in_fault: float | None) -> CutAvailability:
    if in_fault is None:
        return CutAvailability(
            steady=None, fault=None, recovery=None, due=3, ok=3, late=0, longest_gap_s=None, windows=None
        )
    width = 5 if kind == "watch" else 1
    begins = range(0, 62 - width + 1, width)
    values = [in_fault if ONSETS[region] <= b < (45 if region == "sg" else 42) else 1.0 for b in begins]
    gap = 29.5 if in_fault < 0.1 else 1.1
    windows = Windows(begin_s=0.0, width_s=width, values=values, due=[40 * width] * len(values))
    return CutAvailability(
        steady=1.0,
        fault=in_fault,
        recovery=0.9 if region == "sg" else 1.0,
        due=2480,
        ok=1800,
        late=12,
        longest_gap_s=gap,
        windows=windows,
    )


def _latency(region: str) -> dict[str, dict[str, Percentiles]]:
    slow = {"us": 3.0, "eu": 20.0, "sg": 40.0}[region]
    base = {"overall": 4.0, "put": 80.0, "get_own": 0.9, "get_others": 1.1, "watch": 90.0}
    phases = {"steady": 1.0, "fault": slow, "recovery": 1.4}
    return {
        cut: {
            phase: Percentiles(
                count=900, p50_ms=low * by, p90_ms=low * by * 1.5, p99_ms=low * by * 4, max_ms=low * by * 6
            )
            for phase, by in phases.items()
        }
        for cut, low in base.items()
    }


def _outages() -> list[Outage]:
    found = []
    for region, kinds in IN_FAULT.items():
        for kind, value in kinds.items():
            if value is not None and value < 0.9:
                end = 45.4 if region == "sg" else 42.0
                found.append(
                    Outage(
                        region=region,
                        cut=kind,
                        kind="availability",
                        onset_s=ONSETS[region],
                        end_s=end,
                        ongoing=False,
                        depth=1.0 - value,
                        lost_operations=1160,
                    )
                )
    return found


def _propagation(region: str) -> Propagation:
    delay = ONSETS[region] - 12.0
    by_kind = {kind: delay if value is not None and value < 0.9 else None for kind, value in IN_FAULT[region].items()}
    return Propagation(fault=0, region=region, named=region == "sg", delay_s=delay, by_kind=by_kind)


def _stale(p50: float | None, most: float | None) -> Staleness:
    return Staleness(reads=700, stale_reads=12, p50_s=p50, max_s=most)


def _reading(link: str) -> LinkReading:
    expected = {"us": 40.0, "eu": 40.0}[link[:2]] if "sg" not in link else 90.0
    added = LINKS.get(link, {}).get("latency_ms", 0.0)
    return LinkReading(
        expected_ms=expected,
        attested_ms=expected + 0.6,
        fault_ms=expected + added + 1.1,
        silent_in_fault=0,
        answered_in_fault=12,
    )
