"""A batch of real runs, killed in its second: started again it repeats nothing, and nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest

from lab import reaper
from tests.integration.whole import GONE_WITHIN_S, ROOT, SHORT, environment, home, lab, wait_for

NAMES = ("one", "two", "three")
BATCH = "runs:\n" + "".join(f"  - experiment: {name}\n" for name in NAMES)
SHORTER = SHORT.replace("fault_s: 4, recovery_s: 4", "fault_s: 2, recovery_s: 2")
COMMAND = ("batch", "all", "--seed", "7")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home(tmp_path)
    assert SHORTER != SHORT
    for name in NAMES:
        (tmp_path / "experiments" / f"{name}.yaml").write_text(SHORTER)
    (tmp_path / "experiments" / "all.yaml").write_text(BATCH)
    return tmp_path


def runs(folder: Path, name: str) -> list[Path]:
    """The directories of an experiment's runs, the oldest first."""
    return sorted(path.parent for path in folder.glob(f"results/{name}/*/*/plan.json"))


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def in_fault(folder: Path, name: str) -> bool:
    found = runs(folder, name)
    return bool(found) and any(line.get("phase") == "fault" for line in lines(found[-1] / "progress.jsonl"))


def marked(folder: Path) -> list[psutil.Process]:
    return [process for process, run in reaper.marked() if run.startswith(f"{folder}/")]


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`lab batch` in a session of its own; nothing of it outlives the test."""
    command = [sys.executable, "-m", "lab", *COMMAND, *options]
    said = (folder / "said").open("wb")
    with (
        said,
        subprocess.Popen(
            command, cwd=ROOT, env=environment(folder), start_new_session=True, stdout=said, stderr=said
        ) as process,
    ):
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.5)
            for name in NAMES:
                for directory in runs(folder, name):
                    reaper.reap(directory)


def kill_everything(process: subprocess.Popen[bytes], folder: Path) -> None:
    """As the end of a container does: command, notebook, kernel, runner, servers, reapers."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True), *marked(folder)]
    tree += [one for one in psutil.process_iter() if _is_reaper_of(one, folder)]
    for one in tree:
        with suppress(psutil.Error):
            one.kill()
    process.wait(20)


def _is_reaper_of(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        command = process.cmdline()
        return "lab.reaper" in command and any(str(folder) in part for part in command)
    return False


def kill_the_command(process: subprocess.Popen[bytes], folder: Path) -> None:
    """As a lack of memory does: the run goes on, alone."""
    process.kill()
    process.wait(20)


def which(folder: Path) -> list[list[str]]:
    """The table without what may differ between equal runs: verdicts, reach and sentences."""
    [path] = folder.glob("results/batches/all-7/table.md")
    rows = [line.split(" | ") for line in path.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip("| ") for cell in row[:4]] for row in rows[1:]]


WHOLE = [[name, "jetstream-stretched", "any", "7"] for name in NAMES]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill", "repeated"),
    [
        pytest.param(kill_everything, True, id="everything"),
        pytest.param(kill_the_command, False, id="the command alone"),
    ],
)
def test_killed_in_its_second_run(folder: Path, kill: Any, repeated: bool) -> None:
    junit = folder / "junit.xml"
    with started(folder, "--junit", str(junit)) as process:
        wait_for("fault of run two", lambda: in_fault(folder, "two") or process.poll() is not None, 150)
        assert process.poll() is None
        kill(process, folder)
        left = json.loads((folder / "results" / "last.json").read_text())
        assert ([run["experiment"] for run in left["runs"]], left["left"]) == (["one"], 2)
        assert {suite.get("name") for suite in ElementTree.parse(junit).getroot()} == {"one", "not made"}
        assert which(folder) == WHOLE[:1]
        done = lab(folder, *COMMAND, "--junit", str(junit), "--summary", str(folder / "summary.md"))
        wait_for("end of all processes", lambda: not marked(folder), GONE_WITHIN_S)
        wait_for("end of all data", lambda: not list(folder.glob("results/*/*/*/nodes")), 5)
    assert "1 of 3 runs are finished." in done.stderr
    assert ("cut short; it is made again" if repeated else "ended by itself: adopted") in done.stderr
    assert ("still under way" in done.stderr) is not repeated
    assert re.findall(r"^(\d of 3: \w+)", done.stdout, re.MULTILINE) == ["2 of 3: two", "3 of 3: three"]
    assert [len(runs(folder, name)) for name in NAMES] == [1, 2 if repeated else 1, 1]
    assert all((runs(folder, name)[-1] / "report.html").is_file() for name in NAMES)
    assert which(folder) == WHOLE
    assert (folder / "summary.md").read_text().count("| jetstream-stretched |") == 3
    assert {suite.get("name") for suite in ElementTree.parse(junit).getroot()} == set(NAMES)
    last = json.loads((folder / "results" / "last.json").read_text())
    assert (last["left"], last["exit_code"]) == (0, done.returncode)
    assert all(run["verdict"] == "valid" or not _broken(run) for run in last["runs"]), last

    again = lab(folder, *COMMAND)
    assert "batch all, seed 7 is complete: all 3 runs are finished; `--again`" in again.stderr
    assert again.returncode == done.returncode
    assert [len(runs(folder, name)) for name in NAMES] == [1, 2 if repeated else 1, 1], "nothing was made"


def _broken(run: dict[str, Any]) -> bool:
    """So short a load may prove nothing, but no run that counts was cut short."""
    return any(why.startswith("run ") for why in run["why"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_asked_to_end_it_says_what_it_got(folder: Path, name: str) -> None:
    files = ("--junit", str(folder / "junit.xml"), "--summary", str(folder / "summary.md"))
    with started(folder, *files) as process:
        wait_for("fault of run one", lambda: in_fault(folder, "one") or process.poll() is not None, 90)
        process.send_signal(getattr(signal, name))
        assert process.wait(60) == 11
        wait_for("end of all processes", lambda: not marked(folder), GONE_WITHIN_S)
    said = (folder / "said").read_text()
    assert "batch all, seed 7: 0 of 3 runs are finished. The same command goes on from there." in said
    assert "interrupted; " in said
    assert "3 runs: none ended; 3 not made." in (folder / "summary.md").read_text()
    root = ElementTree.parse(folder / "junit.xml").getroot()
    assert (root.get("tests"), root.get("errors")) == ("1", "1"), "runs not made are no pass"
    assert json.loads((folder / "results" / "last.json").read_text())["left"] == 3


@pytest.mark.slow
def test_left_alone_it_ends_with_the_same_rows(folder: Path) -> None:
    done = lab(folder, *COMMAND)
    assert which(folder) == WHOLE, done.stderr
    assert [len(runs(folder, name)) for name in NAMES] == [1, 1, 1]
    assert re.search(r"^3 runs: ", done.stdout, re.MULTILINE)
