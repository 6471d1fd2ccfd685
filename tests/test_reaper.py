"""The lifeline's other end: whoever carries a dead run's mark is ended, and nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import reaper
from tests.integration.whole import wait_for

SLEEP = "import time; time.sleep(99)"
BREED = f"import subprocess,sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True); {SLEEP}"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of a test; whatever it proves, none outlives it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait(10)


def member(run: Path, code: str = SLEEP) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, reaper.MARK: str(run)}, start_new_session=True
    )


def count(run: Path) -> int:
    return len(list(reaper.marked(run)))


def test_children_of_members_are_members_wherever_they_went(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    started.append(member(tmp_path, BREED))
    wait_for("child", lambda: count(tmp_path) == 2, 10)
    assert reaper.reap(tmp_path) == 2
    assert count(tmp_path) == 0


def test_other_runs_and_the_spared_live_on(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    one, other = tmp_path / "run", tmp_path / "run2"
    started += [member(one), member(one), member(other)]
    wait_for("all three", lambda: count(one) == 2 and count(other) == 1, 10)
    assert reaper.reap(one, spare=started[0].pid) == 1
    assert started[0].poll() is None and started[2].poll() is None
    reaper.reap(one)
    reaper.reap(other)


def test_the_nodes_data_goes_and_everything_else_stays(tmp_path: Path) -> None:
    for name in ("nodes", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    reaper.reap(tmp_path)
    assert not (tmp_path / "nodes").exists() and (tmp_path / "logs" / "file").exists()


RUNNER = f"""
import subprocess, sys, os
from pathlib import Path
from lab import reaper
run = Path(sys.argv[1])
watcher = reaper.start(run)
os.environ[reaper.MARK] = str(run)
subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
print("up", flush=True)
{SLEEP}
"""


def test_it_acts_when_its_runner_is_killed(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    root = str(Path(__file__).resolve().parents[1])
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    started.append(runner)
    assert runner.stdout is not None and runner.stdout.readline() == b"up\n"
    wait_for("child", lambda: count(tmp_path) == 1, 10)
    time.sleep(0.5)
    assert count(tmp_path) == 1, "nothing is reaped while the runner lives"
    runner.kill()
    wait_for("end of the child", lambda: count(tmp_path) == 0, 10)
    runner.stdout.close()


def test_a_run_whose_files_are_gone_is_reaped_all_the_same(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    gone = tmp_path / "never made"
    started.append(member(gone))
    wait_for("member", lambda: count(gone) == 1, 10)
    assert reaper.reap(gone) == 1
