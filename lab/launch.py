"""Starts the run's child process and stays with it to its end.

The child lives in a session of its own and holds the other end of a pipe: when this process (a
notebook kernel, most often) dies, the child notices, heals, and judges the run `unknown`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lab import judge, plan
from lab.errors import RunBroken
from lab.plan import Plan
from lab.reaper import MARK, running
from lab.results import Run, new_directory

POLL_S = 0.2
HEAL_WITHIN_S = 20.0

Watch = Callable[[Mapping[str, Any]], None]


def prepare(this: Plan, directory: str | Path = "", say: Callable[[str], None] = print) -> Path:
    """Everything that can still be refused, then the run's directory with its plan in it.

    Raises Refused (also BinaryMissing) before anything is written.
    """
    plan.programs_of(this, say)
    if directory:
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
    else:
        path = new_directory(plan.home() / "results", this.experiment.name, this.arm.slug, this.seed)
    this.save(path)
    return path.resolve()


def drive(directory: Path, watch: Watch) -> Run:
    """Run what is planned in `directory` in a child process; returns when it is judged.

    watch: called with each line of progress. Raises RunBroken when the child died unjudged.
    """
    with (directory / "runner.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "lab.runner", str(directory)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, MARK: str(directory), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
    progress = Progress(directory)
    try:
        while child.poll() is None:
            time.sleep(POLL_S)
            for line in progress.new():
                watch(line)
    finally:  # also when interrupted: closing the lifeline makes the child heal and finish
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(HEAL_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()  # the reaper takes the rest
    for line in progress.new():
        watch(line)
    return finished(directory)


def finished(directory: Path) -> Run:
    """The judged run; one whose runner died is judged from what it left. Raises RunBroken."""
    run = Run.at(directory)
    if run.judged:
        return run
    if running(directory):
        raise RunBroken(f"the run in {directory} is still being healed and judged; look again in a moment.")
    log = directory / "runner.log"
    last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    try:
        return judge.judge(directory)
    except Exception as error:  # one run that can't be judged, for a bug of ours too, stops no other
        raise RunBroken(f"the run died: {'; '.join(last) or error} What was recorded is in {directory}.") from error


class Progress:
    """Reads the lines of progress.jsonl as they come."""

    def __init__(self, directory: Path) -> None:
        self._path, self._read = directory / "progress.jsonl", 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Whole lines that were not there before."""
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                yield json.loads(line)
