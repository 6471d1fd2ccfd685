"""The lifeline's other end: when the runner is gone, however it went, nothing stays behind.

Started by the runner in a session of its own; its stdin is a pipe whose other end only the runner
holds. When that closes (normal end, exception, SIGKILL), every process that carries the run's
mark is killed. The mark is in the environment, so nothing started in the last moment is missed.
Containers and networks carry it as a label; the engine is asked only where the run had one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "ISOLATION_LAB_RUN"
RUNNERS = {"lab.runner", "lab.smoke", "lab.bench"}
CLEAN_ROUNDS, ROUND_S, AT_MOST_S = 3, 0.2, 120.0
CLEAN_WITHIN_S = 30.0


@dataclass(frozen=True)
class Ended:
    """What was left of runs that are dead, and is gone now."""

    processes: int = 0
    containers: int = 0
    networks: int = 0


def start(directory: Path) -> subprocess.Popen[bytes]:
    """Start the reaper of the run in `directory`; keep what is returned, close its stdin to end."""
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    return subprocess.Popen(
        [sys.executable, "-m", "lab.reaper", str(directory), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )


def marked(directory: Path | None = None, mark: str = MARK) -> Iterator[tuple[psutil.Process, str]]:
    """Living processes of one run, or of any run, with the run they belong to."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            run = process.environ().get(mark, "")
            if run and (directory is None or run == str(directory)) and process.status() != psutil.STATUS_ZOMBIE:
                yield process, run


def reap(directory: Path, spare: int = 0) -> int:
    """Kill every process of the run but `spare`, until none is seen several times; how many."""
    killed: set[int] = set()
    clean, deadline = 0, time.monotonic() + AT_MOST_S
    while clean < CLEAN_ROUNDS and time.monotonic() < deadline:
        victims = [process for process, _ in marked(directory) if process.pid not in (spare, os.getpid())]
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                victim.kill()
                killed.add(victim.pid)
        clean = 0 if victims else clean + 1
        time.sleep(ROUND_S)
    shutil.rmtree(directory / "nodes", ignore_errors=True)
    return len(killed)


def running(directory: Path) -> bool:
    """Whether the run in `directory` is still under way."""
    return any(_is_runner(process) for process, _ in marked(directory.resolve()))


def _is_runner(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return not RUNNERS.isdisjoint(process.cmdline())
    return False


def clean() -> Ended:
    """Reap every run whose runner is gone, and what this user's dead runs left with the engine."""
    living: set[str] = set()
    runs: set[str] = set()
    for process, run in marked():
        runs.add(run)
        if _is_runner(process):
            living.add(run)
    processes = sum(reap(Path(run)) for run in runs - living)
    containers, networks = _of_dead_runs(living)
    return Ended(processes, containers, networks)


def _of_dead_runs(living: set[str]) -> tuple[int, int]:
    """(containers, networks) removed; none where no engine answers."""
    from lab.runtimes.docker import engine, leftovers

    if not engine.answers():
        return 0, 0
    client = engine.connected()
    try:
        dead = [run for run in leftovers.dead_runs(client, os.getuid()) if str(run) not in living]
    finally:
        client.close()
    gone = [leftovers.remove_in_time(run, CLEAN_WITHIN_S) for run in dead]
    return sum(one.containers for one in gone), sum(one.networks for one in gone)


def _had_an_engine(directory: Path) -> bool:
    """Asked while the run begins: its directory may be gone when it has ended."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return bool(json.loads((directory / "plan.json").read_text(encoding="utf-8")).get("runtime") == "docker")
    return False


def _containers(directory: Path) -> None:
    """Until nothing more is found; the engine may be away for a while. Loads its library only here."""
    from lab.runtimes.docker.leftovers import remove_in_time

    remove_in_time(directory, AT_MOST_S)


def main() -> None:
    directory, runner = Path(sys.argv[1]), int(sys.argv[2])
    had_an_engine = _had_an_engine(directory)
    sys.stdin.buffer.read()  # returns when the runner is gone
    reap(directory, spare=runner)
    if had_an_engine:
        _containers(directory)


if __name__ == "__main__":
    main()
