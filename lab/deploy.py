"""A topology up and down: the network first, then nodes, then whatever the backend needs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lab.plan import Plan
from lab.protocols import Deployment, Network, Runtime

CLOSE_WITHIN_S = 10.0


@asynccontextmanager
async def deployed(
    plan: Plan, runtime: Runtime, network: Network, stayed: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Deployment]:
    """A deployment that is ready for clients; torn down on the way out, whatever happened.

    stayed: is given a sentence for whatever would not go.

    Raises NodeNotReady or NetworkBroken with a sentence when it does not come up in time.
    """
    try:
        addresses = await runtime.open(plan.topology, plan.backend)
        for spec in network.nodes(addresses.for_road):
            await runtime.start(spec)
        await network.open(plan.topology, addresses)
        # Side by side, and all of them to the end: a container takes a third of a second to start.
        specs = plan.backend.nodes(plan.topology, addresses.for_nodes)
        for failure in await asyncio.gather(*map(runtime.start, specs), return_exceptions=True):
            if failure is not None:
                raise failure
        deployment = Deployment(plan.topology, addresses, runtime, network, plan.backend, plan.workload, plan.seed)
        await plan.backend.ready(deployment)
        yield deployment
    finally:
        await asyncio.shield(asyncio.ensure_future(_down(plan, runtime, network, stayed)))


async def _down(plan: Plan, runtime: Runtime, network: Network, stayed: Callable[[str], None]) -> None:
    for close in (plan.backend.close, network.close):
        with contextlib.suppress(Exception):  # one part that can't close may not keep the next alive
            await asyncio.wait_for(close(), CLOSE_WITHIN_S)
    with contextlib.suppress(Exception):
        for sentence in await asyncio.wait_for(runtime.close(), CLOSE_WITHIN_S):
            stayed(sentence)
