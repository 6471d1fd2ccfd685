"""What the commands that make runs share: from what is planned to the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lab import batch, outcomes, series
from lab.batch import Outcome
from lab.beside import Beside
from lab.ci_files import CiFiles
from lab.console import ConsoleHost, duration
from lab.errors import LabError, told
from lab.ledger import Keeps
from lab.plan import Plan
from lab.repeats import record, tables
from lab.results import Run
from lab.series import Keep


class Many:
    """Planned runs, made or only told of, on a terminal or as JSON lines."""

    def __init__(self, planned: list[Plan], out: Console, errors: Console, *, as_json: bool) -> None:
        self._planned, self._out, self._errors, self._json = planned, out, errors, as_json

    def say(self) -> None:
        """What would be done."""
        for this in self._planned:
            if self._json:
                print(json.dumps(this.as_json(), sort_keys=True))
            else:
                self._out.print("\n".join(this.sentences()))
        if len(self._planned) > 1 and not self._json:
            in_all = duration(sum(this.expected_s for this in self._planned))
            self._out.print(f"{len(self._planned)} runs: {in_all} in all.")

    def make(self, keeps: Keeps, written: CiFiles, *tell: Keep, table: bool, in_full: bool = True) -> int:
        """Make every run that is not finished; the exit code of them all.

        tell: also told after each run; in_full: arms are compared question by question, each with a page.
        """

        def keep(ended: Sequence[Outcome], left: int) -> None:
            batch.save(ended, left)
            for one in (written.keep, *tell):
                one(ended, left)

        host = ConsoleHost(self._out, self._errors, as_json=self._json)
        try:
            ended = series.conduct(self._planned, host, keeps, keep)
        finally:
            written.close()
        code = batch.save(ended)
        self._say_repeats(ended)
        self._say_comparisons(ended, in_full=in_full)
        if self._json:
            print(json.dumps({"what": "outcomes", "exit_code": code, "runs": [vars(one) for one in ended]}))
        elif table:
            self._out.print(outcomes.text(ended))
        return code

    def _say_repeats(self, ended: Sequence[Outcome]) -> None:
        """What runs that differ in their seed only came to together; kept beside them as data."""
        try:
            for found, path in record.record(Run(Path(one.path)) for one in ended if one.path):
                if self._json:
                    print(json.dumps({"what": "repeats", "path": str(path)}))
                    continue
                self._out.print(tables.text(found, self._out.width))
                self._out.print(f"repeats: {batch.as_seen_from_here(path)}\n", soft_wrap=True, markup=False)
        except (LabError, OSError) as error:  # the runs and their verdicts count, whatever becomes of this table
            self._errors.print(told(error)[0], soft_wrap=True, markup=False)

    def _say_comparisons(self, ended: Sequence[Outcome], *, in_full: bool) -> None:
        """Arms beside each other, where a question was put to several."""
        asked = [(this.experiment.name, this.experiment.leaders_in, this.topology.name) for this in self._planned]
        arms = {(*which, this.arm.text) for which, this in zip(asked, self._planned, strict=True)}
        if len(arms) == len(set(asked)):
            return
        beside = Beside(self._out, self._errors, as_json=self._json)
        try:
            beside.say([Run(Path(one.path)) for one in ended if one.path], in_full=in_full, pages=in_full)
        except (LabError, OSError) as error:  # nor does this change a verdict
            self._errors.print(told(error)[0], soft_wrap=True, markup=False)
