"""A region cut off from all others, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.faults.region_links import RegionLinks
from lab.protocols import Cut, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class PartitionFault(RegionLinks):
    """No byte passes between `region` and the others.

    how: `stall` holds data back and loses none (nearest to a cut that heals), `blackhole`
    swallows it and closes the connections at the heal, `refuse` closes at once, like a clean stop.
    """

    how: Literal["stall", "blackhole", "refuse"] = "stall"

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {link: Cut(self.how) for link in context.topology.links_of(self.region)}
