"""A region that hears but can not send: alive in its own eyes, gone in those of the others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from lab.faults.where import known_region
from lab.protocols import Cut, Deployment, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class MuteFault:
    """No byte that `region` sends reaches the others; what they send arrives.

    how: `stall` holds data back and loses none, `blackhole` swallows it and closes the
    connections at the heal.
    """

    region: str
    how: Literal["stall", "blackhole"] = "stall"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.region,)

    def check(self, context: FaultContext) -> None:
        known_region(self.region, context)

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        links = context.topology.links_of(self.region)
        return {link: Cut(self.how) for link in links if link.source == self.region}

    def apply(
        self, deployment: Deployment, impairments: Mapping[Link, Impairment]
    ) -> AbstractAsyncContextManager[None]:
        return deployment.network.harm(impairments)
