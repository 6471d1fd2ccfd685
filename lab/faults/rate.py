"""A region behind links too narrow for its traffic."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from lab.errors import DoesNotFit
from lab.faults.where import known_region
from lab.protocols import Deployment, FaultContext, Impairment, Rate
from lab.topology import Link

# Above this the witness's question passes in less than the noise of its reading.
MOST_KBPS = 500


@dataclass(frozen=True)
class RateFault:
    """Every connection on every link from and to `region` carries at most `kbps` kilobytes (1,000
    bytes) per second in each direction.

    kbps: whole number from 1 to 500. A limit per connection, not per link: that is what a
    user-space proxy can give.
    """

    region: str
    kbps: int

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.region,)

    def check(self, context: FaultContext) -> None:
        known_region(self.region, context)
        if not 1 <= self.kbps <= MOST_KBPS:
            raise DoesNotFit(
                f"fault rate: kbps must be a whole number from 1 to {MOST_KBPS} (a witness sees no wider limit), "
                f"found {self.kbps}."
            )

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {link: Rate(self.kbps) for link in context.topology.links_of(self.region)}

    def apply(
        self, deployment: Deployment, impairments: Mapping[Link, Impairment]
    ) -> AbstractAsyncContextManager[None]:
        return deployment.network.harm(impairments)
