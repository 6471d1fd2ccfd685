"""When all nodes of a SyncStore hold the same: waited for from outside, by what they say of themselves.

They are asked a few times a second and no more: an answer costs a node time that its clients would have had.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from lab.bench.told import Told
from lab.errors import RunBroken
from lab.protocols import Deployment

LOOK_S, GIVEN_UP_S = 0.25, 180.0


async def covered(told: Told, ours: Deployment) -> None:
    """Until every node holds whatever any of them held at the call. Raises RunBroken when that takes too long."""
    until_s = time.perf_counter() + GIVEN_UP_S
    target = joined((await _states(told, ours, until_s)).values())
    while not all(covers(state["vector"], target) for state in (await _states(told, ours, until_s)).values()):
        await _wait(until_s)


async def equal(told: Told, ours: Deployment) -> None:
    """Until all digests are equal; nothing may be written meanwhile. Raises RunBroken when that takes too long."""
    until_s = time.perf_counter() + GIVEN_UP_S
    while len({state["digest"] for state in (await _states(told, ours, until_s)).values()}) > 1:
        await _wait(until_s)


async def _states(told: Told, ours: Deployment, until_s: float) -> dict[str, Any]:
    """node → what it says of the global scope; asked again until all answer."""
    while len(found := await told.states(ours)) < len(ours.topology.nodes):
        await _wait(until_s)
    return found


async def _wait(until_s: float) -> None:
    if time.perf_counter() > until_s:
        raise RunBroken(
            f"expected all nodes to hold the same, found them apart after {GIVEN_UP_S:g} s; see their /status."
        )
    await asyncio.sleep(LOOK_S)


def joined(states: Any) -> dict[str, int]:
    """origin → the most that any state's vector names."""
    found: dict[str, int] = {}
    for state in states:
        for origin, sequence in state["vector"].items():
            found[origin] = max(sequence, found.get(origin, 0))
    return found


def covers(vector: Mapping[str, int], target: Mapping[str, int]) -> bool:
    return all(vector.get(origin, 0) >= sequence for origin, sequence in target.items())
