"""What people name when they compare: runs, and folders that hold runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.errors import Refused
from lab.repeats import gather
from lab.results import Run

Given = str | Path | Sequence[str | Path]


def found(given: Given, say: Callable[[str], None]) -> list[Run]:
    """The runs, as given; those of a folder by their directories' names, so the newest last. Each once.

    given: paths, or one text with commas between them. say: told of each run of a folder that can't be
    read. Raises Refused for a path that is neither a run nor a folder with any.
    """
    runs: dict[Path, Run] = {}
    for path in _paths(given):
        for run in [Run.at(path)] if (path / "plan.json").is_file() else _below(path, say):
            runs.setdefault(run.path.resolve(), run)
    return list(runs.values())


def _paths(given: Given) -> list[Path]:
    if isinstance(given, str):
        given = [part.strip() for part in given.split(",") if part.strip()]
    return [given] if isinstance(given, Path) else [Path(path) for path in given]


def _below(folder: Path, say: Callable[[str], None]) -> list[Run]:
    """Judged runs only: of a run that died a folder tells nothing that a reader asked for."""
    paths = [Path(path) for path, _, files in os.walk(folder) if {"plan.json", "verdict.json"} <= set(files)]
    if not paths:
        raise Refused(f"{folder} is neither a run nor a folder that holds any: expected plan.json in it or below it.")
    good = []
    for path in sorted(paths, key=lambda path: (path.name, str(path))):
        try:
            gather.together([Run(path)])
        except Refused as refused:
            say(f"left out: {refused}")
        else:
            good.append(Run(path))
    return good
