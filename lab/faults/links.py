"""Harming many links at once: what every fault on the network does to enter and to leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from lab.errors import UnknownName
from lab.protocols import Deployment, FaultContext, Impairment
from lab.topology import Link


@asynccontextmanager
async def harming(deployment: Deployment, impairments: Mapping[Link, Impairment]) -> AsyncIterator[None]:
    """All links within some milliseconds; on the way out all heal, whatever happened."""
    async with AsyncExitStack() as stack:
        for link, impairment in impairments.items():
            await stack.enter_async_context(deployment.network.harm(link, impairment))
        yield


def known_region(region: str, context: FaultContext) -> None:
    """Raise UnknownName when the topology has no such region."""
    if region not in context.topology.regions:
        raise UnknownName.of("region", region, context.topology.regions)
