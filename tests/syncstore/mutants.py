"""Planted bugs: one rule each taken out of the store, to see whether the simulator's worlds need it.

A mutant is a small edit of a function's text, made in memory only. `planted(mutant)` is a context in which
the edited function stands in its module; afterwards the sound one does. Each names a world that falls with
it and stands without it: a seed, and mostly a schedule made for it, so that the world can be small. Where
no world was found that falls, `seed` is None and `why` says what is known.

The mutants are in the modules named below; those of registers have worlds of their own. To look for seeds:
python -m tests.syncstore.mutants [NAME …] [--seeds 300] [--again]; to see one: … NAME --only SEED
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from lab.syncstore.simulate.differential import pair
from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.run import Run
from lab.syncstore.simulate.world import Plan, drawn
from tests.syncstore.looks import Look, rotten

MODULES = (
    "mutants_versions",
    "mutants_replication",
    "mutants_links",
    "mutants_deletes",
    "mutants_resets",
    "mutants_sessions",
)
Edits = dict[str, str]
"""Text of a function → what it becomes; each stands there once."""


@dataclass(frozen=True)
class Small:
    """A world made for a mutant. given: what its plan has beside the seed. paired: it falls only beside the
    world without harm (see `differential`). look: what it is looked at for just before its harms are healed.
    rots: instead of harms a node loses a record from its memory."""

    regions: int = 3
    nodes: int = 3
    virtual_s: float = 8.0
    harms: tuple[Harm, ...] | None = None
    paired: bool = False
    look: Look | None = None
    rots: bool = False
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mutant:
    """where: `module:Class.method` or `module:function` of lab.syncstore. also: further edits, by where; a rule
    that stands twice falls only where both are gone."""

    name: str
    rule: str
    where: str
    edits: Edits
    world: Small = Small()
    seed: int | None = None
    also: dict[str, Edits] = field(default_factory=dict)
    why: str = ""


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Raises AssertionError when the store's text is no longer what the mutant was made for."""
    with ExitStack() as stack:
        for where, edits in {mutant.where: mutant.edits, **mutant.also}.items():
            stack.enter_context(_edited(mutant.name, where, edits))
        yield


@contextmanager
def _edited(name: str, where: str, edits: Edits) -> Iterator[None]:
    module_name, _, path = where.partition(":")
    module = importlib.import_module(f"lab.syncstore.{module_name}")
    *owners, function = path.split(".")
    owner: Any = module
    for one in owners:
        owner = getattr(owner, one)
    plain = inspect.getattr_static(owner, function)
    text = textwrap.dedent(inspect.getsource(plain))
    for old, new in edits.items():
        assert text.count(old) == 1, f"mutant {name}: {where} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    made: dict[str, Any] = {}
    exec(compile("from __future__ import annotations\n" + text, f"<{name}>", "exec"), module.__dict__, made)
    holders = [owner, *_importers(function, plain)] if owner is module else [owner]
    for one in holders:
        setattr(one, function, made[function])
    try:
        yield
    finally:
        for one in holders:
            setattr(one, function, plain)


def _importers(name: str, function: Any) -> list[Any]:
    """Modules of the store that have taken a function over by its name."""
    loaded = [module for path, module in list(sys.modules.items()) if path.startswith("lab.syncstore.")]
    return [module for module in loaded if module.__dict__.get(name) is function]


def broken(mutant: Mutant, seed: int) -> list[str]:
    """The promises that break in the mutant's world of this seed, as things stand."""
    world = mutant.world
    given: dict[str, Any] = {"regions": world.regions, "nodes": world.nodes, "virtual_s": world.virtual_s}
    plan: Plan = drawn(seed, **{**given, "registers": False, "lacking": (), **world.given})
    if world.paired:
        return pair(plan, harms=world.harms).broken
    if world.rots:
        return rotten(plan)
    run = Run(plan, harms=world.harms, hasty=True)
    if world.look is not None:
        look = world.look
        run.world.timeline.at(plan.heal_ms - 1, lambda: run.broken.extend(look(run.world)))
    return run.live().broken


def all_mutants() -> list[Mutant]:
    found: list[Mutant] = []
    for name in MODULES:
        found += importlib.import_module(f"tests.syncstore.{name}").MUTANTS
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--again", action="store_true", help="look for another seed where one is pinned")
    parser.add_argument(
        "--only", type=int, help="tell what breaks in the world of this seed, with the mutant and without"
    )
    given = parser.parse_args()
    for mutant in all_mutants():
        if given.names and mutant.name not in given.names:
            continue
        if given.only is not None:
            with planted(mutant):
                print(f"{mutant.name} {given.only}, with the mutant: {broken(mutant, given.only)}")
            print(f"{mutant.name} {given.only}, without: {broken(mutant, given.only)}")
            continue
        if mutant.seed is not None and not given.again:
            continue
        began = time.perf_counter()
        try:
            found = _search(mutant, range(1, given.seeds + 1))
        except AssertionError as error:
            found = str(error)
        print(f"{mutant.name}: {found} ({time.perf_counter() - began:.0f} s)", flush=True)


def _search(mutant: Mutant, seeds: range) -> str:
    for seed in seeds:
        with planted(mutant):
            fallen = broken(mutant, seed)
        if fallen and not broken(mutant, seed):
            return f"seed {seed}: {fallen[0][:200]}"
    return f"survives {len(seeds)} worlds"


if __name__ == "__main__":
    main()
