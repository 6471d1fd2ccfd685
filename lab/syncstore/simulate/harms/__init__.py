"""Every kind of harm, and how a world goes through its schedule.

Owns the table of kinds. Each is a function that harms and returns what heals: entering never fails, and
healing may come at any time after, in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.harms import links, nodes, regions
from lab.syncstore.simulate.harms.harm import Harm, Heal

if TYPE_CHECKING:
    from lab.syncstore.simulate.world import World

ENTER: dict[str, Callable[[World, Harm, Random], Heal]] = {
    "gray": links.gray,
    "cut": links.cut,
    "one-way": links.one_way,
    "rate": links.rate,
    "narrow": links.narrow,
    "far": links.far,
    "between": links.between_two,
    "flap": links.flap,
    "inside": links.inside,
    "resets": links.resets,
    "kill": nodes.kill,
    "power": nodes.power,
    "others-dead": nodes.others_dead,
    "pause": nodes.pause,
    "busy": nodes.busy,
    "blank": nodes.blank,
    "restored": nodes.restored,
    "all-blank": nodes.all_but_a_disk,
    "disk": nodes.disk,
    "skew": regions.skew,
    "skew-one": regions.skew_one,
    "away": regions.away,
    "flood": regions.flood,
    "drain": regions.drain,
    "evict": regions.evict,
    "garbage": regions.garbage,
}


class Harms:
    """The harms of a world as they come and go."""

    def __init__(self, world: World) -> None:
        self.on: dict[int, Heal] = {}
        self.entered: list[Harm] = []
        self._harms: dict[int, Harm] = {}
        self.on_leave: Callable[[Harm], None] = lambda harm: None
        """Told of each just before it is healed."""
        self._world = world

    def plan(self, harms: list[Harm]) -> None:
        for number, harm in enumerate(harms):
            self._world.timeline.at(harm.at_ms, self._enter, harm, number)
            self._world.timeline.at(harm.at_ms + harm.for_ms, self._leave, number)

    def _enter(self, harm: Harm, number: int) -> None:
        self.entered.append(harm)
        self._harms[number] = harm
        self.on[number] = ENTER[harm.kind](self._world, harm, fork(self._world.plan.seed, "harm", number))

    def _leave(self, number: int) -> None:
        heal = self.on.pop(number, None)
        if heal is not None:
            self.on_leave(self._harms[number])
            heal()

    def heal_all(self) -> None:
        """End whatever is still on."""
        for number in list(self.on):
            self._leave(number)
