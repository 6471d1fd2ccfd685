"""Checkers: what they say, of which history, and that no broken run makes them raise."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lab.checkers import CHECKERS
from lab.checkers.evidence import GATES
from lab.events import Operation
from lab.measurements import Measurements
from lab.measures import MEASURES
from lab.verdict import Finding, conclude
from tests.histories import Made, Out, good_run, links_of, measured


def findings(made: Made) -> dict[str, Finding]:
    history = made.history()
    done = measured(history)
    return {name: _load(where)(history, done, made.experiment) for name, where in CHECKERS.items()}


def _load(where: str) -> Callable[..., Finding]:
    module, _, function = where.partition(":")
    found: Callable[..., Finding] = getattr(importlib.import_module(module), function)
    return found


def without(made: Made, tag: str, **fields: Any) -> Made:
    """The same run without the lines of one kind (only those with these fields)."""
    made.events = [
        line
        for line in made.events
        if line.__struct_config__.tag != tag or any(getattr(line, name) != value for name, value in fields.items())
    ]
    return made


def test_registries_name_what_exists() -> None:
    assert set(MEASURES) == set(Measurements.model_fields) - {"schema_version", "definitions_version"}
    for where in (*MEASURES.values(), *CHECKERS.values()):
        assert callable(_load(where))
        module = importlib.import_module(where.partition(":")[0])
        assert len((module.__doc__ or "").split("\n\n")[0]) > 40, f"{where} states no definition"


def test_a_good_run_is_valid_throughout() -> None:
    found = findings(good_run([Out("sg", 12.1, 41.9)]))
    assert {name: finding.verdict for name, finding in found.items()} == dict.fromkeys(CHECKERS, "valid")
    assert conclude(["isolation"], found).verdict == "valid"


def no_samples(made: Made) -> Made:
    made.samples.clear()
    return made


def late_starts(made: Made, region: str, late_ms: int) -> Made:
    """Every operation of a region begun so much later than it was due."""
    made.events = [
        msgspec.structs.replace(event, started_ns=event.at_ns + late_ms * 1_000_000)
        if isinstance(event, Operation) and event.region == region
        else event
        for event in made.events
    ]
    return made


BAD_RUNS = [
    pytest.param(good_run([Out("us", 5, 7)]), "steady", "availability 0.8000 < 0.99 in us", id="steady"),
    pytest.param(without(good_run(), "lag").lags(34.0), "loop lag", "p99 34.0 ms > 10 ms in us", id="loop lag"),
    pytest.param(without(good_run(), "lag", region="eu"), "loop lag", "not measured in eu", id="no loop lag"),
    pytest.param(
        without(good_run(), "witness", stage="run"),
        "fault",
        "0 (latency) not seen by its witnesses, eu->sg: no probe",
        id="fault not seen",
    ),
    pytest.param(without(good_run(), "fault"), "fault", "never entered, 0 of 1 planned were", id="not entered"),
    pytest.param(without(good_run(), "fault", state="left"), "fault", "0 (latency) never left", id="never left"),
    pytest.param(
        without(good_run(), "witness", stage="attest").attest(extra_ms=6),
        "attested RTT",
        "of us-eu 92.0 ms, expected 80 ms ± 5 ms",
        id="attested RTT",
    ),
    pytest.param(
        without(good_run(), "witness", stage="attest"),
        "attested RTT",
        "of us-sg not measured, expected 200 ms",
        id="not attested",
    ),
    pytest.param(good_run().note("bypass", "us-1 to eu-2"), "bypass", "found (us-1 to eu-2)", id="bypass"),
    pytest.param(
        good_run().leader("eu", "us-3", 8),
        "leaders",
        "of eu us-3 at the fault, wanted in eu",
        id="bucket leader",
    ),
    pytest.param(
        good_run().leader("meta", "sg-1", 8),
        "leaders",
        "of meta sg-1 at the fault, wanted in us and eu",
        id="meta leader",
    ),
    pytest.param(good_run().leader("us", "", 8), "leaders", "of us nobody at the fault, wanted in us", id="no leader"),
    pytest.param(
        without(good_run(), "operation", region="eu"),
        "operations",
        "too few of overall in eu, 0 due and no window with 20",
        id="operations",
    ),
    pytest.param(
        without(good_run(), "operation").load(rates={"put": 40, "get_own": 30, "get_others": 26, "watch": 1}),
        "operations",
        "too few of watch in us, windows of 20 s can't tell of an outage in 30 s",
        id="a kind too thin to show an outage",
    ),
    pytest.param(
        late_starts(good_run(), "us", 30),
        "start",
        "p99 30.0 ms late > 20 ms in us",
        id="operations begun late",
    ),
    pytest.param(no_samples(good_run().note("tells", "leaders")), "leaders", "not sampled", id="no samples"),
    pytest.param(good_run().note("tells", "connections"), "routes", "not counted", id="routes not counted"),
    pytest.param(without(good_run(), "worker", region="sg"), "worker", "of sg never said", id="worker"),
    pytest.param(
        good_run().connection("us-1", "sg-2", 4, "entered").connection("us-1", "sg-2", 3, "settled"),
        "routes",
        "not refilled, us-1–sg-2: 4 → 3",
        id="routes",
    ),
    pytest.param(without(good_run(), "lag").lags(asleep=(20, 30)), "sleep", "of 10.0 s > 0 s under load", id="sleep"),
    pytest.param(good_run().note("broken", "toxiproxy died"), "run", "broken (toxiproxy died)", id="broken"),
    pytest.param(good_run().note("interrupted"), "run", "interrupted", id="interrupted"),
    pytest.param(
        good_run().fault("restart", at_s=25, left_s=30, index=1),
        "operations",
        "too few of watch in us, windows of 5 s can't tell of an outage in 5 s",
        id="a fault too short for what is rare",
    ),
    pytest.param(
        good_run().fault("restart", at_s=20, left_s=45, index=1),
        "fault",
        "1 (restart) left 3.0 s after its phase > 2 s",
        id="left late",
    ),
    pytest.param(
        without(without(good_run(), "phase", phase="settle"), "phase", phase="recovery"),
        "run",
        "incomplete, recovery and settle never began",
        id="phases",
    ),
]


@pytest.mark.parametrize(("made", "gate", "phrase"), BAD_RUNS)
def test_every_gate_shuts(made: Made, gate: str, phrase: str) -> None:
    found = findings(made)
    assert found["evidence"].verdict == "unknown"
    (said,) = [line for line in found["evidence"].why if line.startswith(f"{gate} ")]
    assert f" {phrase}" in said
    assert said.endswith(next(g.next_step for g in GATES if g.name == gate))
    assert conclude(["isolation"], found).verdict == "unknown"


def test_every_gate_is_tested() -> None:
    assert {case.values[1] for case in BAD_RUNS} == {gate.name for gate in GATES}
    assert all(gate.what and gate.limit and gate.next_step for gate in GATES)


@pytest.mark.parametrize(
    ("leaders_in", "leaders", "verdict"),
    [
        pytest.param("any", {"us": "sg-1"}, "valid", id="any"),
        pytest.param("faulted", {"us": "sg-1", "eu": "sg-2", "sg": "sg-3", "meta": "sg-1"}, "valid", id="faulted"),
        pytest.param("faulted", {"us": "sg-1", "meta": "eu-1"}, "unknown", id="faulted, but meta is not"),
        pytest.param("elsewhere", {"us": "us-1", "eu": "us-1", "sg": "eu-1"}, "valid", id="elsewhere"),
        pytest.param("elsewhere", {"us": "us-1", "sg": "sg-1"}, "unknown", id="elsewhere, but one is not"),
        pytest.param("home", {}, "valid", id="a backend without leaders"),
        pytest.param("home", {"KV_other": "sg-1"}, "valid", id="what is no bucket of a region"),
    ],
)
def test_leaders_in(leaders_in: str, leaders: dict[str, str], verdict: str) -> None:
    made = good_run(leaders_in=leaders_in)
    made.samples.clear()
    for subject, leader in leaders.items():
        made.leader(subject, leader, 1)
    assert findings(made)["evidence"].verdict == verdict


def test_isolation_tells_who_was_out_when_and_for_how_long() -> None:
    out = [Out("us", 13.2, 42, ("put",)), Out("eu", 14, 62, ("get_others",)), Out("sg", 12, 42)]
    found = findings(good_run(out))["isolation"]
    assert found.verdict == "invalid"
    (why,) = found.why
    who, _, stories = why.partition(": ")
    assert who == "us and eu were out although the fault named only sg"
    assert stories.split("; ") == [
        "us put 28.8 s from +1.2 s after the fault",
        "eu get_others 48.0 s from +2.0 s after the fault to the end",
    ]


def test_isolation_of_what_was_caught_in_flight() -> None:
    (why,) = findings(good_run([Out("us", 11.6, 42, ("put",))]))["isolation"].why
    assert why.endswith("us put 30.4 s from +0.0 s after the fault")


def test_a_bypass_seen_twice_is_said_once() -> None:
    made = good_run().note("bypass", "us-1 to eu-2", 1).note("bypass", "us-1 to eu-2", 50)
    assert len(findings(made)["evidence"].why) == 1


def test_isolation_kept() -> None:
    found = findings(good_run([Out("sg", 12.1, 41.9)]))["isolation"]
    assert found.why == ["no outage in us and eu; the fault named only sg"]


def test_isolation_without_fault() -> None:
    made = Made().phases().load([Out("eu", 20, 25)])
    (why,) = findings(made)["isolation"].why
    assert why.startswith("eu was out although there was no fault: eu put 5.0 s from +8.0 s")


@pytest.mark.parametrize(
    ("reads", "verdict", "phrase"),
    [
        pytest.param(
            [("us", "1", "a")], "valid", "none of 1 acknowledged writes was seen lost; the 1 that", id="read back"
        ),
        pytest.param([("us", "", "")], "invalid", "1 of 1 acknowledged writes can't be read", id="lost"),
        pytest.param([], "unknown", "could be read back nowhere", id="unread"),
    ],
)
def test_durability(reads: list[tuple[str, str, str]], verdict: str, phrase: str) -> None:
    made = Made().phases().put("us", "k", "1", "a")
    for region, revision, value in reads:
        made.read_back(region, "us", "k", revision, value)
    found = findings(made)["durability"]
    assert found.verdict == verdict
    assert phrase in found.why[0]


def test_a_certain_loss_is_a_finding_whatever_could_not_be_read() -> None:
    made = Made().phases().put("us", "k", "1", "a").put("us", "m", "1", "a").read_back("us", "us", "k", "", "")
    found = findings(made)["durability"]
    assert found.verdict == "invalid"
    assert found.why[0].startswith("at least 1 of 2 acknowledged writes")


@pytest.mark.parametrize(
    ("digests", "verdict"),
    [
        pytest.param("xx", "valid", id="equal"),
        pytest.param("xy", "invalid", id="differ"),
        pytest.param("", "unknown", id="untold"),
    ],
)
def test_convergence(digests: str, verdict: str) -> None:
    made = Made().phases()
    for i, digest in enumerate(digests):
        made.replica("us", f"us-{i + 1}", digest)
    assert findings(made)["convergence"].verdict == verdict


@pytest.mark.parametrize(
    ("seen_s", "left_s", "verdict"),
    [
        pytest.param([5, 50], 42, "valid", id="resumed"),
        pytest.param([5], 42, "invalid", id="dead since the heal"),
        pytest.param([50], 42, "unknown", id="nothing in steady"),
        pytest.param([5, 50], None, "unknown", id="no heal"),
    ],
)
def test_watches(seen_s: list[float], left_s: float | None, verdict: str) -> None:
    made = Made().phases().fault(left_s=left_s).load()
    for second in seen_s:
        made.visible("sg", "us", "k0", "00000000", second)
    found = findings(made)["watches"]
    assert found.verdict == verdict
    assert verdict != "invalid" or "sg's watch on the keys of us" in found.why[0]


PARTIAL = [
    pytest.param(Made, id="nothing at all"),
    pytest.param(lambda: Made().note("broken", "us-1 did not start"), id="broke in deploy"),
    pytest.param(lambda: Made().attest(), id="only attested"),
    pytest.param(lambda: Made().phases("fault").load(upto_s=8).lags(), id="only steady"),
    pytest.param(lambda: Made().phases("recovery").fault(left_s=None).load(upto_s=20), id="died in the fault"),
    pytest.param(lambda: Made().phases("settle").fault().load(), id="no settle"),
    pytest.param(lambda: Made().phases(), id="phases, but no operation"),
    pytest.param(lambda: Made().load(upto_s=3), id="operations, but no phase"),
    pytest.param(
        lambda: without(Made().phases().fault(links=links_of("sg", {"cut": "stall"})), "fault", state="entering"),
        id="a fault whose first line was lost",
    ),
    pytest.param(
        lambda: without(Made().phases().load().fault(left_s=None), "fault", state="entered"),
        id="a fault that never came to be in force",
    ),
    pytest.param(lambda: without(Made().phases().fault().load(), "phase", phase="steady"), id="no steady"),
    pytest.param(lambda: Made().leader("us", "us-1", 1).total("us-1", 1, 5).workers(), id="only samples"),
]


@pytest.mark.parametrize("make", PARTIAL)
def test_partial_histories_are_unknown_and_raise_nothing(make: Callable[[], Made]) -> None:
    found = findings(make())
    assert found["evidence"].verdict == "unknown"
    assert all(finding.why for finding in found.values())
    assert conclude(["isolation", "durability"], found).verdict == "unknown"


def test_a_run_that_never_came_under_load_says_only_why() -> None:
    why = findings(Made().attest().note("broken", "us-1 did not start"))["evidence"].why
    assert why == [
        "run broken (us-1 did not start); incomplete, steady, fault, recovery and settle never began: "
        "look into logs/ and repeat the run"
    ]


def test_measurements_survive_json() -> None:
    done = measured(good_run([Out("us", 13, 40)]).history())
    assert Measurements.model_validate_json(done.model_dump_json()) == done


def test_a_history_read_from_disk_measures_the_same(tmp_path: Any) -> None:
    history = good_run([Out("us", 13, 40)]).history()
    history.save(tmp_path)
    again = type(history).load(tmp_path, history.topology, history.experiment)
    assert measured(again) == measured(history)
