"""Harms that a whole region does to the others: wrong clocks, floods, garbage; and what operators do to it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lab.syncstore.simulate.harms.garbage import Foe, litter
from lab.syncstore.simulate.harms.harm import Harm, Heal, together
from lab.syncstore.simulate.harms.links import around, elsewhere
from lab.syncstore.simulate.history import OK, Operation
from lab.syncstore.simulate.links import STALL, Impairment

if TYPE_CHECKING:
    from lab.syncstore.simulate.world import World

AGAIN_MS = 1000.0
RETURN_MS = 1500.0
"""An evicted region is let in again so long after its links are whole; its reset follows."""


def skew(world: World, harm: Harm, chance: Random) -> Heal:
    """The clocks of a region are wrong by `amount` ms. mode: `stays` if nobody ever sets them right."""
    region = harm.where[0]
    world.skew(world.plan.members[region], int(harm.amount))
    world.loads[region].skew_ms = int(harm.amount)

    def heal() -> None:
        if harm.mode != "stays":
            world.skew(world.plan.members[region], 0)
            world.loads[region].skew_ms = 0

    return heal


def skew_one(world: World, harm: Harm, chance: Random) -> Heal:
    """One node's clock is wrong. amount, mode: as `skew`."""
    world.skew(harm.where, int(harm.amount))

    def heal() -> None:
        if harm.mode != "stays":
            world.skew(harm.where, 0)

    return heal


def away(world: World, harm: Harm, chance: Random) -> Heal:
    """The clients of a region lose all connections, and find their way back when much may have been forgotten."""
    callers = world.loads[harm.where[0]].callers
    for caller in callers:
        caller.leave()

    def heal() -> None:
        for caller in callers:
            caller.connect()

    return heal


def flood(world: World, harm: Harm, chance: Random) -> Heal:
    """The clients of a region write `amount` times as much."""
    load = world.loads[harm.where[0]]
    load.flood = int(harm.amount)

    def heal() -> None:
        load.flood = 1

    return heal


def operator(world: World, region: str, op: str, about: str, state: bytes = b"") -> None:
    """An operator in one region says something about a region. state: the one it is to be in; that one until it is
    taken."""
    caller = world.loads[region].callers[0]
    operation = Operation(region, caller.place, op, "", about, state)
    caller.call(operation)

    def look() -> None:
        if not operation.outcome:
            world.timeline.after(AGAIN_MS, look)
        elif operation.outcome != OK:
            operator(world, region, op, about, state)

    if state:
        world.timeline.after(AGAIN_MS, look)


def drain(world: World, harm: Harm, chance: Random) -> Heal:
    """Advice only: nothing else may depend on it."""
    region = harm.where[0]
    operator(world, region, "drain", region)
    return lambda: operator(world, region, "drain", region, b"serving")


def evict(world: World, harm: Harm, chance: Random) -> Heal:
    """A region that is cut off, and taken out of the reports that count; it comes back, by a reset if need be."""
    region = harm.where[0]
    other = chance.choice([one for one in world.plan.names if one != region])
    world.evicted.add(region)
    world.oracle.somebody_left()
    cut = around(world, region, Impairment(cut=STALL))
    operator(world, other, "evict", region)

    def heal() -> None:
        cut()
        world.timeline.after(RETURN_MS, operator, world, other, "drain", region, b"serving")

    return heal


def garbage(world: World, harm: Harm, chance: Random) -> Heal:
    """Bytes that are no frames come from a region: on its connections, and on some made for it. amount: ms between."""
    over = [False]
    world.littered = True
    foe = Foe(world.network, f"{harm.where[0]}foe", chance)

    def throw() -> None:
        if over[0]:
            return
        litter(world, harm.where[0], chance)
        foe.call_on(chance.choice(elsewhere(world, harm.where[0])))
        world.timeline.after(chance.expovariate(1 / harm.amount), throw)

    def heal() -> None:
        over[0] = True
        foe.leave()

    throw()
    return together([heal])
