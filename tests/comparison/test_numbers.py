"""Every number comes from the runs' measurements; differences are seed by seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab import intervals
from lab.comparison import controls, numbers
from lab.comparison.gather import Compared
from lab.comparison.model import Comparison
from lab.repeats.model import Spread
from lab.schemas import schema_of
from tests.comparison import made
from tests.comparison.made import A, B


@pytest.fixture
def found(tmp_path: Path) -> Compared:
    return made.compared(made.pairs(tmp_path))


def held(spread: Spread | None) -> Spread:
    assert spread is not None
    return spread


def test_a_difference_is_the_mean_over_pairs_with_its_interval(found: Compared) -> None:
    number = found.data.number("availability", "us", "overall", "fault")
    assert held(number.arms[A]).values == [0.7, 0.8, 0.6]
    assert held(number.arms[B]).values == [0.95] * 3
    difference = held(number.differences[B])
    assert difference.values == pytest.approx([0.25, 0.15, 0.35])
    assert difference.mean == pytest.approx(0.25)
    expected = intervals.of_mean([0.25, 0.15, 0.35], -1, 1)
    assert expected is not None
    assert difference.interval == pytest.approx((expected.low, expected.high))
    assert A not in number.differences, "of the first arm there is none"


def test_one_seed_has_a_difference_and_no_interval(tmp_path: Path) -> None:
    number = made.compared(made.pairs(tmp_path, 1)).data.number("p99_ms", "us", "put", "fault")
    assert held(number.differences[B]).mean == pytest.approx(5 - 5001)
    assert held(number.differences[B]).interval is None


@pytest.mark.parametrize(
    ("what", "where", "cut", "phase", "of_a", "of_b"),
    [
        ("availability", "us", "put", "steady", 1.0, 1.0),
        ("availability", "us", "put", "recovery", 1.0, 1.0),
        ("availability", "us", "put", "fault", 0.6, 0.85),
        ("availability", "sg", "overall", "fault", 0.5, 0.5),
        ("p50_ms", "us", "overall", "fault", 2501.0, 2.5),
        ("p99_ms", "us", "overall", "steady", 2501.0, 2.5),
        ("p99_ms", "us", "put", "recovery", 5002.0, 5.0),
        ("longest_gap_s", "us", "overall", "", 9.0, 1.5),
        ("outages", "us", "put", "", 1.0, 0.0),
        ("longest_outage_s", "us", "put", "", 20.0, 0.0),
        ("out_after_s", "us", "put", "", 1.0, 1.0),
        ("staleness_p50_s", "us", "", "steady", 0.1, 1.5),
        ("staleness_max_s", "us", "", "fault", 2.0, 30.0),
        ("recovery_s", "us", "", "", 2.0, 2.0),
        ("never_recovered", "us", "", "", 0.0, 0.0),
        ("writes_lost", "us", "", "", 0.0, 0.0),
        ("errors", "us", "", "", 207.0, 0.0),
        ("errors", "us", "late", "", 200.0, 0.0),
        ("errors", "us", "timeout", "", 7.0, 0.0),
        ("lag_p50_ms", "us->sg", "", "fault", 7.0, 900.0),
        ("lag_p99_ms", "us->sg", "", "fault", 7.0, 900.0),
        ("lag_unseen", "us->sg", "", "fault", 3.0, 3.0),
        ("blast_radius_regions", "", "", "", 1.0, 0.0),
        ("collateral_region_seconds", "", "", "", 10.0, 0.0),
        ("longest_outage_s", "", "", "", 20.0, 0.0),
        ("writes_lost", "", "", "", 0.0, 0.0),
        ("divergent_keys", "", "", "", 0.0, 0.0),
    ],
)  # fmt: skip
def test_means_of_what_was_measured(
    found: Compared, what: str, where: str, cut: str, phase: str, of_a: float, of_b: float
) -> None:
    number = found.data.number(what, where, cut, phase)
    assert held(number.arms[A]).mean == pytest.approx(of_a)
    assert held(number.arms[B]).mean == pytest.approx(of_b)


def test_what_befell_an_arm_as_a_whole(found: Compared) -> None:
    arm = found.data.arms[A]
    assert arm.blast_radius["us"].runs == 3 and arm.blast_radius["us"].kinds == {"put": 3}
    assert [(run.seed, run.verdict, run.as_expected, run.counts) for run in arm.runs] == [
        (seed, "invalid", False, True) for seed in (1, 2, 3)
    ]
    assert arm.runs[0].checkers == {"isolation": "invalid"}
    assert found.data.arms[B].blast_radius == {}
    assert found.data.regions == {"us": False, "sg": True}
    assert list(found.data.arms) == [A, B] and found.data.first == A


def test_what_only_one_arm_measured_has_no_difference(tmp_path: Path) -> None:
    data = made.compared([made.run(tmp_path, A, 1), made.run(tmp_path, B, 1, lag_ms=None, divergent=None)]).data
    for what, where, phase in (("lag_p99_ms", "us->sg", "fault"), ("divergent_keys", "", "")):
        number = data.number(what, where, "", phase)
        assert number.arms[A] is not None
        assert number.arms[B] is None and number.differences[B] is None
    assert data.number("messages_per_operation", "", "", "fault").arms == {}, "nobody measured it"


def test_errors_that_nobody_counted_are_not_none(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, A, 1, errors={"late": 3}), made.run(tmp_path, B, 1)]
    done = json.loads((runs[1].path / "measurements.json").read_text())
    (runs[1].path / "measurements.json").write_text(json.dumps({**done, "errors": {}}))
    assert made.compared(runs).data.number("errors", "us", "late").arms[B] is None


@pytest.mark.parametrize("what", ["availability", "p99_ms", "lag_p50_ms"])
def test_an_interval_ends_where_the_number_does(what: str) -> None:
    low, high = numbers.bounds(what)
    assert (low == 0, high == 1) == {"availability": (True, True), "p99_ms": (True, False)}.get(what, (False, False))
    assert numbers.difference_bounds(what)[0] < 0


def test_a_difference_may_reach_below_nothing(tmp_path: Path) -> None:
    """Its interval ends at −1 for a share, not at 0; of amounts nowhere."""
    shares = ((1.0, 0.05), (1.0, 0.0), (0.4, 0.9))
    runs = [made.run(tmp_path, arm, seed, us_fault=share, p99_ms=1 + 999 * share)
            for seed, pair in enumerate(shares, start=1) for arm, share in zip((A, B), pair, strict=True)]  # fmt: skip
    data = made.compared(runs).data
    share = held(data.number("availability", "us", "overall", "fault").differences[B])
    amount = held(data.number("p99_ms", "us", "overall", "fault").differences[B])
    assert share.interval == (-1.0, 1.0) and share.mean == pytest.approx(-1.45 / 3)
    assert amount.interval is not None and amount.interval[0] < -2000


# -- controls ------------------------------------------------------------------------------------------------


def test_a_control_is_the_same_load_on_the_same_arm_without_a_fault(tmp_path: Path) -> None:
    runs = made.pairs(tmp_path, 2)
    calm = [made.run(tmp_path, A, seed, faults=False, p99_ms=50 + seed) for seed in (1, 2)]
    unknown = made.run(tmp_path, B, 1, faults=False, verdict="unknown")
    older = made.run(tmp_path, B, 2, faults=False, programs={"nats-server": "1"})
    data = made.compared(runs, [*runs, *calm, unknown, older]).data
    assert data.arms[A].controls == [run.place for run in calm] and data.arms[B].controls == []
    number = data.number("p99_ms", "us", "overall", "fault")
    assert held(number.controls[A]).mean == pytest.approx(51.5)
    assert B not in number.controls


def test_controls_are_of_the_same_seeds_where_there_are_any(tmp_path: Path) -> None:
    runs = made.pairs(tmp_path, 1)
    calm = {seed: made.run(tmp_path, A, seed, faults=False) for seed in (1, 7)}
    assert made.compared(runs, list(calm.values())).controls == {A: [calm[1]]}
    assert made.compared(runs, [calm[7]]).controls == {A: [calm[7]]}


def test_another_load_is_no_control(tmp_path: Path) -> None:
    runs = made.pairs(tmp_path, 1)
    calm = made.run(tmp_path, A, 1, faults=False)
    text = (calm.path / "experiment.yaml").read_text()
    (calm.path / "experiment.yaml").write_text(text.replace("steady_s: 12", "steady_s: 13"))
    assert "steady_s: 13" in (calm.path / "experiment.yaml").read_text()
    assert made.compared(runs, [calm]).controls == {}


def test_controls_are_looked_for_below_results(tmp_path: Path) -> None:
    runs = made.pairs(tmp_path, 1)
    calm = made.run(tmp_path, A, 1, faults=False)
    found = controls.found_below(tmp_path / "results", runs)
    assert sorted(run.path for run in found) == sorted([*(run.path for run in runs), calm.path])
    assert made.compared(runs, found).controls == {A: [calm]}


def test_what_has_no_fault_itself_has_no_control(tmp_path: Path) -> None:
    calm = [made.run(tmp_path, arm, 1, faults=False) for arm in (A, B)]
    assert made.compared(calm, calm).controls == {}


# -- the file ------------------------------------------------------------------------------------------------


def test_the_file_is_as_published(found: Compared) -> None:
    data = json.loads(json.dumps(found.data.model_dump(mode="json")))
    jsonschema.validate(data, schema_of("comparison"))
    assert Comparison.model_validate(data) == found.data
    keys = [tuple(one[name] for name in ("what", "where", "cut", "phase")) for one in data["numbers"]]
    assert len(keys) == len(set(keys)) > 60


def test_every_number_is_in_the_measurements_it_is_of(found: Compared) -> None:
    """Whatever a run's value is, its measurements.json holds it, or what it is a count or sum of."""
    own = {"outages", "blast_radius_regions", "longest_outage_s", "watches_never_resumed", "never_recovered"}
    for arm, runs in found.runs.items():
        held_by = [set(_numbers(json.loads((run.path / "measurements.json").read_text()))) for run in runs]
        for number in found.data.numbers:
            spread = number.arms[arm]
            if number.what in own or (number.what, number.cut) == ("errors", "") or spread is None:
                continue
            for value, known in zip(spread.values, held_by, strict=True):
                assert value is None or value in known or value == 0, number


def _numbers(data: Any) -> list[float]:
    if isinstance(data, dict):
        return [number for value in data.values() for number in _numbers(value)]
    if isinstance(data, list):
        return [number for value in data for number in _numbers(value)]
    return [float(data)] if isinstance(data, int | float) else []
