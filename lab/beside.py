"""Comparisons as commands make them: told on a terminal or as JSON lines, kept, drawn.

`results/<experiment>/comparisons/<name>/` holds `comparison.json`, `compare.ipynb` and
`compare.html`. The name comes from the runs, so comparing the same ones again replaces what was
there. How arms are compared is for `comparison`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lab import batch, plan, render
from lab.comparison import controls, gather, overview, pairing, tables
from lab.comparison.gather import Compared
from lab.errors import LabError, Refused, told
from lab.results import Run, comparison_directory, write_json

NUMBERS = "comparison.json"


class Beside:
    """Says comparisons: as_json, as a line each on stdout, and no words."""

    def __init__(self, out: Console, errors: Console, *, as_json: bool = False) -> None:
        self._out, self._errors, self._json = out, errors, as_json

    def say(self, runs: Sequence[Run], *, in_full: bool = True, pages: bool = True) -> list[Compared]:
        """Compare, keep and say what several arms were asked; what only one was is named.

        in_full: each question by itself, else all as one table; pages: also draw notebook and page.
        Raises Refused where nothing can be set beside anything, OSError.
        """
        candidates = [*runs, *controls.found_below(plan.home() / "results", runs)]
        questions = pairing.questions(runs)
        found = [gather.compare(question, candidates) for question in questions if len(question.arms) > 1]
        used = {run.path.resolve() for one in found for of_arm in one.controls.values() for run in of_arm}
        lonely = [sentence for one in questions if len(one.arms) < 2 for sentence in pairing.alone(one, used)]
        if not found:
            raise Refused(f"no two runs can be set beside each other: {' '.join(lonely) or 'there is none.'}")
        for sentence in lonely:
            self._errors.print(sentence, soft_wrap=True, markup=False)
        kept = [(one, keep(one)) for one in found]
        for one, directory in kept:
            self._tell(one, directory, in_full=in_full, pages=pages)
        if not (self._json or in_full):
            self._out.print(overview.text([one.data for one in found], self._out.width))
        return found

    def _tell(self, found: Compared, directory: Path, *, in_full: bool, pages: bool) -> None:
        if in_full and not self._json:
            self._out.print(tables.text(found, self._out.width))
        paths = [directory / NUMBERS]
        try:
            paths += draw(found, directory) if pages else []
        except (LabError, OSError) as error:  # the numbers count, not their drawing
            self._errors.print(told(error)[0], soft_wrap=True, markup=False)
        if self._json:
            named = {"path": paths[0], **dict(zip(("notebook", "page"), paths[1:], strict=False))}
            print(json.dumps({"what": "comparison", **{name: str(path) for name, path in named.items()}}), flush=True)
        elif in_full:
            for name, path in zip(("comparison", "notebook", "page"), paths, strict=False):
                self._out.print(f"{name}: {batch.as_seen_from_here(path)}", soft_wrap=True, markup=False)
            self._out.print()


def keep(found: Compared) -> Path:
    """Write the numbers; the directory they are in. Raises OSError."""
    directory = comparison_directory(plan.home() / "results", found.data.experiment, _name(found))
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / NUMBERS, found.data.model_dump(mode="json"))
    return directory


def draw(found: Compared, directory: Path) -> list[Path]:
    """Notebook and page, beside the numbers. Raises RunBroken."""
    runs = [*found.given, *(run for of_arm in found.controls.values() for run in of_arm)]
    parameters = {
        "runs": [batch.as_seen_from_here(run.path.resolve()) for run in runs],
        "experiment": found.data.experiment,
        "arms": ", ".join(found.data.arms),
    }
    render.draw(directory, parameters, render.COMPARISON)
    return [directory / render.COMPARISON.notebook, directory / render.COMPARISON.page]


def _name(found: Compared) -> str:
    """`20261123T101500Z-s1-k3-1a2b3c`: when the last run began, seeds, and which runs these are."""
    data = found.data
    places = sorted(run.run for arm in data.arms.values() for run in arm.runs)
    newest = max(place.rpartition("/")[2].rpartition("-s")[0] for place in places)
    seeds = f"s{data.seeds[0]}" if data.seeds else "none"
    many = f"-k{len(data.seeds)}" if len(data.seeds) > 1 else ""
    which = hashlib.sha256("\n".join([data.leaders_in, *places]).encode()).hexdigest()[:6]
    return f"{newest}-{seeds}{many}-{which}"
