"""A region cut off from all others, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from lab.faults.where import known_region
from lab.protocols import Cut, Deployment, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class PartitionFault:
    """No byte passes between `region` and the others.

    how: `stall` holds data back and loses none (nearest to a cut that heals), `blackhole`
    swallows it and closes the connections at the heal, `refuse` closes at once, like a clean stop.
    """

    region: str
    how: Literal["stall", "blackhole", "refuse"] = "stall"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.region,)

    def check(self, context: FaultContext) -> None:
        known_region(self.region, context)

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {link: Cut(self.how) for link in context.topology.links_of(self.region)}

    def apply(
        self, deployment: Deployment, impairments: Mapping[Link, Impairment]
    ) -> AbstractAsyncContextManager[None]:
        return deployment.network.harm(impairments)
