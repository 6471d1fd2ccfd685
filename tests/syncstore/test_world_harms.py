"""Worlds with the harms of one idea each, kept since SyncStore, or what was asked of it, once failed in them.

Drawn worlds change with the odds of their harms; these stay.
"""

from __future__ import annotations

import pytest

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import BLACKHOLE, STALL
from lab.syncstore.simulate.run import Run
from lab.syncstore.simulate.world import Plan


@pytest.mark.parametrize("seed", [1, 2])
def test_a_watch_at_a_node_whose_clock_is_behind_ends_as_that_clock_has_it(seed: int) -> None:
    plan = Plan(seed, regions=1, virtual_s=7, rate_per_s=35)
    run = Run(plan, harms=[Harm(1500, 1000, "skew-one", ("r1n3",), -600_000, "stays")])
    assert not run.live().broken
    assert any(watched.node == "r1n3" for watched in run.world.watches()), "nobody watches at that node"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_region_that_was_evicted_takes_its_reset_late_when_it_was_cut_off_too(seed: int) -> None:
    plan = Plan(seed, regions=2, nodes=2, virtual_s=12, rate_per_s=70, registers=False)
    run = Run(plan, harms=[Harm(1500, 1000, "evict", ("r1",)), Harm(2400, 4000, "cut", ("r1",), mode=BLACKHOLE)])
    assert not run.live().broken
    assert [region for region, at_ms in run.world.resets if at_ms > 5500] == ["r1", "r1"]


@pytest.mark.parametrize(("kind", "seed"), [("cut", 24), ("evict", 1), ("evict", 6)])
def test_what_was_lost_before_its_incarnation_was_closed_is_asked_of_nobody(kind: str, seed: int) -> None:
    """What r1n2 acknowledges alone, degraded, goes with its disk."""
    plan = Plan(seed, virtual_s=9, rate_per_s=50, registers=False)
    alone = Harm(3000, 900, "inside", ("r1n2",), mode=STALL), Harm(3100, 1000, kind, ("r1",), mode=STALL)
    run = Run(plan, harms=[Harm(2000, 2000, "restored", ("r1n2",), 100), *alone])
    assert not run.live().broken
    oracle, vector = run.world.oracle, run.world.hosts["r1n1"].engine.replicas["global"].vector
    closed = [one for one in oracle.last.items() if one[0][0] == "global" and vector.is_closed(one[0][1])]
    assert any(not oracle.names(vector, *of, last) for of, last in closed), "nothing was lost"
