"""All runs below a folder as one table: a row per experiment, arm and leader placement."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from lab.errors import Refused, UnknownName
from lab.repeats import gather, tables, words
from lab.repeats.model import Repeats, Spread
from lab.report.words import NOT_MEASURED
from lab.results import Run

HEAD = (
    "experiment",
    "topology",
    "leaders in",
    "arm",
    "seeds",
    "verdict",
    "blast radius",
    "survivors' worst availability in fault",
    "out after fault",
    "longest outage there",
    "recovered after heal",
    "stale reads, p50",
    "collateral, region-seconds",
    "acknowledged writes lost, per run",
)
WHICH = 6  # columns that say which runs a row is of; a terminal folds them into one
SHORT = {
    "survivors' worst availability in fault": "worst survivor in fault",
    "longest outage there": "longest outage",
    "recovered after heal": "back after heal",
    "stale reads, p50": "stale p50",
    "collateral, region-seconds": "collateral, region-s",
    "acknowledged writes lost, per run": "lost per run",
}
WIDE = 110  # columns; below, these are left out
WIDE_ONLY = ("recovered after heal", "stale reads, p50", "collateral, region-seconds")
NOTE = f"Survivors: regions no fault named, in each run the worst of them. Numbers: {words.LEGEND}"


def runs(folder: Path) -> list[Run]:
    """Every judged run below `folder`, the oldest first; also folders that can't be looked into, as
    `readable` names them. Raises UnknownName when there is no such folder."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        raise UnknownName(f"{folder} is no folder that can be read; give one that holds runs, or none for results/.")
    closed: list[Path] = []
    walk = os.walk(folder, onerror=lambda error: closed.append(Path(error.filename)))
    judged = [Path(path) for path, _, files in walk if {"verdict.json", "plan.json"} <= set(files)]
    return sorted(map(Run, [*judged, *closed]), key=lambda run: (run.path.name, str(run.path)))


def readable(found: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """The runs today's lab can read, and a sentence on each it can't."""
    good, sentences = [], []
    for run in found:
        try:
            gather.together([run])
        except Refused as refused:
            sentences.append(f"left out: {refused}")
        else:
            good.append(run)
    return good, sentences


def table(found: Sequence[Run]) -> list[tuple[str, ...]]:
    """Rows under `HEAD`; of runs with equal seeds the newest counts."""
    return [_row(gather.together(group)) for group in gather.groups(found)]


def text(rows: Sequence[tuple[str, ...]], width: int) -> RenderableType:
    """The table for a terminal: what tells which runs they are stands in one column."""
    kept = [index for index in range(WHICH, len(HEAD)) if width >= WIDE or HEAD[index] not in WIDE_ONLY]
    head = ["runs", *(SHORT.get(HEAD[index], HEAD[index]) for index in kept)]
    folded = [[_which(row), *(row[index] for index in kept)] for row in rows]
    return Group(tables.table(head, folded, width, whole=1, gap=1), Text(NOTE, style="dim"))


def _which(row: tuple[str, ...]) -> str:
    experiment, topology, leaders_in, arm, seeds, verdict = row[:WHICH]
    return "\n".join((experiment, topology, f"leaders {leaders_in}", arm, f"seeds {seeds}", *verdict.split(", "), ""))


def markdown(found: Sequence[Run]) -> str:
    """The table, then region × operation of every row that has several runs."""
    repeated = [tables.markdown(gather.together(group)) for group in gather.groups(found) if len(group) > 1]
    return "\n\n".join([tables.pipes(HEAD, table(found)), NOTE, *repeated])


def _row(one: Repeats) -> tuple[str, ...]:
    of, survivors = len(one.seeds), one.survivors

    def said(spread: Spread | None, unit: str = "s") -> str:
        return words.full(spread, of, unit=unit)

    return (
        one.experiment,
        one.topology,
        one.leaders_in,
        one.arm,
        words.seeds_said(sorted([*one.seeds, *(left_out.seed for left_out in one.unknown)])),
        ", ".join(f"{count} × {word}" for word, count in one.verdicts.items()),
        _blast(one),
        words.full(survivors.availability_in_fault, of, words.share, unit="%"),
        said(survivors.out_after_s) if one.blast_radius or not of else "never",
        said(one.longest_outage_s),
        said(survivors.recovery_s),
        said(survivors.staleness_p50_s),
        said(one.collateral_region_seconds, ""),
        said(one.writes_lost, ""),
    )


def _blast(one: Repeats) -> str:
    """`us (put 3/3, watch 1/3)`: in how many runs a region fell, by operation kind."""
    if not one.seeds:
        return NOT_MEASURED
    regions = [
        f"{region} ({', '.join(f'{kind} {n}/{len(one.seeds)}' for kind, n in fell.kinds.items())})"
        for region, fell in one.blast_radius.items()
    ]
    return "; ".join(regions) or "empty"


def as_data(rows: Sequence[tuple[str, ...]], about: str) -> dict[str, Any]:
    """The table for a file."""
    return {"about": about, "head": list(HEAD), "rows": [list(row) for row in rows]}


def about(found: Sequence[Run]) -> str:
    """How many runs the table counts, and on what they were made, from their own environment.json."""
    counted = [run for group in gather.groups(found) for run in group]
    hosts = sorted({_host(run.environment) for run in counted if run.environment})
    return f"{len(counted)} runs on {'; '.join(hosts)}."


def _host(environment: dict[str, Any]) -> str:
    host = environment["host"]
    programs = [f"{name} {binary['version']}" for name, binary in environment["binaries"].items()]
    memory_gib = round(host["memory_mib"] / 1024)
    return f"{host['cores']} cores, {memory_gib} GiB, {host['system'].split()[0]}, {', '.join(programs)}"
