"""However a run is ended, in the middle of a fault: nothing of it is left, and it is never `valid`."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.whole import (
    GONE_WITHIN_S,
    Underway,
    code_of,
    home,
    lab,
    nothing_left,
    underway,
    verdict_of,
    wait_for,
)

HARM = "latency of b"


def in_mid_fault(run: Underway) -> set[int]:
    """Wait until the fault bites; the ports of the run."""
    run.reach("fault")
    ports = run.ports()
    assert len(ports) > 10
    assert any(line.get("in_force") == [HARM] or line.get("phase") == "fault" for line in run.progress())
    return ports


def assert_interrupted(directory: Path) -> None:
    """Judged unknown because it was interrupted, with what was recorded until then."""
    verdict = verdict_of(directory)
    assert verdict["verdict"] == "unknown"
    assert any("interrupted" in why for why in verdict["why"]), verdict["why"]
    assert (directory / "history.parquet").stat().st_size > 10_000


@pytest.mark.slow
def test_a_short_run_on_two_nodes_is_whole(tmp_path: Path) -> None:
    """The measure of all tests here: left alone, this run ends with a verdict and its report."""
    done = lab(home(tmp_path), "run", "short")
    [directory] = tmp_path.glob("results/short/*/*")
    verdict = verdict_of(directory)
    assert done.returncode == code_of(verdict), done.stderr
    assert not [why for why in verdict["why"] if why.startswith("run ")], (
        "so short a load proves little, but it was whole"
    )
    progress = [json.loads(line) for line in (directory / "progress.jsonl").read_text().splitlines()]
    assert progress[-1]["what"] == "done" and not progress[-1]["broken"]
    assert (directory / "report.html").is_file() and (directory / "notebook.ipynb").is_file()
    assert not (directory / "nodes").exists()


def test_runner_killed(tmp_path: Path) -> None:
    with underway(home(tmp_path)) as run:
        ports = in_mid_fault(run)
        os.kill(run.one("lab.runner"), signal.SIGKILL)
        nothing_left(run, ports)
        out, err = run.process.communicate(timeout=40)
        assert run.process.returncode == 11, (out, err)
        assert verdict_of(run.directory)["verdict"] == "unknown"
        (run.directory / "verdict.json").unlink()
        again = lab(tmp_path, "judge", str(run.directory))
        assert again.returncode == 11, again.stderr
        verdict = verdict_of(run.directory)
        assert verdict["verdict"] == "unknown"
        assert any("never began" in why for why in verdict["why"]), verdict["why"]
        assert (run.directory / "history.parquet").stat().st_size > 10_000


def test_kernel_killed(tmp_path: Path) -> None:
    with underway(home(tmp_path)) as run:
        ports = in_mid_fault(run)
        os.kill(run.kernel(), signal.SIGKILL)
        nothing_left(run, ports)
        out, err = run.process.communicate(timeout=40)
        assert run.process.returncode == 11, (out, err)
        assert_interrupted(run.directory)


@pytest.mark.slow
def test_makes_whole_process_group_killed(tmp_path: Path) -> None:
    command = ("make", "-s", "experiment", "EXPERIMENT=short")
    with underway(home(tmp_path), *command) as run:
        ports = in_mid_fault(run)
        os.killpg(run.process.pid, signal.SIGKILL)
        nothing_left(run, ports)
        wait_for("verdict", lambda: (run.directory / "verdict.json").exists(), GONE_WITHIN_S)
        assert_interrupted(run.directory)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_lab_run_is_asked_to_end(tmp_path: Path, name: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with underway(home(tmp_path), TMPDIR=str(scratch)) as run:
        ports = in_mid_fault(run)
        run.process.send_signal(getattr(signal, name))
        nothing_left(run, ports)
        out, err = run.process.communicate(timeout=40)
        assert run.process.returncode == 11, (out, err)
        assert "Traceback" not in err
        assert_interrupted(run.directory)
        assert not list(scratch.glob("isolation-lab-kernel-*")), "the kernel's files go with it"


@pytest.mark.slow
def test_ctrl_c_reaches_the_whole_process_group(tmp_path: Path) -> None:
    """What a terminal does: lab, papermill's process and the kernel get it, the runner does not."""
    with underway(home(tmp_path)) as run:
        ports = in_mid_fault(run)
        os.killpg(run.process.pid, signal.SIGINT)
        nothing_left(run, ports)
        out, err = run.process.communicate(timeout=40)
        assert run.process.returncode == 11, (out, err)
        assert "Traceback" not in err
        assert_interrupted(run.directory)


@pytest.mark.slow
def test_interrupted_while_servers_come_up(tmp_path: Path) -> None:
    with underway(home(tmp_path)) as run:
        wait_for("a server", lambda: len(run.ports()) > 2, 60)
        ports = run.ports()
        run.process.send_signal(signal.SIGTERM)
        nothing_left(run, ports)
        out, err = run.process.communicate(timeout=40)
        assert run.process.returncode == 11, (out, err)
        assert "Traceback" not in err


@pytest.mark.slow
def test_clean_ends_leftovers_and_spares_runs_under_way(tmp_path: Path) -> None:
    with underway(home(tmp_path)) as run:
        in_mid_fault(run)
        before = set(run.members())
        assert lab(tmp_path, "clean").returncode == 0
        assert before <= set(run.members()), "a run under way is spared"
        reaper = next(pid for pid in _reapers(run.directory))
        os.kill(reaper, signal.SIGKILL)
        os.kill(run.one("lab.runner"), signal.SIGKILL)
        time.sleep(1)
        assert run.members(), "nobody is left to clean up"
        cleaned = lab(tmp_path, "clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert not run.members()


def _reapers(directory: Path) -> list[int]:
    import psutil

    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "lab.reaper" in (process.info["cmdline"] or []) and str(directory) in process.info["cmdline"]
    ]
