"""A region that can send but not hear: the half of a partition that disturbs others most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.faults.region_links import RegionLinks
from lab.protocols import Cut, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class DeafFault(RegionLinks):
    """No byte from the others reaches `region`; what it sends, such as a call for votes, arrives.

    how: `stall` holds data back and loses none, `blackhole` swallows it and closes the
    connections at the heal.
    """

    how: Literal["stall", "blackhole"] = "stall"

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        links = context.topology.links_of(self.region)
        return {link: Cut(self.how) for link in links if link.target == self.region}
