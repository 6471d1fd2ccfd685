"""Which harms befall a world, and when: harsh, but always healing, drawn from its seed.

Owns the odds and what must not meet: a promise that losing one disk costs nothing is not tested by
losing two. Knows nothing of how a harm is done (`harms`).
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import BLACKHOLE, REFUSE, STALL
from lab.syncstore.simulate.world import Plan

FIRST_MS = 900.0
CUTS = (STALL, BLACKHOLE, REFUSE)
ODDS = {
    "gray": 3, "cut": 5, "one-way": 3, "rate": 2, "narrow": 3, "far": 2, "between": 4, "flap": 3, "inside": 5,
    "resets": 2, "kill": 7, "power": 2, "others-dead": 2, "pause": 4, "busy": 2, "blank": 2, "restored": 3,
    "all-blank": 3, "disk": 4, "skew": 3, "skew-one": 2, "flood": 2, "away": 2, "evict": 4, "drain": 1, "garbage": 2,
}  # fmt: skip
ALONE_SHARE = 0.12
OF_MANY = ("gray", "cut", "one-way", "rate", "narrow", "far", "between", "flap", "evict", "garbage", "others-dead")
"""What befalls a region only where there are others."""
DISK_LOSS = ("blank", "restored", "all-blank")


def schedule(plan: Plan) -> list[Harm]:
    """The harms of a world, in order. None touches the spare region itself."""
    if not plan.faults:
        return []
    chance = fork(plan.seed, "schedule")
    if chance.random() < ALONE_SHARE:
        return _alone(plan, chance)
    harms: list[Harm] = []
    for _ in range(chance.randint(2, 7)):
        one = _draw(plan, chance)
        if one is not None and not any(_clash(plan, one, other) for other in harms):
            harms.append(one)
    return sorted(harms, key=lambda harm: (harm.at_ms, harm.kind))


def _alone(plan: Plan, chance: Random) -> list[Harm]:
    """One long harm and nothing else: only then can it be said how soon what must come."""
    while True:
        one = _draw(plan, chance)
        if one is not None:
            return [replace(one, at_ms=FIRST_MS + 1000, for_ms=plan.heal_ms - FIRST_MS - 1500)]


def _draw(plan: Plan, chance: Random) -> Harm | None:
    kind = chance.choices(list(ODDS), list(ODDS.values()))[0]
    at_ms = chance.uniform(FIRST_MS, plan.heal_ms * 0.8)
    for_ms = min(chance.choice((300.0, 900.0, 2000.0, 4500.0)) * chance.uniform(0.7, 1.3), plan.heal_ms - at_ms)
    region = plan.spare if kind == "others-dead" and plan.spare else _any(plan, chance)
    node = chance.choice(plan.members[region])
    some = tuple(chance.sample(plan.members[region], chance.randint(1, plan.nodes)))
    cut = chance.choice(CUTS)
    amount = chance.random()
    if plan.regions < 2 and kind in OF_MANY:
        return None
    if plan.nodes < 2 and kind in ("inside", *DISK_LOSS):
        return None
    other = chance.choice([one for one in plan.names if one != region] or [region])
    where, mode, much = {
        "gray": ((region,), "", 100 + 1900 * amount),
        "cut": ((region,), cut, 0.0),
        "one-way": ((region,), chance.choice(("deaf", "mute")), 0.0),
        "rate": ((region,), "", 5 + 50 * amount),
        "narrow": ((region, other), "", 10 + 50 * amount),
        "far": ((region, other), "", 100 + 1900 * amount),
        "between": ((region, other), cut, 0.0),
        "flap": ((region,), cut, 100 + 700 * amount),
        "inside": ((node,), cut, 0.0),
        "resets": ((region,), "", 20 + 300 * amount),
        "kill": (some, "", 200 * amount),
        "power": ((region,), "", 0.0),
        "others-dead": ((region,), "", 0.0),
        "pause": (some[: max(1, len(some) - 1)], "", 0.0),
        "busy": (some, "", 5 + 40 * amount),
        "blank": ((node,), "", 0.0),
        "restored": ((node,), "", 50 + 400 * amount),
        "all-blank": ((node,), chance.choice(("kill", "power")), 0.0),
        "disk": (some, chance.choice(("slow", "stuck", "full", "broken")), 5 + 500 * amount),
        "skew": ((region,), chance.choice(("", "stays")), _skew_ms(chance, amount)),
        "skew-one": ((node,), chance.choice(("", "stays")), _skew_ms(chance, amount)),
        "away": ((region,), "", 0.0),
        "flood": ((region,), "", 10.0),
        "evict": ((region,), "", 0.0),
        "drain": ((region,), "", 0.0),
        "garbage": ((region,), "", 5 + 50 * amount),
    }[kind]
    return Harm(at_ms, for_ms, kind, where, much, mode)


def _any(plan: Plan, chance: Random) -> str:
    """A region that may be harmed."""
    return chance.choice([one for one in plan.names if one != plan.spare])


def _skew_ms(chance: Random, amount: float) -> float:
    """Mostly a little, sometimes up to an hour ahead; or behind."""
    reach = chance.choice((300.0, 2000.0, 60_000.0, 3_600_000.0, -2000.0, -600_000.0))
    return reach * amount


def _clash(plan: Plan, one: Harm, other: Harm) -> bool:
    """Two harms whose meeting may cost what was acknowledged, as promised."""
    if one.kind == other.kind == "evict":
        return True  # Each side evicting the other is a world of its own.
    mine, theirs = _disks_lost(one), _disks_lost(other)
    return bool(mine & theirs or mine & _powerless(plan, other) or theirs & _powerless(plan, one))


def _disks_lost(harm: Harm) -> set[str]:
    """Regions of which a node loses its disk."""
    return {_region(place) for place in harm.where} if harm.kind in DISK_LOSS else set()


def _powerless(plan: Plan, harm: Harm) -> set[str]:
    """Regions that lose power as a whole."""
    if harm.kind == "others-dead":
        return set(plan.names) - set(harm.where)
    return set(harm.where) if harm.kind == "power" else set()


def _region(place: str) -> str:
    return place.partition("n")[0]
