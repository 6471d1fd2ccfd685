"""Run directories: made once each, written whole, read back or refused."""

from __future__ import annotations

import errno
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab import files, results
from lab.errors import Refused
from lab.experiment import Experiment
from lab.results import Run, new_directory, write_json, write_text
from lab.topology import Topology
from lab.verdict import Finding, conclude


def test_new_directory_twice_in_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = datetime.now(UTC)

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return stopped

    monkeypatch.setattr(results, "datetime", Stopped)
    first, second, third = (new_directory(tmp_path, "gray-region", "js@2.9.10", 7) for _ in range(3))
    assert first.parent == tmp_path / "gray-region" / "js@2.9.10"
    assert re.fullmatch(r"\d{8}T\d{6}Z-s7", first.name)
    assert (second.name, third.name) == (f"{first.name}-2", f"{first.name}-3")
    assert all(path.is_dir() for path in (first, second, third))


def test_a_root_that_cant_be_written_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "results"
    root.write_text("a file", encoding="utf-8")
    with pytest.raises(Refused) as refusal:
        new_directory(root, "e", "a", 1)
    assert str(refusal.value) == (
        f"results can't be written below {root}: Not a directory; free space or choose another folder."
    )


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(Refused, match="No space left on device; free space"):
        new_directory(tmp_path, "e", "a", 1)


def test_json_is_byte_equal_for_equal_values(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 2.5], "a": {"ü": None}})
    write_json(tmp_path / "b.json", {"a": {"ü": None}, "b": [1, 2.5]})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_text(encoding="utf-8").startswith('{\n "a": {\n  "ü": null')


def test_a_write_that_breaks_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "verdict.json"
    write_text(path, "old")

    def broken(*_: Any) -> None:
        raise OSError("killed")

    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="killed"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"


def test_no_part_file_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["absent", "."])
def test_what_is_no_run_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(Refused) as refusal:
        Run.at(path)
    assert str(refusal.value) == f"{path} is not a run: expected a directory that holds plan.json."


def test_a_run_is_read_back(tmp_path: Path) -> None:
    topology = Topology.model_validate(
        {"name": "two", "regions": {"us": {"nodes": 1}, "sg": {"nodes": 1}}, "rtt_ms": {"us-sg": 200}}
    )
    experiment = Experiment.model_validate({"name": "e", "topology": "two"})
    write_json(tmp_path / "plan.json", {"arm": "js@2.9.10", "seed": 7})
    files.dump(topology, tmp_path / "topology.yaml")
    files.dump(experiment, tmp_path / "experiment.yaml")
    run = Run.at(str(tmp_path))
    assert (run.arm, run.seed, run.topology, run.experiment) == ("js@2.9.10", 7, topology, experiment)
    assert run.environment == {} and not run.judged
    verdict = conclude(["isolation"], {"evidence": Finding(verdict="valid")})
    write_text(tmp_path / "verdict.json", verdict.model_dump_json())
    assert run.judged and run.verdict == verdict


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("gray-region", "gray-region"),
        ("../../etc/escaped", "etc_escaped"),
        ("/absolute", "absolute"),
        ("my files/a$b", "my_files_a_b"),
        ("..", "experiment"),
        ("", "experiment"),
    ],
)
def test_a_run_stays_below_its_root_whatever_the_experiment_is_called(tmp_path: Path, name: str, folder: str) -> None:
    made = results.new_directory(tmp_path, name, "arm", 1)
    assert made.parent == tmp_path / folder / "arm"
