"""What faults of a region's links share: they name one region, and harm links for as long as they last."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from lab.faults.where import known_region
from lab.protocols import Deployment, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class RegionLinks:
    """The base of such a fault, which adds its settings and its `impairments`."""

    region: str

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.region,)

    def check(self, context: FaultContext) -> None:
        known_region(self.region, context)

    def apply(
        self, deployment: Deployment, impairments: Mapping[Link, Impairment]
    ) -> AbstractAsyncContextManager[None]:
        return deployment.network.harm(impairments)
