"""Repeats as data beside their runs, and as the command line tells them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from lab.batch import Outcome
from lab.many import Many
from lab.repeats import record
from lab.repeats.model import Repeats
from lab.results import Run
from lab.schemas import schema_of
from tests.repeats import made


def test_it_is_kept_beside_the_runs_as_published(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, seed, outage_s=5.0 * seed, verdict="invalid") for seed in (1, 2, 3)]
    runs.append(made.run(tmp_path, 4, verdict="unknown"))
    [(found, path)] = record.record(runs)
    assert path == tmp_path / "repeats-s1-k4-home-pair.json"
    data = json.loads(path.read_text())
    jsonschema.validate(data, schema_of("repeats"))
    assert Repeats.model_validate(data) == found
    assert data["regions"]["us"]["cuts"]["put"]["runs_with_outage"] == 3


def test_one_run_is_no_repeat(tmp_path: Path) -> None:
    assert record.record([made.run(tmp_path, 1)]) == []
    assert not list(tmp_path.glob("*.json"))


def test_files_of_one_arm_do_not_overwrite_each_other(tmp_path: Path) -> None:
    runs = [
        made.run(tmp_path, seed, leaders_in=leaders_in, name=f"{leaders_in}-{seed}")
        for leaders_in in ("home", "faulted")
        for seed in (1, 2)
    ]
    paths = [path.name for _, path in record.record(runs)]
    assert paths == ["repeats-s1-k2-faulted-pair.json", "repeats-s1-k2-home-pair.json"]


def outcome(run: Run | None) -> Outcome:
    """What `lab run` knows of a run; None: one that was refused."""
    return Outcome("gray", "memory", 1, "home", str(run.path) if run else "", "invalid", False, [])


def said(capsys: pytest.CaptureFixture[str], outcomes: list[Outcome], *, as_json: bool) -> tuple[str, str]:
    out, errors = Console(width=200), Console(stderr=True, width=400)
    Many([], out, errors, as_json=as_json)._say_repeats(outcomes)
    return capsys.readouterr()


def test_the_command_line_ends_with_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [outcome(made.run(tmp_path, seed)) for seed in (1, 2, 3)]
    out, err = said(capsys, [*outcomes, outcome(None)], as_json=False)
    assert "3 runs, seeds 1, 2, 3: 3 × valid; all as expected." in out.replace("\n", " ")
    assert f"repeats: {tmp_path}/repeats-s1-k3-home-pair.json" in out
    assert err == ""


def test_machines_are_told_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, [outcome(made.run(tmp_path, seed)) for seed in (1, 2)], as_json=True)
    assert json.loads(out) == {"what": "repeats", "path": f"{tmp_path}/repeats-s1-k2-home-pair.json"}


def test_single_runs_say_nothing_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [outcome(made.run(tmp_path, 1)), outcome(made.run(tmp_path / "other", 1, arm="memory+bug=spreads"))]
    assert said(capsys, outcomes, as_json=False) == ("", "")


def test_what_can_not_be_gathered_costs_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [made.run(tmp_path, seed) for seed in (1, 2)]
    (runs[1].path / "plan.json").write_text("{")
    out, err = said(capsys, [outcome(run) for run in runs], as_json=False)
    assert out == ""
    assert "plan.json is damaged" in err and err.count("\n") == 1
