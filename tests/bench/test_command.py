"""The command: what it takes, where it writes, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lab import reaper
from lab.bench import conduct
from lab.bench.__main__ import new_directory, parsed
from lab.bench.lines import Line, alone
from lab.bench.sizes import QUICK, Sizes
from lab.errors import NodeNotReady, Refused

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["--rows", "3,1"], [1, 3]),
        (["--rows=2,2,"], [2]),
        (["--rows", ""], [1, 2, 3, 4, 5, 6]),
    ],
)
def test_rows(arguments: list[str], rows: list[int]) -> None:
    assert parsed(arguments).rows == rows


@pytest.mark.parametrize("arguments", [["--rows", "7"], ["--rows", "one"], ["--slow"], ["extra"]])
def test_what_cannot_be_meant(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(arguments)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


def test_two_of_one_second_have_two_folders(tmp_path: Path) -> None:
    assert new_directory(tmp_path / "bench") != new_directory(tmp_path / "bench")


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(Refused, match="can't be written"):
        new_directory(tmp_path / "results" / "bench")


def _made(monkeypatch: pytest.MonkeyPatch, row: int, how: Callable[[], list[Line]]) -> None:
    async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
        (directory / "data").mkdir(parents=True)
        return how()

    module = sys.modules[__name__]
    monkeypatch.setattr(module, f"measure_{row}", measure, raising=False)
    monkeypatch.setitem(conduct.ROWS, row, f"{__name__}:measure_{row}")


ABOUT = "a row of this test"


def test_what_is_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that breaks is told, and the next one is measured all the same."""

    def breaks() -> list[Line]:
        raise NodeNotReady("node one-1 ended while starting")

    _made(monkeypatch, 1, breaks)
    _made(monkeypatch, 2, lambda: [alone(2, "p50", 1.0, "ms", at_most=2.0)])
    monkeypatch.setattr(conduct.about, "about", lambda say: {})
    monkeypatch.setattr(conduct.about, "sentences", lambda told: ["a machine"])
    also = tmp_path / "also.json"
    bench = asyncio.run(conduct.conduct([1, 2], QUICK, tmp_path, also, lambda what: None))
    assert bench.broken == [1]
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept == json.loads(also.read_text())
    assert [line["met"] for line in kept["lines"]] == [None, True]
    assert "node one-1 ended" in kept["lines"][0]["what"]
    assert kept["sizes"]["in_flight"] == 500
    assert set(kept["took_s"]) == {"1", "2"}
    assert "p50" in (tmp_path / "bench.md").read_text()
    assert list((tmp_path / conduct.NODES).iterdir()) == []


def test_a_row_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
        await asyncio.sleep(60)
        return []

    _made(monkeypatch, 2, lambda: [alone(2, "p50", 1.0, "ms", at_most=2.0)])
    monkeypatch.setattr(sys.modules[__name__], "measure_1", hangs, raising=False)
    monkeypatch.setitem(conduct.ROWS, 1, f"{__name__}:measure_1")
    monkeypatch.setattr(conduct, "ROW_WITHIN_S", 0.05)
    monkeypatch.setattr(conduct.about, "about", lambda say: {})
    monkeypatch.setattr(conduct.about, "sentences", lambda told: ["a machine"])
    bench = asyncio.run(conduct.conduct([1, 2], QUICK, tmp_path, None, lambda what: None))
    assert bench.broken == [1]
    assert [line.met for line in bench.lines] == [None, True]
    assert "still under way" in bench.lines[0].what


# -- the real thing ---------------------------------------------------------------------------------


def _started(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != reaper.MARK} | {"LAB_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-m", "lab.bench", *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _left(home: Path) -> list[psutil.Process]:
    return [process for process, run in reaper.marked() if run.startswith(str(home.resolve()))]


def _gone(home: Path) -> bool:
    return _until(lambda: not _left(home))


def _until(true: Callable[[], bool], within_s: float = 20.0) -> bool:
    until = time.monotonic() + within_s
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.slow
def test_quick(tmp_path: Path) -> None:
    process = _started(tmp_path, "--quick", "--json", str(tmp_path / "also.json"))
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    kept = json.loads((tmp_path / "also.json").read_text())
    assert {line["row"] for line in kept["lines"]} == {1, 2, 3, 4, 5, 6}
    assert kept["not_measured"] == []
    assert len([line for line in kept["lines"] if line["bar"]]) == 17
    assert re.search(r"nats-server\s+2\.\d+\.\d+", out)  # lines are folded where the words before leave no room
    [directory] = (tmp_path / "results" / "bench").iterdir()
    assert {path.name for path in directory.iterdir()} == {"bench.json", "bench.md"}
    assert _gone(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle_nothing_stays(tmp_path: Path, how: signal.Signals) -> None:
    process = _started(tmp_path, "--quick", "--rows", "6")
    assert process.stderr is not None
    for line in process.stderr:
        if "warming up" in line:
            break
    assert len(_left(tmp_path)) >= 2  # itself, and a node
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    assert _gone(tmp_path)
    [directory] = (tmp_path / "results" / "bench").iterdir()
    assert _until(lambda: not (directory / conduct.NODES).exists())
