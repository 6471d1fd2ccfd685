"""Many runs as people and machines see them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from lab import batch
from lab.console import ConsoleHost, duration
from lab.errors import Refused
from lab.plan import Plan
from tests.batches import ask, home, judged


@pytest.fixture
def this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("LAB_HOME", str(home(tmp_path)))
    return ask().planned[0]


class Heard:
    """A host whose words can be read."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._out, self._errors = io.StringIO(), io.StringIO()
        out, errors = (Console(file=file, width=60, color_system=None) for file in (self._out, self._errors))
        self.host = ConsoleHost(out, errors, as_json=as_json)

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def errors(self) -> str:
        return self._errors.getvalue()


def test_one_of_many_is_announced_in_a_line(this: Plan) -> None:
    heard = Heard()
    heard.host.announce(3, 12, this, 14 * 60)
    assert heard.out == "3 of 12: one on memory, leaders in home, seed 7 — about 14 min left\n"


def test_a_single_run_is_announced_as_its_plan(this: Plan) -> None:
    heard = Heard()
    heard.host.announce(1, 1, this, 60)
    assert heard.out == "\n".join(this.sentences()) + "\n"


def test_machines_are_told_which_run_the_next_lines_are_of(this: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard(as_json=True)
    heard.host.announce(3, 12, this, 840.4)
    assert heard.out == ""
    told = json.loads(capsys.readouterr().out)
    words = "one on memory, leaders in home, seed 7"
    assert told == {"what": "run", "number": 3, "of": 12, "left_s": 840, "run": words}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 1 min"), (89, "about 1 min"), (91, "about 2 min"), (3569, "about 59 min"),
        (3599, "about 1 h 0 min"), (7500, "about 2 h 5 min"),
    ],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_becomes_of_a_run_that_a_dead_process_began_is_said(this: Plan, tmp_path: Path) -> None:
    heard = Heard()
    judged(this, tmp_path / "a", "unknown", end="cancelled")
    assert heard.host.adopt(this, tmp_path / "a") is None
    judged(this, tmp_path / "b")
    assert heard.host.adopt(this, tmp_path / "b") is not None
    first, second = heard.errors.splitlines()
    assert first.endswith("a was cut short; it is made again.")
    assert second.endswith("b ended by itself: adopted.")


def test_a_run_that_ended_is_shown_with_where_its_pages_are(this: Plan, tmp_path: Path) -> None:
    heard = Heard()
    judged(this, tmp_path / "run", "unknown")
    outcome = batch.adopt(this, tmp_path / "run", print)
    assert outcome is not None
    heard.host.ended(outcome)
    assert "This run proves nothing: the gates; verdict unknown." in " ".join(heard.out.split())
    assert f"report: {tmp_path}/run/report.html\n" in heard.out
    silent = Heard(as_json=True)
    silent.host.ended(outcome)
    assert silent.out == silent.errors == ""


def test_what_could_not_be_made_is_one_sentence(this: Plan) -> None:
    heard = Heard()
    heard.host.failed(Refused("no [such] thing."))
    assert heard.errors == "no [such] thing.\n"
