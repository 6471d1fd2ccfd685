"""One run among many: how it ended in words, and runs that a process that is gone began."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lab import batch, ledger, reaper, render
from lab.batch import Outcome
from lab.errors import LabError, NodeNotReady, Refused, RunBroken
from lab.plan import Plan
from lab.verdict import Finding, Verdict, VerdictWord, conclude
from tests.batches import ask, home, judged, last


@pytest.fixture
def this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("LAB_HOME", str(home(tmp_path)))
    return ask().planned[0]


def verdict(evidence: VerdictWord = "valid", **findings: tuple[VerdictWord, VerdictWord, list[str]]) -> Verdict:
    said = {name: Finding(verdict=found, expected=wanted, why=why) for name, (found, wanted, why) in findings.items()}
    gates = Finding(verdict=evidence, why=["loop lag 34 ms."] if evidence == "unknown" else ["all met."])
    return conclude(list(findings), {"evidence": gates, **said})


SURPRISES = [
    ("none", verdict(isolation=("invalid", "invalid", ["us fell."])), ""),
    ("one", verdict(isolation=("invalid", "valid", ["us."])), "isolation: expected valid, found invalid: us."),
    (
        "the unexpected one of two",
        verdict(isolation=("invalid", "invalid", ["us fell."]), durability=("invalid", "valid", ["9 lost."])),
        "durability: expected valid, found invalid: 9 lost.",
    ),
    ("better than expected", verdict(isolation=("valid", "invalid", [])), "isolation: expected invalid, found valid"),
    ("unknown", verdict("unknown", isolation=("invalid", "valid", ["us fell."])), "loop lag 34 ms."),
    ("unknown as expected is unknown", verdict(isolation=("unknown", "unknown", ["too few."])), "too few."),
]  # fmt: skip


@pytest.mark.parametrize(("found", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in SURPRISES])
def test_what_surprised(found: Verdict, sentence: str) -> None:
    assert batch._surprise(found) == sentence


@pytest.mark.parametrize(
    ("word", "blast_radius", "surprise"),
    [
        ("valid", "empty", ""),
        ("invalid", "a (put, watch)", "isolation: expected valid, found invalid: isolation is invalid."),
        ("unknown", "–", "the gates."),
    ],
)
def test_a_run_that_ended_is_told(
    this: Plan, tmp_path: Path, word: VerdictWord, blast_radius: str, surprise: str
) -> None:
    judged(this, tmp_path / "run", word)
    found = batch.adopt(this, tmp_path / "run", print)
    assert found is not None
    assert (found.verdict, found.blast_radius, found.surprise) == (word, blast_radius, surprise)
    assert (found.experiment, found.arm, found.seed, found.leaders_in) == ("one", "memory", 7, "home")
    assert found.as_expected == (word == "valid")


def test_measurements_that_are_gone_don_t_hide_a_verdict(this: Plan, tmp_path: Path) -> None:
    judged(this, tmp_path / "run", "invalid")
    (tmp_path / "run" / "measurements.json").unlink()
    found = batch.adopt(this, tmp_path / "run", print)
    assert found is not None and (found.verdict, found.blast_radius) == ("invalid", "–")


def test_an_adopted_run_gets_its_page(this: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr(batch, "rendered", lambda run: drawn.append(run.path))
    judged(this, tmp_path / "run")
    assert batch.adopt(this, tmp_path / "run", print) is not None
    assert drawn == []
    (tmp_path / "run" / "report.html").unlink()
    assert batch.adopt(this, tmp_path / "run", print) is not None
    assert drawn == [tmp_path / "run"]


def test_a_page_that_can_not_be_drawn_is_only_said(this: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RunBroken("no kernel.")

    monkeypatch.setattr(batch, "rendered", broken)
    judged(this, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    said: list[str] = []
    assert batch.adopt(this, tmp_path / "run", said.append) is not None
    assert said == ["no kernel."]


@pytest.mark.parametrize(
    ("error", "word", "code"),
    [
        (Refused("bad."), "refused", 12),
        (NodeNotReady("slow."), "unknown", 11),
        (OSError(errno.EACCES, "Permission denied", "/x"), "refused", 12),
        (OSError(errno.ENOSPC, "No space left on device"), "unknown", 11),
    ],
)
def test_a_run_that_could_not_be_made(this: Plan, error: LabError | OSError, word: str, code: int) -> None:
    found = batch.not_made(this, error)
    assert (found.verdict, found.exit_code, found.as_expected) == (word, code, False)
    assert found.why == [found.surprise] and found.surprise.endswith(".")


CODES = [
    ([], 0, 0),
    ([0, 0], 0, 0),
    ([0], 3, 11),
    ([0, 11], 0, 11),
    ([10, 11], 0, 10),
    ([10], 3, 10),
    ([12, 10], 0, 12),
]
WORDS = {0: ("valid", True), 10: ("valid", False), 11: ("unknown", False), 12: ("refused", False)}


@pytest.mark.parametrize(("codes", "left", "code"), CODES)
def test_last_json_says_how_it_stands(this: Plan, codes: list[int], left: int, code: int) -> None:
    found = [Outcome("e", "a", 1, "home", "", *WORDS[each], ["why."]) for each in codes]
    assert [one.exit_code for one in found] == codes
    assert batch.save(found, left) == code
    assert (last()["exit_code"], last()["left"]) == (code, left)
    assert [run["verdict"] for run in last()["runs"]] == [one.verdict for one in found]  # type: ignore[attr-defined]


def test_outcomes_survive_json(this: Plan, tmp_path: Path) -> None:
    judged(this, tmp_path / "run", "invalid")
    found = batch.adopt(this, tmp_path / "run", print)
    assert found is not None
    assert Outcome(**json.loads(json.dumps(vars(found)))) == found


# -- still under way -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mark", "module"), [(reaper.MARK, "lab.runner"), (render.MARK, "lab.render")])
def test_a_run_under_way_is_outlasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, module: str) -> None:
    """Its runner, or the notebook that is about to begin it or still draws it."""
    monkeypatch.setattr(batch, "LOOK_S", 0.05)
    command = [sys.executable, "-c", "input()", module]
    with subprocess.Popen(command, env={**os.environ, mark: str(tmp_path)}, stdin=subprocess.PIPE) as process:
        said: list[str] = []
        waiting = threading.Thread(target=batch.outlast, args=(tmp_path, said.append), daemon=True)
        waiting.start()
        deadline_s = time.monotonic() + 20
        while not said and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert said and said[0].endswith("is still under way; waiting for its end.")
        time.sleep(0.3)
        assert waiting.is_alive()
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        process.wait(20)
        waiting.join(20)
        assert not waiting.is_alive()


def test_servers_that_outlived_their_run_are_not_waited_for_but_ended(tmp_path: Path) -> None:
    """They inherit both marks. A run killed with its reaper leaves them, and their data."""
    environment = {**os.environ, reaper.MARK: str(tmp_path), render.MARK: str(tmp_path)}
    (tmp_path / "nodes").mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE) as process:
        try:
            said: list[str] = []
            batch.outlast(tmp_path / "other", said.append)
            assert process.poll() is None
            batch.outlast(tmp_path, said.append)
            assert process.wait(20) != 0
            assert said == [] and not (tmp_path / "nodes").exists()
        finally:
            process.kill()


def test_words_of_a_run(this: Plan) -> None:
    assert ledger.words(this) == "one on memory, leaders in home, seed 7"
