"""Whole runs on the toy backend: each bug is caught by the checker meant for it, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import files, plan, runner
from lab.errors import RunBroken
from lab.experiment import Experiment
from lab.results import Run
from tests import virtual_time

PHASES = {"steady_s": 8, "fault_s": 20, "recovery_s": 20}
PARTITION = [{"partition": {"region": "sg"}, "for_s": 16}]
HYPOTHESIS = ["isolation", "durability", "convergence", "watches"]
KV = {"kv": {"rate_per_s": 100}}


def run_once(
    folder: Path, arm: str, *, faults: list[dict[str, object]] | None = None, seed: int = 1, **changes: object
) -> Run:
    """One run in virtual time, in `folder`."""
    experiment = Experiment.model_validate(
        {
            "name": "toy",
            "topology": "three-regions",
            "phases": PHASES,
            "workload": KV,
            "faults": PARTITION if faults is None else faults,
            "hypothesis": HYPOTHESIS,
            **changes,
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    files.dump(experiment, folder / "toy.yaml")
    planned = plan.make(str(folder / "toy.yaml"), arm=arm, runtime="memory", seed=seed)
    planned.save(folder)
    virtual_time.run(runner.run(planned, folder))
    return Run.at(folder)


@pytest.mark.parametrize(
    ("arm", "caught_by"),
    [
        pytest.param("memory", None, id="no bug"),
        pytest.param("memory+bug=loses_writes", "durability", id="loses acknowledged writes"),
        pytest.param("memory+bug=stale_reads", "convergence", id="serves stale reads for ever"),
        pytest.param("memory+bug=spreads", "isolation", id="lets an outage spread"),
        pytest.param("memory+bug=never_resumes", "watches", id="never resumes a watch"),
    ],
)
def test_each_bug_is_caught_by_its_checker(tmp_path: Path, arm: str, caught_by: str | None) -> None:
    verdict = run_once(tmp_path, arm).verdict
    found = {name: finding.verdict for name, finding in verdict.checkers.items()}
    expected = dict.fromkeys(["evidence", *HYPOTHESIS], "valid")
    if caught_by:
        expected[caught_by] = "invalid"
    assert found == expected, verdict.why
    assert verdict.verdict == ("invalid" if caught_by else "valid")


def test_an_outage_that_spreads_is_measured_to_the_second(tmp_path: Path) -> None:
    run = run_once(tmp_path, "memory+bug=spreads")
    blast = run.measurements.blast_radius
    assert blast is not None
    assert blast.regions == ["us", "eu"]
    assert blast.kinds == {"eu": ["put"], "us": ["put"]}
    [put] = [o for o in run.measurements.outages if (o.region, o.cut, o.kind) == ("us", "put", "availability")]
    assert put.onset_s == pytest.approx(8, abs=0.3)  # caught in flight just before the cut
    assert put.end_s == pytest.approx(8 + 16 - 2, abs=0.5)  # from then on, late by less than the deadline
    assert put.depth == pytest.approx(1.0)


def test_no_fault_no_outage(tmp_path: Path) -> None:
    measured = run_once(tmp_path, "memory", faults=[]).measurements
    assert measured.outages == []
    assert measured.blast_radius is not None and measured.blast_radius.regions == []
    assert all(cuts["overall"].steady == 1.0 for cuts in measured.availability.values())


def test_gray_latency_shows_as_staleness_not_as_outage(tmp_path: Path) -> None:
    gray = [{"latency": {"region": "sg", "add_ms": [1000, 2000]}, "for_s": 16}]
    run = run_once(tmp_path, "memory", faults=gray)
    assert run.verdict.verdict == "valid", run.verdict.why
    stale = run.measurements.staleness["us"]
    assert stale["steady"].max_s is not None and stale["fault"].max_s is not None
    assert stale["steady"].max_s < 0.5 < stale["fault"].max_s < 3


@pytest.mark.parametrize(
    ("fault", "harmed", "pulses"),
    [
        pytest.param({"deaf": {"region": "sg"}}, {"us->sg", "eu->sg"}, 1, id="deaf"),
        pytest.param({"mute": {"region": "sg"}}, {"sg->us", "sg->eu"}, 1, id="mute"),
        pytest.param({"flap": {"region": "sg", "down_s": 4, "up_s": 3}}, None, 3, id="flap"),
    ],
)
def test_faults_of_links_are_seen_by_their_witnesses(
    tmp_path: Path, fault: dict[str, object], harmed: set[str] | None, pulses: int
) -> None:
    run = run_once(tmp_path, "memory", faults=[{**fault, "for_s": 18}])
    assert run.verdict.verdict == "valid", run.verdict.why
    (bite,) = run.measurements.faults
    assert bite.seen and len(bite.pulses) == pulses
    assert set(bite.links) == (harmed or {"us->sg", "eu->sg", "sg->us", "sg->eu"})
    assert bite.entered_s == pytest.approx(8, abs=0.1)
    # stale exactly where something was kept from arriving
    hidden = {link.partition("->")[2] for link in bite.links}
    for region, phases in run.measurements.staleness.items():
        longest = phases["fault"].max_s
        assert longest is not None and (longest > 2) == (region in hidden), (region, longest)


def test_a_flap_comes_and_goes_on_schedule(tmp_path: Path) -> None:
    flap = {"flap": {"region": "sg", "down_s": 4, "up_s": 3}, "at_s": 1, "for_s": 18}
    (bite,) = run_once(tmp_path, "memory", faults=[flap]).measurements.faults
    begun = [begin for begin, _ in bite.pulses]
    ended = [end for _, end in bite.pulses]
    assert begun == pytest.approx([9, 16, 23], abs=0.1) and ended == pytest.approx([13, 20, 27], abs=0.1)
    assert bite.left_s == pytest.approx(27, abs=0.1)


def test_replication_lag_is_nothing_beyond_the_links_own_delay(tmp_path: Path) -> None:
    lags = run_once(tmp_path, "memory", faults=[]).measurements.replication_lag
    assert set(lags) == {"us->eu", "us->sg", "eu->us", "eu->sg", "sg->us", "sg->eu"}
    for phases in lags.values():
        assert phases["steady"].p99_ms == pytest.approx(0, abs=1)
        assert phases["steady"].unseen == 0


def test_equal_seeds_give_equal_plans_and_histories(tmp_path: Path) -> None:
    first, second = (run_once(tmp_path / name, "memory") for name in ("a", "b"))
    other = run_once(tmp_path / "c", "memory", seed=2)
    plans = [(run.path / "plan.json").read_bytes() for run in (first, second, other)]
    assert plans[0] == plans[1] != plans[2]
    assert first.history.rows.equals(second.history.rows)
    assert first.measurements == second.measurements


def test_a_run_that_breaks_is_unknown_and_keeps_what_it_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object) -> None:
        raise RunBroken("the sky fell.")

    monkeypatch.setattr(runner, "_settle", breaks)
    run = run_once(tmp_path, "memory")
    assert run.verdict.verdict == "unknown"
    assert any("the sky fell" in line for line in run.verdict.why)
    assert run.measurements.availability["us"]["overall"].steady == 1.0


def test_a_users_own_checker_and_fault_are_named_by_path(tmp_path: Path) -> None:
    tmp_path.joinpath("mine.py").write_text(
        "from lab.verdict import Finding\n"
        "from lab.faults.none import NoFault\n"
        "def always_sad(history, measurements, experiment):\n"
        "    return Finding(verdict='invalid', why=['nothing pleases me'])\n"
    )
    own = f"{tmp_path}/mine.py"
    run = run_once(
        tmp_path / "run",
        "memory",
        faults=[{f"{own}:NoFault": {}}],
        hypothesis=[f"{own}:always_sad"],
        expect={"memory": {f"{own}:always_sad": "invalid"}},
    )
    assert run.verdict.verdict == "invalid"
    assert run.verdict.as_expected
    assert run.verdict.why == ["nothing pleases me"]


def test_a_users_own_checker_that_raises_has_decided_nothing(tmp_path: Path) -> None:
    tmp_path.joinpath("mine.py").write_text("def sad(history, measurements, experiment):\n    return 1 / 0\n")
    own = f"{tmp_path}/mine.py:sad"
    verdict = run_once(tmp_path / "run", "memory", hypothesis=["isolation", own]).verdict
    assert (verdict.verdict, verdict.checkers["isolation"].verdict) == ("unknown", "valid")
    assert "line 2: ZeroDivisionError: division by zero; mend that file." in verdict.checkers[own].why[0]
