"""Whole runs of the command line in a folder of their own, and what they may leave behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lab import reaper

ROOT = Path(__file__).resolve().parents[2]
GONE_WITHIN_S = 15.0
PAIR = """\
about: Two regions of one node each.
regions:
  a: {nodes: 1}
  b: {nodes: 1}
rtt_ms: {a-b: 20}
"""
SHORT = """\
question: What is left of a run that dies?
topology: pair
workload: {kv: {rate_per_s: 25, keys: 20, groups: 5}}
leaders_in: any
phases: {steady_s: 4, fault_s: 4, recovery_s: 4}
faults:
  - latency: {region: b, add_ms: 50}
hypothesis: [isolation, durability]
"""


def home(folder: Path, experiment: str = SHORT) -> Path:
    """A LAB_HOME with one tiny topology and one short experiment."""
    for name in ("experiments", "topologies", "results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "topologies" / "pair.yaml").write_text(PAIR)
    (folder / "experiments" / "short.yaml").write_text(experiment)
    if not (folder / "notebooks").exists():
        (folder / "notebooks").symlink_to(ROOT / "notebooks")
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != reaper.MARK}
    return {**kept, "LAB_HOME": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200", **more}


def lab(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`lab …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=ROOT,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@dataclass
class Underway:
    """A run that was started and has not ended."""

    folder: Path
    process: subprocess.Popen[str]

    @property
    def directory(self) -> Path:
        found = list(self.folder.glob("results/*/*/*/plan.json"))
        return found[0].parent if found else Path("/nonexistent")

    def progress(self) -> list[dict[str, Any]]:
        path = self.directory / "progress.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def reach(self, phase: str, within_s: float = 90) -> None:
        """Return when the run is a second into the phase."""
        wait_for(f"phase {phase}", lambda: self._in(phase) or self.process.poll() is not None, within_s)
        assert self._in(phase), f"it ended instead: {self.process.communicate()}"
        time.sleep(1)

    def _in(self, phase: str) -> bool:
        return any(line["what"] == "phase" and line["phase"] == phase for line in self.progress())

    def members(self) -> dict[int, list[str]]:
        """Every process of the run: those that carry its mark."""
        found = {}
        for process, _ in reaper.marked(self.directory):
            try:
                found[process.pid] = process.cmdline()
            except psutil.Error:
                continue
        return found

    def one(self, word: str) -> int:
        """The pid of the only process of the run whose command line holds a word."""
        [pid] = [pid for pid, command in self.members().items() if any(word in part for part in command)]
        return pid

    def kernel(self) -> int:
        """The notebook's kernel: the runner's parent."""
        kernel = psutil.Process(self.one("lab.runner")).parent()
        assert kernel is not None and "ipykernel_launcher" in " ".join(kernel.cmdline())
        return kernel.pid

    def ports(self) -> set[int]:
        """Every port something of the run listens on."""
        found = set()
        for pid in self.members():
            try:
                for connection in psutil.Process(pid).net_connections(kind="tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        found.add(connection.laddr.port)
            except psutil.Error:
                continue
        return found


@contextmanager
def underway(folder: Path, *command: str, **more: str) -> Iterator[Underway]:
    """A run in a session of its own; whatever happens, it does not outlive the test."""
    arguments = command or (sys.executable, "-m", "lab", "run", "short")
    with subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        run = Underway(folder, process)
        try:
            yield run
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            if run.directory.exists():
                time.sleep(0.5)
                reaper.reap(run.directory)


def wait_for(what: str, condition: Callable[[], Any], within_s: float) -> float:
    """Seconds until the condition was met; fails after `within_s`."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < within_s:
        if condition():
            return time.monotonic() - begun_s
        time.sleep(0.1)
    raise AssertionError(f"no {what} within {within_s} s")


def nothing_left(run: Underway, ports: set[int], within_s: float = GONE_WITHIN_S) -> None:
    """No process of the run, no port of it, no data of its nodes."""
    assert ports, "the run never listened: this test would prove nothing"

    def listening() -> set[int]:
        """Another run may have been given the same ports by now."""
        others = {process.pid for process, mark in reaper.marked() if mark != str(run.directory)}
        return {
            connection.laddr.port
            for connection in psutil.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN and connection.pid not in others
        } & ports

    wait_for("end of all processes and ports", lambda: not run.members() and not listening(), within_s)
    wait_for("end of the nodes' data", lambda: not (run.directory / "nodes").exists(), 5)


def code_of(verdict: dict[str, Any]) -> int:
    """The exit code that goes with a verdict."""
    return 11 if verdict["verdict"] == "unknown" else 0 if verdict["as_expected"] else 10


def verdict_of(directory: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((directory / "verdict.json").read_text())
    return value
