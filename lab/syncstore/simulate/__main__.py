"""`python -m lab.syncstore.simulate`: many worlds, one line each that fails, and how to see it again.

Owns the command line and what it prints. A world's judgement is `run`'s.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import typer

from lab.syncstore.simulate.differential import pair
from lab.syncstore.simulate.run import Outcome, Run
from lab.syncstore.simulate.world import Plan, drawn

PROGRESS_EVERY_S = 2.0
QUIET_S = 60.0
"""The same where nobody watches."""


@dataclass
class Told:
    """What one world's process hands back."""

    seed: int
    harms: list[str]
    broken: list[str]
    counts: Counter[str]
    rested_ms: float
    took_s: float


def one_world(plan: Plan, differential: bool = False) -> Told:
    began = time.perf_counter()
    outcome: Outcome = pair(plan) if differential and plan.regions > 1 else Run(plan).live()
    took_s = time.perf_counter() - began
    return Told(
        plan.seed, [str(harm) for harm in outcome.harms], outcome.broken, outcome.counts, outcome.rested_ms, took_s
    )


def worlds(plans: list[Plan], jobs: int, differential: bool = False) -> Iterator[Told]:
    """In the order of the plans, as they are done."""
    if jobs <= 1 or len(plans) == 1:
        yield from (one_world(plan, differential) for plan in plans)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(one_world, plans, [differential] * len(plans), chunksize=1)


def main(
    seeds: Annotated[int, typer.Option(help="How many worlds.")] = 1000,
    first: Annotated[int, typer.Option("--from", help="The first seed.")] = 1,
    only: Annotated[int | None, typer.Option(help="This seed alone, with its harms.")] = None,
    virtual_s: Annotated[float, typer.Option(help="How long a world lives, in virtual seconds.")] = 15.0,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 2,
    regions: Annotated[int | None, typer.Option(help="Regions of a world; else as its seed has it.")] = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes of a region; else as its seed has it.")] = None,
    rate: Annotated[float, typer.Option(help="Operations a second in each region.")] = 50.0,
    differential: Annotated[
        bool, typer.Option("--differential", help="Each world twice: with harm outside one region, and without any.")
    ] = False,
) -> None:
    """Live through worlds of SyncStore in virtual time, and tell which promises broke. 1 when any did."""
    chosen = [only] if only is not None else list(range(first, first + seeds))
    shape = {name: value for name, value in (("regions", regions), ("nodes", nodes)) if value is not None}
    plans = [drawn(seed, virtual_s=virtual_s, rate_per_s=rate, **shape) for seed in chosen]
    began = time.perf_counter()
    told = list(_shown(worlds(plans, jobs, differential), len(plans)))
    failed = [one for one in told if one.broken]
    if only is not None:
        print("\n".join(told[0].harms) or "no harm")
    for one in failed:
        print(f"seed {one.seed}: {len(one.broken)} broken promises")
        for sentence in one.broken:
            print(f"    {sentence}")
        print(f"  again: {_again(one.seed, virtual_s, regions, nodes, rate, differential)}")
    _summary(told, failed, virtual_s, time.perf_counter() - began)
    raise typer.Exit(1 if failed else 0)


def _again(seed: int, virtual_s: float, regions: int | None, nodes: int | None, rate: float, differential: bool) -> str:
    given = [f"--only {seed}", *(["--differential"] if differential else [])]
    for name, value, usual in (
        ("--virtual-s", virtual_s, 15.0),
        ("--regions", regions, None),
        ("--nodes", nodes, None),
        ("--rate", rate, 50.0),
    ):
        if value is not None and value != usual:
            given.append(f"{name} {value:g}")
    return f"python -m lab.syncstore.simulate {' '.join(given)}"


def _shown(told: Iterable[Told], total: int) -> Iterator[Told]:
    """As they come, with a line of progress on a terminal's stderr."""
    began = shown = time.perf_counter()
    failed = 0
    for number, one in enumerate(told, 1):
        failed += bool(one.broken)
        now = time.perf_counter()
        if now - shown > (PROGRESS_EVERY_S if sys.stderr.isatty() else QUIET_S):
            shown = now
            left_s = (now - began) / number * (total - number)
            print(f"{number} of {total} worlds, {failed} failed, {left_s:.0f} s left", file=sys.stderr, flush=True)
        yield one


def _summary(told: list[Told], failed: list[Told], virtual_s: float, took_s: float) -> None:
    kinds: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for one in told:
        for name, number in one.counts.items():
            kinds[name] += number
            bad[name] += bool(one.broken)
    print("seen: " + ", ".join(f"{name} {number}" for name, number in sorted(kinds.items())))
    lived_s, busy_s = sum(one.rested_ms for one in told) / 1000, sum(one.took_s for one in told)
    print(
        f"{len(told)} worlds of {virtual_s:g} s, {len(failed)} failed; {lived_s:.0f} virtual seconds in {took_s:.0f} s"
        f" ({lived_s / max(busy_s, 1e-9):.1f} × real time in each process)"
    )


if __name__ == "__main__":
    typer.run(main)
