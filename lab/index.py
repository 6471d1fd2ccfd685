"""All runs below a folder as one table: a row per experiment, arm and leader placement."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from lab.measurements import Measurements
from lab.results import Run

HEAD = (
    "experiment",
    "leaders in",
    "arm",
    "seeds",
    "verdict",
    "blast radius",
    "longest outage there",
    "collateral, region-seconds",
    "acknowledged writes lost",
)


def runs(folder: Path) -> list[Run]:
    """Every judged run below `folder`, the oldest first."""
    found = [Run(path.parent) for path in folder.rglob("verdict.json") if (path.parent / "plan.json").is_file()]
    return sorted(found, key=lambda run: (run.path.name, str(run.path)))


def table(found: Sequence[Run]) -> list[tuple[str, ...]]:
    """Rows under `HEAD`; of runs with equal seeds the newest counts."""
    groups: dict[tuple[str, str, str], dict[int, Run]] = defaultdict(dict)
    for run in found:
        groups[str(run.plan["experiment"]), str(run.plan["leaders_in"]), run.arm][run.seed] = run
    return [(*key, *_row(list(group.values()))) for key, group in sorted(groups.items())]


def _row(group: list[Run]) -> tuple[str, ...]:
    measured = [run.measurements for run in group if run.verdict.verdict != "unknown"]
    words = Counter(run.verdict.verdict for run in group)
    seeds = ", ".join(str(seed) for seed in sorted(run.seed for run in group))
    return (
        seeds,
        ", ".join(f"{count} × {word}" for word, count in words.items()),
        _blast(measured),
        _spread([_longest_s(one) for one in measured], "s"),
        _spread([one.blast_radius.collateral_region_seconds for one in measured if one.blast_radius]),
        _spread([float(one.durability.lost) for one in measured if one.durability and one.durability.lost is not None]),
    )


def _blast(measured: Sequence[Measurements]) -> str:
    """`us (put 3/3, watch 1/3)`: in how many runs a region fell, by operation kind."""
    fell: Counter[tuple[str, str]] = Counter(
        (region, kind)
        for one in measured
        if one.blast_radius
        for region, kinds in one.blast_radius.kinds.items()
        for kind in kinds
    )
    if not fell:
        return "empty" if measured else "–"
    regions = dict.fromkeys(region for one in measured if one.blast_radius for region in one.blast_radius.regions)
    return "; ".join(
        f"{region} ({', '.join(f'{kind} {n}/{len(measured)}' for (r, kind), n in fell.items() if r == region)})"
        for region in regions
    )


def _longest_s(one: Measurements) -> float:
    """The longest availability outage of a region in the blast radius; 0 when it is empty."""
    fell = one.blast_radius.kinds if one.blast_radius else {}
    spans = [o.end_s - o.onset_s for o in one.outages if o.kind == "availability" and o.cut in fell.get(o.region, [])]
    return max(spans, default=0.0)


def _spread(values: Sequence[float], unit: str = "") -> str:
    """`median (least–most)`."""
    if not values:
        return "–"
    unit = f" {unit}" if unit else ""
    if min(values) == max(values):
        return f"{values[0]:.3g}{unit}"
    return f"{median(values):.3g}{unit} ({min(values):.3g}–{max(values):.3g})"


def as_data(rows: Sequence[tuple[str, ...]], about: str) -> dict[str, Any]:
    """The table for a file."""
    return {"about": about, "head": list(HEAD), "rows": [list(row) for row in rows]}


def about(found: Sequence[Run]) -> str:
    """On what the runs were made, from their own environment.json."""
    return f"{len(found)} runs on {'; '.join(sorted({_host(run.environment) for run in found if run.environment}))}."


def _host(environment: dict[str, Any]) -> str:
    host = environment["host"]
    programs = [f"{name} {binary['version']}" for name, binary in environment["binaries"].items()]
    memory_gib = round(host["memory_mib"] / 1024)
    return f"{host['cores']} cores, {memory_gib} GiB, {host['system'].split()[0]}, {', '.join(programs)}"
