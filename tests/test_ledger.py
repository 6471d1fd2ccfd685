"""A batch's ledger: read back from any torn end, one process at a time, runs told apart."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import ledger, series
from lab.errors import Refused
from lab.ledger import Ledger
from tests.batches import FakeHost, ask, go, home

LOCKED = r"^batch all is being run by another `lab batch`; wait for its end"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> series.Batch:
    monkeypatch.setenv("LAB_HOME", str(home(tmp_path)))
    return ask()


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    (tmp_path / "runs").mkdir()
    return FakeHost(tmp_path / "runs", {"one": "invalid"})


def states(kept: Ledger, asked: series.Batch) -> list[str]:
    """What is known of each run: `finished`, `begun` or ``."""
    return ["finished" if kept.finished(one) else "begun" if kept.unseen(one) else "" for one in asked.planned]


def test_what_is_written_is_read_back(asked: series.Batch, host: FakeHost) -> None:
    outcomes = go(asked, host)
    kept = Ledger(asked.folder)
    assert [kept.finished(this) for this in asked.planned] == outcomes
    assert kept.begun() == []


def test_any_torn_end_is_survived(asked: series.Batch, host: FakeHost) -> None:
    """As a kill or a power cut leaves it: any prefix, or a block of NULs after it."""
    outcomes = go(asked, host)
    path = asked.folder / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for whole in range(len(lines)):
        path.write_bytes(b"".join(lines[:whole]))
        before = states(Ledger(asked.folder), asked)
        for torn in (lines[whole][:1], lines[whole][:-9], b"\0" * 512, b"\xff\xfe", b"7", b"[]"):
            path.write_bytes(b"".join(lines[:whole]) + torn)
            kept = Ledger(asked.folder)
            assert states(kept, asked) == before
            kept.ended(asked.planned[2], outcomes[2])
            assert states(Ledger(asked.folder), asked) == states(kept, asked) == [*before[:2], "finished"]


def test_lines_of_another_version_do_not_count(asked: series.Batch, host: FakeHost) -> None:
    go(asked, host)
    path = asked.folder / "ledger.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line.get("outcome", {}).update(colour="red")
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"what": "new"}, {"who": 1}]))
    assert states(Ledger(asked.folder), asked) == ["begun"] * 3


def test_begun_anew_nothing_counts_but_what_may_still_be_running(asked: series.Batch, host: FakeHost) -> None:
    go(asked, host)
    kept = Ledger(asked.folder)
    kept.began(asked.planned[1], host.root / "somewhere")
    kept.begin_anew()
    for one in (kept, Ledger(asked.folder)):
        assert states(one, asked) == ["", "", ""]
        assert one.begun() == [host.root / "somewhere"]
        assert one.unfinished_since(asked.request) is None


def test_a_batch_is_unfinished_from_its_first_begin_on(asked: series.Batch) -> None:
    first, second = (datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in (1, 2))
    kept = Ledger(asked.folder)
    for now in (first, second):
        kept.start(asked.request, asked.planned, dated=True, now=now)
    assert kept.unfinished_since(asked.request) == first
    assert kept.unfinished_since("other") is None


def test_the_second_of_two_at_once_is_refused(asked: series.Batch) -> None:
    with (
        series.opened(asked, again=False),
        pytest.raises(Refused, match=LOCKED),
        series.opened(ask(9), again=False),
    ):
        pass
    with series.opened(asked, again=False):
        pass


def test_a_killed_batch_locks_nobody_out(asked: series.Batch) -> None:
    code = "import sys, time; from lab import ledger; from pathlib import Path\n"
    code += "with ledger.alone(Path(sys.argv[1]), 'all'): print('mine', flush=True); time.sleep(60)\n"
    command = [sys.executable, "-c", code, str(series.folder())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "mine\n"
            with pytest.raises(Refused, match=LOCKED), series.opened(asked, again=False):
                pass
        finally:
            other.kill()
        other.wait()
    with series.opened(asked, again=False):
        pass


def test_results_that_can_not_be_written_are_refused(asked: series.Batch, tmp_path: Path) -> None:
    (tmp_path / "results").rmdir()
    (tmp_path / "results").write_text("a file")
    with (
        pytest.raises(Refused, match=r"batches can't be written: .*; free space or choose"),
        series.opened(asked, again=False),
    ):
        pass


def test_runs_are_told_apart_by_what_fixes_them(asked: series.Batch) -> None:
    assert len({ledger.identity(this) for this in (*asked.planned, *ask(8).planned)}) == 6
    assert [ledger.identity(this) for this in asked.planned] == [ledger.identity(this) for this in ask().planned]
