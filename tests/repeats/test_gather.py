"""Runs as one: means and intervals of what they measured, counts of what befell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import files, intervals
from lab.repeats import gather
from lab.results import Run
from lab.topology import Topology
from tests.repeats import made

SHARES, OUTAGES_S = (0.7, 0.8, 0.6), (20.0, 0.0, 10.0)


@pytest.fixture
def found(tmp_path: Path) -> gather.Repeats:
    """Three runs that count; in the second one nobody else fell."""
    runs = [
        made.run(
            tmp_path, seed, us_fault=share, outage_s=outage_s, lost=seed, verdict="invalid" if outage_s else "valid"
        )
        for seed, share, outage_s in zip((1, 2, 3), SHARES, OUTAGES_S, strict=True)
    ]
    return gather.together(runs)


def test_numbers_have_mean_interval_and_extremes(found: gather.Repeats) -> None:
    us = found.regions["us"].cuts["overall"]
    assert us.fault is not None
    assert us.fault.values == list(SHARES)
    assert us.fault.mean == pytest.approx(0.7)
    assert (us.fault.least, us.fault.most) == (0.6, 0.8)
    expected = intervals.of_mean(SHARES, 0, 1)
    assert expected is not None
    assert us.fault.interval == (expected.low, expected.high)
    assert us.p99_fault_ms is not None and us.p99_fault_ms.mean == pytest.approx(102)


def test_of_equal_numbers_the_interval_has_no_width(found: gather.Repeats) -> None:
    steady = found.regions["us"].cuts["put"].steady
    assert steady is not None and steady.interval == (1.0, 1.0)


def test_outages_are_counted_and_measured_where_there_were_any(found: gather.Repeats) -> None:
    put = found.regions["us"].cuts["put"]
    assert (put.runs_with_outage, put.runs_measured) == (2, 3)
    assert put.longest_outage_s is not None
    assert put.longest_outage_s.values == [20.0, None, 10.0]
    assert put.longest_outage_s.interval is None, "two runs had one: no interval of two"
    assert put.out_after_s is not None and put.out_after_s.count == 2
    assert found.regions["us"].cuts["overall"].runs_with_outage == 2


def test_what_befell_the_run_as_a_whole(found: gather.Repeats) -> None:
    assert found.verdicts == {"invalid": 2, "valid": 1}
    assert found.as_expected == 1
    assert found.blast_radius["us"].runs == 2
    assert found.blast_radius["us"].kinds == {"put": 2}
    assert found.longest_outage_s is not None and found.longest_outage_s.values == [20.0, 0.0, 10.0]
    assert found.collateral_region_seconds is not None and found.collateral_region_seconds.mean == pytest.approx(5)
    assert found.writes_lost is not None and found.writes_lost.mean == pytest.approx(2)
    assert found.regions["us"].writes_lost == 6, "a sum"
    assert [region.named for region in found.regions.values()] == [False, True]


def test_survivors_are_the_regions_no_fault_names(found: gather.Repeats) -> None:
    survivors = found.survivors
    assert survivors.availability_in_fault is not None
    assert survivors.availability_in_fault.values == list(SHARES), "sg, with 0.5, is named"
    assert survivors.out_after_s is not None and survivors.out_after_s.values == [1.0, None, 1.0]
    assert survivors.recovery_s is not None and survivors.recovery_s.values == [1.0, 2.0, 3.0]


def test_a_region_that_never_recovers_has_no_time_of_recovery(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, seed, outage_s=5, never=seed == 2) for seed in (1, 2)]
    found = gather.together(runs)
    assert found.regions["us"].runs_never_recovered == 1
    assert found.survivors.recovery_s is not None and found.survivors.recovery_s.values == [1.0, None]
    assert found.second_wave == {"us": 1}


def test_what_proves_nothing_is_named_and_left_out(tmp_path: Path) -> None:
    runs = [
        made.run(tmp_path, seed, us_fault=0.1 * seed, verdict="unknown" if seed == 2 else "valid") for seed in (1, 2, 3)
    ]
    (runs[2].path / "verdict.json").unlink()
    found = gather.together(runs)
    assert found.verdicts == {"valid": 1, "unknown": 2}
    assert found.seeds == [1]
    assert [(one.seed, one.why[0]) for one in found.unknown] == [
        (2, "loop lag p99 34 ms > 10 ms."),
        (3, "the run died before it was judged"),
    ]
    fault = found.regions["us"].cuts["overall"].fault
    assert fault is not None and fault.values == [pytest.approx(0.1)]


def test_runs_that_all_prove_nothing_have_no_numbers(tmp_path: Path) -> None:
    found = gather.together([made.run(tmp_path, seed, verdict="unknown") for seed in (1, 2, 3)])
    assert (found.regions, found.seeds, found.longest_outage_s) == ({}, [], None)


def test_groups_differ_in_more_than_the_seed(tmp_path: Path) -> None:
    trio = {"regions": {"us": {"nodes": 1}, "sg": {"nodes": 1}}, "rtt_ms": {"us-sg": 9}, "name": "other"}
    runs = [
        made.run(tmp_path / "a", 2),
        made.run(tmp_path / "a", 1),
        made.run(tmp_path / "b", 1, arm="memory+bug=spreads"),
        made.run(tmp_path / "c", 1, leaders_in="faulted"),
        made.run(tmp_path / "d", 1, topology=Topology.model_validate(trio)),
    ]
    groups = gather.groups(runs)
    assert sorted([run.seed for run in group] for group in groups) == [[1], [1], [1], [1, 2]]


def test_an_experiment_edited_in_the_meantime_makes_no_other_seed(tmp_path: Path) -> None:
    first, other, reworded = (made.run(tmp_path, seed) for seed in (1, 2, 3))
    edited = other.experiment.model_copy(update={"phases": other.experiment.phases.model_copy(update={"fault_s": 99})})
    files.dump(edited, other.path / "experiment.yaml")
    files.dump(reworded.experiment.model_copy(update={"question": "Who?"}), reworded.path / "experiment.yaml")
    groups = gather.groups([Run.at(run.path) for run in (first, other, reworded)])
    assert sorted([run.seed for run in group] for group in groups) == [[1, 3], [2]]


def test_of_equal_seeds_the_last_counts(tmp_path: Path) -> None:
    old, new = made.run(tmp_path, 1, name="old", us_fault=0.2), made.run(tmp_path, 1, name="new", us_fault=0.9)
    assert gather.groups([old, new]) == [[new]]
