"""Differential isolation: a region lives the same life whatever happens elsewhere.

Owns the comparison of two worlds from one seed, one without faults and one with harms outside a region:
for keys that only this region writes, equal outcomes, and latencies that are at most a little higher.
Everything in such a world is steady: no jitter inside regions, the same cost for every sync. So what
differs comes from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.clients import SHARED
from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.history import Operation
from lab.syncstore.simulate.host import MakeCore
from lab.syncstore.simulate.run import Outcome, Run
from lab.syncstore.simulate.world import Plan, default_core

SLACK_MS = 1.0
"""What the others may cost an operation at most: a slice of work for them, and a sync under way."""


def pair(plan: Plan, make: MakeCore = default_core, harms: Sequence[Harm] | None = None) -> Outcome:
    """The world with harms outside its spare region, judged against the one without."""
    spare = plan.spare or fork(plan.seed, "spare").choice(plan.names)
    harmed = replace(plan, spare=spare, steady=True, faults=True)
    outcome = Run(harmed, make, harms).live()
    calm = Run(replace(harmed, faults=False), make).live()
    outcome.broken += list(compared(calm.operations, outcome.operations, spare))
    return outcome


def compared(calm: list[Operation], harmed: list[Operation], region: str) -> Iterator[str]:
    """Both lists: everything that clients did, in the same order in both worlds."""
    mine = [one for one in calm if one.region == region]
    theirs = [one for one in harmed if one.region == region]
    if [(one.op, one.key, one.invoked_ms) for one in mine] != [(one.op, one.key, one.invoked_ms) for one in theirs]:
        yield f"the clients of {region} did not do the same in both worlds"
        return
    for one, other in zip(mine, theirs, strict=True):
        if one.bucket == SHARED or not _own(one.key, region, one.bucket):
            continue
        what = f"{one.client} {one.op} {one.bucket} {one.key} at {one.invoked_ms:.1f} ms"
        if (one.outcome, one.present, one.degraded) != (other.outcome, other.present, other.degraded):
            yield f"{what} was {_told(other)} with harm elsewhere, {_told(one)} without"
        elif other.latency_ms > one.latency_ms + SLACK_MS:
            yield f"{what} took {other.latency_ms:.2f} ms with harm elsewhere, {one.latency_ms:.2f} ms without"


def _own(key: str, region: str, bucket: str) -> bool:
    return bucket.startswith("region/") or key.startswith(f"{region}/")


def _told(one: Operation) -> str:
    return f"{one.outcome}{' degraded' * one.degraded}{'' if one.present or one.writes else ' absent'}"
