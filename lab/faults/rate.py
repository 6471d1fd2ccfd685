"""A region behind links too narrow for its traffic."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import DoesNotFit
from lab.faults.region_links import RegionLinks
from lab.protocols import FaultContext, Impairment, Rate
from lab.topology import Link

# Above this the witness's question passes in less than the noise of its reading.
MOST_KBPS = 500


@dataclass(frozen=True)
class RateFault(RegionLinks):
    """Every connection on every link from and to `region` carries at most `kbps` kilobytes (1,000
    bytes) per second in each direction.

    kbps: whole number from 1 to 500. A limit per connection, not per link: that is what a
    user-space proxy can give.
    """

    kbps: int

    def check(self, context: FaultContext) -> None:
        super().check(context)
        if not 1 <= self.kbps <= MOST_KBPS:
            raise DoesNotFit(
                f"fault rate: kbps must be a whole number from 1 to {MOST_KBPS} (a witness sees no wider limit), "
                f"found {self.kbps}."
            )

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {link: Rate(self.kbps) for link in context.topology.links_of(self.region)}
