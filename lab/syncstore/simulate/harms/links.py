"""Harms of the wires between regions and inside them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lab.syncstore.simulate.harms.harm import Harm, Heal, together
from lab.syncstore.simulate.links import BLACKHOLE, STALL, Impairment

if TYPE_CHECKING:
    from lab.syncstore.simulate.world import World


def between(world: World, sources: list[str], targets: list[str], impairment: Impairment) -> Heal:
    """Harm every link from a source node to a target node."""
    links = [world.network.link(one, other) for one in sources for other in targets if one != other]
    for link in links:
        link.harm(impairment)

    def heal() -> None:
        for link in links:
            link.heal(impairment)

    return heal


def nodes(world: World, region: str) -> list[str]:
    return list(world.plan.members[region])


def elsewhere(world: World, region: str) -> list[str]:
    return [node for other, those in world.plan.members.items() if other != region for node in those]


def around(world: World, region: str, impairment: Impairment, mode: str = "") -> Heal:
    """All links of a region with the others. mode: `deaf` only what comes in, `mute` only what goes out."""
    inside, outside = nodes(world, region), elsewhere(world, region)
    heals = [] if mode == "deaf" else [between(world, inside, outside, impairment)]
    if mode != "mute":
        heals.append(between(world, outside, inside, impairment))
    return together(heals)


def gray(world: World, harm: Harm, chance: Random) -> Heal:
    """amount: ms added to each direction."""
    return around(world, harm.where[0], Impairment(added_ms=harm.amount, jitter_ms=harm.amount / 2))


def cut(world: World, harm: Harm, chance: Random) -> Heal:
    """A region off from all the others. mode: stall, blackhole or refuse."""
    return around(world, harm.where[0], Impairment(cut=harm.mode))


def one_way(world: World, harm: Harm, chance: Random) -> Heal:
    """mode: deaf or mute."""
    cut = Impairment(cut=chance.choice((STALL, BLACKHOLE)))
    return around(world, harm.where[0], cut, harm.mode)


def rate(world: World, harm: Harm, chance: Random) -> Heal:
    """amount: bytes per ms and link."""
    return around(world, harm.where[0], Impairment(rate=harm.amount))


def narrow(world: World, harm: Harm, chance: Random) -> Heal:
    """Two regions with little between them, though others are near to both. amount: bytes per ms and link."""
    one, other = (nodes(world, region) for region in harm.where)
    rate = Impairment(rate=harm.amount)
    return together([between(world, one, other, rate), between(world, other, one, rate)])


def far(world: World, harm: Harm, chance: Random) -> Heal:
    """Two regions that hear each other late, though others are near to both. amount: ms added."""
    one, other = (nodes(world, region) for region in harm.where)
    late = Impairment(added_ms=harm.amount)
    return together([between(world, one, other, late), between(world, other, one, late)])


def between_two(world: World, harm: Harm, chance: Random) -> Heal:
    """Two regions that don't reach each other, though others reach both."""
    one, other = (nodes(world, region) for region in harm.where)
    cut = Impairment(cut=harm.mode)
    return together([between(world, one, other, cut), between(world, other, one, cut)])


def flap(world: World, harm: Harm, chance: Random) -> Heal:
    """A region that comes and goes. amount: ms of each."""
    state: list[Heal] = []
    over = [False]

    def swing() -> None:
        if over[0]:
            return
        if state:
            state.pop()()
        else:
            state.append(around(world, harm.where[0], Impairment(cut=harm.mode)))
        world.timeline.after(harm.amount * chance.uniform(0.5, 1.5), swing)

    def heal() -> None:
        over[0] = True
        while state:
            state.pop()()

    swing()
    return heal


def inside(world: World, harm: Harm, chance: Random) -> Heal:
    """A node off from the rest of its own region, though not from clients or other regions."""
    node = harm.where[0]
    peers = [one for one in nodes(world, world.hosts[node].region) if one != node]
    cut = Impairment(cut=harm.mode)
    return together([between(world, [node], peers, cut), between(world, peers, [node], cut)])


def resets(world: World, harm: Harm, chance: Random) -> Heal:
    """Connections break at random. amount: ms between two breaks."""
    over = [False]

    def strike() -> None:
        if over[0]:
            return
        open_now = [one for one in world.network.connections.values() if not one.gone and _of(one.ends, harm.where)]
        if open_now:
            chance.choice(open_now).reset()
        world.timeline.after(chance.expovariate(1 / harm.amount), strike)

    def heal() -> None:
        over[0] = True

    strike()
    return heal


def _of(ends: tuple[str, str], regions: tuple[str, ...]) -> bool:
    return any(place.partition("n")[0] in regions for place in ends)
