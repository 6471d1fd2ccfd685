"""A notebook, of one run or of a comparison, executed and exported in a child process.

A process of its own keeps papermill's second of imports and its threads out of the command line,
and can be ended at once. `python -m lab.render` reads one JSON object from stdin.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lab import plan, reaper
from lab.errors import LabError, RunBroken

MARK = "ISOLATION_LAB_RENDER"


@dataclass(frozen=True)
class Sheet:
    """A notebook in notebooks/, and what it is called once executed and once exported."""

    source: str
    notebook: str
    page: str


RUN = Sheet("isolation.ipynb", "notebook.ipynb", "report.html")
COMPARISON = Sheet("compare.ipynb", "compare.ipynb", "compare.html")
NOTEBOOK, PAGE = RUN.notebook, RUN.page


def draw(directory: Path, parameters: Mapping[str, Any], sheet: Sheet = RUN) -> None:
    """Execute and export a notebook to its end. Raises RunBroken with what it said last."""
    child = start(directory, parameters, sheet)
    assert child.stderr is not None
    try:
        last_words = child.stderr.read().strip()
        ended = child.wait()
    except BaseException:  # Ctrl-C
        child.terminate()
        raise
    if ended != 0:
        raise RunBroken(last_words or "the report could not be drawn.")


def start(directory: Path, parameters: Mapping[str, Any], sheet: Sheet = RUN) -> subprocess.Popen[str]:
    """Begin executing a notebook into a directory; stderr tells what went wrong."""
    job = {
        "notebook": str(plan.home() / "notebooks" / sheet.source),
        "executed": str(directory / sheet.notebook),
        "page": str(directory / sheet.page),
        "parameters": dict(parameters),
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "lab.render"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, MARK: str(directory.resolve()), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(job))
    child.stdin.close()
    return child


def running(directory: Path) -> bool:
    """Whether a notebook is still at work in `directory`: one that is about to begin the run, watches
    it or draws it, perhaps for a process that is gone."""
    for process, _ in reaper.marked(directory.resolve(), MARK):  # servers inherit the mark, too
        with contextlib.suppress(psutil.Error):
            if "lab.render" in process.cmdline():
                return True
    return False


def main() -> int:
    from lab import notebook  # loads papermill and nbconvert

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that files are cleaned up
    job = json.load(sys.stdin)
    executed, page = Path(job["executed"]), Path(job["page"])
    try:
        notebook.execute(Path(job["notebook"]), executed, job["parameters"])
        notebook.export(executed, page)
    except LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"the report can't be written to {page.parent}: {error.strerror}.", file=sys.stderr)
        return LabError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
