"""Names → things: what a plan resolves, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import parts, plan
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
            assert callable(parts.load(target))


@pytest.mark.parametrize(
    "arm", ["", "@", "jetstream-stretched+", "jetstream-stretched+sync", "Jet", "a+b=1+b=2", "../x"]
)
def test_arms_that_are_not(arm: str) -> None:
    with pytest.raises(LabError, match=r"is not of the form backend\[@version"):
        make(arm=arm)


def with_faults(at_home: Path, faults: str, more: str = "") -> None:
    (at_home / "experiments" / "gray.yaml").write_text(f"topology: three\nfaults:\n{faults}{more}")


@pytest.mark.parametrize(
    ("faults", "more", "said"),
    [
        pytest.param(
            "  - flap: {region: sg, down_s: 40}\n", "", "fault flap: 30 s are too short for it to bite once; raise",
            id="no pulse fits",
        ),
        pytest.param(
            "  - restart: {region: sg}\n    for_s: 10\n  - pause: {nodes: [sg-1]}\n    at_s: 9\n", "",
            "restart of sg and pause of sg-1 both harm sg-1 at one time", id="one node, two faults at once",
        ),
        pytest.param("  - none\n", "expect: {jetstream-stretchd: {isolation: valid}}\n",
            r"unknown backend in expect 'jetstream-stretchd' \(did you mean", id="expect: backend"),
        pytest.param("  - none\n", "expect: {jetstream-stretched: {isolaton: valid}}\n",
            r"unknown checker in expect 'isolaton' \(did you mean 'isolation'", id="expect: checker"),
    ],
)  # fmt: skip
def test_what_could_only_end_unknown_is_refused(at_home: Path, faults: str, more: str, said: str) -> None:
    with_faults(at_home, faults, more)
    with pytest.raises(Refused, match=said):
        make()


def test_one_node_may_be_harmed_again_later(at_home: Path) -> None:
    with_faults(at_home, "  - restart: {region: sg}\n    for_s: 10\n  - pause: {nodes: [sg-1]}\n    at_s: 10\n")
    assert len(make().faults) == 2


def test_meta_may_be_led_from_anywhere_when_every_region_is_named(at_home: Path) -> None:
    with_faults(at_home, "".join(f"  - partition: {{region: {region}}}\n" for region in ("us", "eu", "sg")))
    assert make().leaders_wanted()["meta"] == ["us", "eu", "sg"]


OWN = """\
from __future__ import annotations
from dataclasses import dataclass
from lab.faults.none import NoFault

@dataclass(frozen=True)
class Mine(NoFault):
    region: str = "sg"

    def check(self, context):
        CHECK
"""


def test_a_users_own_fault_may_be_written_as_ours_are(at_home: Path) -> None:
    (at_home / "own.py").write_text(OWN.replace("CHECK", "pass"))
    with_faults(at_home, f"  - {at_home}/own.py:Mine: {{region: us}}\n")
    assert make().faults[0].settings == {"region": "us"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            OWN.replace("CHECK", "1 / 0"), "own.py: line 10: ZeroDivisionError: division by zero; mend", id="check"
        ),
        pytest.param("import sys\nsys.exit(0)\n", "own.py: line 2: SystemExit: 0; mend", id="ends the process"),
        pytest.param("x = (\n", "own.py: line 1: SyntaxError", id="no Python"),
    ],
)
def test_what_a_users_own_file_raises_is_a_sentence(at_home: Path, text: str, said: str) -> None:
    (at_home / "own.py").write_text(text)
    with_faults(at_home, f"  - {at_home}/own.py:Mine\n")
    with pytest.raises(Refused, match=said):
        make()
