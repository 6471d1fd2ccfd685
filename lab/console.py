"""Runs as a person at a terminal, a log or a machine sees them: the host of `series`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from lab import batch, ledger, report
from lab.batch import Outcome
from lab.errors import LabError, told
from lab.plan import Plan
from lab.results import Run
from lab.screen import Screen

PAGES = ("notebook.ipynb", "report.html")


class ConsoleHost:
    """as_json: progress as JSON lines on stdout, and no words."""

    def __init__(self, out: Console, errors: Console, *, as_json: bool = False) -> None:
        self._out, self._errors, self._json = out, errors, as_json

    def announce(self, number: int, of: int, this: Plan, left_s: float) -> None:
        if self._json:
            said = {"what": "run", "number": number, "of": of, "left_s": round(left_s), "run": ledger.words(this)}
            print(json.dumps(said), flush=True)
        elif of == 1:
            self._say(*this.sentences())
        else:
            self._say(f"{number} of {of}: {ledger.words(this)} — {duration(left_s)} left")

    def execute(self, this: Plan, began: Callable[[Path], None]) -> Outcome:
        with Screen(self._out, this.expected_s, as_json=self._json) as screen:
            return batch.execute(this, screen.update, screen.say, began)

    def outlast(self, directory: Path) -> None:
        batch.outlast(directory, self._aside)

    def adopt(self, this: Plan, directory: Path) -> Outcome | None:
        found = batch.adopt(this, directory, self._aside)
        where = batch.as_seen_from_here(directory)
        self._aside(f"{where} ended by itself: adopted." if found else f"{where} was cut short; it is made again.")
        return found

    def ended(self, outcome: Outcome) -> None:
        if self._json:
            return
        run = Run(Path(outcome.path))
        self._out.print()
        self._out.print(report.text(run, self._out.width))
        for name in PAGES:
            if (run.path / name).exists():
                self._say(f"{name.split('.')[0]}: {batch.as_seen_from_here(run.path / name)}")
        self._out.print()

    def failed(self, error: LabError | OSError) -> None:
        self._errors.print(told(error)[0], style="bold red", soft_wrap=True, markup=False)

    def _say(self, *lines: str) -> None:
        self._out.print("\n".join(lines), soft_wrap=True, markup=False)

    def _aside(self, sentence: str) -> None:
        self._errors.print(sentence, soft_wrap=True, markup=False)


def duration(seconds: float) -> str:
    """`about 14 min`, `about 2 h 5 min`."""
    minutes = max(1, round(seconds / 60))
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min" if hours else f"about {minutes} min"
