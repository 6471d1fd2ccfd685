"""Names → things: what a plan resolves, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import plan
from lab.errors import DoesNotFit, LabError, Refused
from tests.integration.whole import home

GRAY = """\
topology: three
faults:
  - latency: {region: sg, add_ms: [1000, 2000]}
hypothesis: [isolation]
"""
THREE = "regions: {us: {nodes: 1}, eu: {nodes: 1}, sg: {nodes: 1}}\nrtt_ms: {us-eu: 80, us-sg: 200, eu-sg: 160}\n"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home(tmp_path)
    (tmp_path / "topologies" / "three.yaml").write_text(THREE)
    (tmp_path / "experiments" / "gray.yaml").write_text(GRAY)
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    return tmp_path


def make(**more: object) -> plan.Plan:
    return plan.make("gray", **{"arm": "jetstream-stretched", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("leaders_in", "expected"),
    [
        ("home", {"us": ["us"], "eu": ["eu"], "sg": ["sg"], "meta": ["us", "eu"]}),
        ("faulted", {"us": ["sg"], "eu": ["sg"], "sg": ["sg"], "meta": ["sg"]}),
        ("elsewhere", {"us": ["us", "eu"], "eu": ["us", "eu"], "sg": ["us", "eu"], "meta": ["us", "eu"]}),
        ("any", {}),
    ],
)
def test_where_leaders_are_wanted(leaders_in: str, expected: dict[str, list[str]]) -> None:
    assert make(leaders_in=leaders_in).leaders_wanted() == expected


def test_a_plan_holds_no_port_path_or_time(at_home: Path) -> None:
    text = json.dumps(make().as_json())
    assert str(at_home) not in text and "127.0.0.1" not in text and "2026" not in text


def test_a_plan_survives_its_own_files(at_home: Path) -> None:
    made = make(seed=7, leaders_in="elsewhere")
    made.save(at_home)
    assert plan.Plan.load(at_home).as_json() == made.as_json()


FOUR = """\
regions: {us: {nodes: 1}, eu: {nodes: 1}, sg: {nodes: 1}, sa: {nodes: 1}}
rtt_ms: {us-eu: 80, us-sg: 200, us-sa: 100, eu-sg: 160, eu-sa: 190, sg-sa: 300}
"""


def test_the_question_can_be_put_to_another_topology(at_home: Path) -> None:
    (at_home / "topologies" / "four.yaml").write_text(FOUR)
    other, own = make(topology="four"), make(topology="three")
    assert list(other.topology.regions) == ["us", "eu", "sg", "sa"]
    assert (other.experiment.name, other.asked, other.instead) == ("gray-on-four", "gray", "four")
    assert (own.experiment.name, own.asked, own.instead) == ("gray", "gray", "")
    assert own.as_json() == make().as_json()
    other.save(at_home)
    assert plan.Plan.load(at_home).as_json() == other.as_json()


def test_a_topology_without_the_faults_region_is_refused(at_home: Path) -> None:
    (at_home / "topologies" / "two.yaml").write_text("regions: {us: {nodes: 1}, eu: {nodes: 1}}\nrtt_ms: {us-eu: 80}\n")
    with pytest.raises(Refused, match=r"unknown region 'sg'; known: eu, us\."):
        make(topology="two")
    with pytest.raises(Refused, match="unknown topology 'tow'"):
        make(topology="tow")


def test_leaders_can_only_be_where_replicas_are(at_home: Path) -> None:
    (at_home / "topologies" / "four.yaml").write_text(FOUR)
    with pytest.raises(
        DoesNotFit, match=r"'faulted': bucket us has no replica in sg on topology four; use home or any"
    ):
        make(topology="four", leaders_in="faulted")
    make(topology="four", leaders_in="home")


def test_pulses_and_nodes_are_planned(at_home: Path) -> None:
    (at_home / "experiments" / "gray.yaml").write_text(
        "topology: three\nphases: {fault_s: 30}\nfaults:\n  - flap: {region: sg}\n    at_s: 10\n"
        "  - restart: {nodes: [sg-1]}\n    for_s: 5\n"
    )
    flap, restart = make().faults
    assert flap.pulses == [(0, 4), (8, 12), (16, 20)] and not flap.nodes
    assert restart.pulses == [(0, 5)] and restart.nodes == {"sg-1": "gone"}


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_seeds_that_are(seed: int) -> None:
    assert make(seed=seed).seed == seed


@pytest.mark.parametrize("seed", [-1, 2**63, True, 1.0, "1", None])
def test_seeds_that_are_not(seed: object) -> None:
    with pytest.raises(Refused, match="seed must be a whole number from 0 on"):
        make(seed=seed)


@pytest.mark.parametrize("more", ["", "  - partition: {region: us}\n"])
def test_faulted_needs_exactly_one_region(at_home: Path, more: str) -> None:
    faults = GRAY[GRAY.index("faults") : GRAY.index("hypothesis")]
    text = GRAY.replace(faults, faults + more if more else "")
    (at_home / "experiments" / "gray.yaml").write_text(text)
    for leaders_in in ("faulted", "elsewhere"):
        with pytest.raises(DoesNotFit, match="exactly one region, found"):
            make(leaders_in=leaders_in)
    assert make(leaders_in="home")


def test_every_registered_thing_can_be_loaded() -> None:
    for registry in (
        plan.BACKENDS,
        plan.FAULTS,
        plan.CHECKERS,
        plan.WORKLOADS,
        plan.MEASURES,
        plan.RUNTIMES,
        plan.NETWORKS,
    ):
        for target in registry.values():
            assert callable(plan._load(target))


@pytest.mark.parametrize(
    "arm", ["", "@", "jetstream-stretched+", "jetstream-stretched+sync", "Jet", "a+b=1+b=2", "../x"]
)
def test_arms_that_are_not(arm: str) -> None:
    with pytest.raises(LabError, match=r"is not of the form backend\[@version"):
        make(arm=arm)
