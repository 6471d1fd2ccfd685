"""Registers in worlds full of faults: linearizable in all of them, and every rule is there for a reason.

A world that fails is run again by `World(profile, seed).run()`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.syncstore.mutants_registers import MUTANTS
from tests.syncstore.porcupine import judge, program
from tests.syncstore.register_profiles import PROFILES
from tests.syncstore.register_schedules import run
from tests.syncstore.register_world import World

SEEDS = 8
"""Worlds of each profile; many more of them in `test_many_worlds`."""


def failures(worlds: list[World], pages: Path | None = None) -> list[str]:
    """What is wrong with these worlds, in sentences. One call of the checker for all of them."""
    verdict = judge((line for world in worlds for line in world.history), pages)
    broken = [sentence for world in worlds for sentence in world.broken]
    judged = {**verdict.broken, **verdict.undecided}
    return broken + [f"{key}: {why} {verdict.pages.get(key, '')}" for key, why in judged.items()]


def what_happened(worlds: list[World]) -> Counter[str]:
    """Results of operations, and what the nodes counted."""
    happened = Counter(line["result"] for world in worlds for line in world.history)
    for world in worlds:
        for node in world.nodes.values():
            happened.update({key: n for key, n in node.registers.stats().items() if type(n) is int})
    return happened


def test_every_world_is_linearizable(tmp_path: Path) -> None:
    program()
    worlds = [World(name, seed).run() for name in PROFILES for seed in range(SEEDS)]
    wrong = failures(worlds, tmp_path)
    assert not wrong, "\n".join(wrong[:10])
    happened = what_happened(worlds)
    assert len(worlds) > 100 and happened["ok"] > 5_000 and happened["wrong"] > 1_000 and happened["indefinite"] > 100
    for what in ("shortcuts", "retries", "finish", "enter", "left seats", "forgotten", "strangers"):
        assert happened[what] > 0, f"no world saw {what}"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_many_worlds(name: str, tmp_path: Path) -> None:
    wrong = failures([World(name, seed).run() for seed in range(1000, 1100)], tmp_path)
    assert not wrong, "\n".join(wrong[:10])


def test_one_seed_is_one_world() -> None:
    one, other = World("mixed", 7).run(), World("mixed", 7).run()
    assert one.history and one.history == other.history
    assert World("mixed", 8).run().history != one.history


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_noticed(name: str) -> None:
    profile, seed, mutant = MUTANTS[name]
    with mutant():
        world = run(profile, seed)
    assert failures([world]), f"{name}: {profile} {seed} does not show it"


def test_the_mutants_worlds_are_sound_without_them() -> None:
    pinned = sorted({(profile, seed) for profile, seed, _ in MUTANTS.values()})
    assert not failures([run(profile, seed) for profile, seed in pinned])
