"""A region that hears but can not send: alive in its own eyes, gone in those of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.faults.region_links import RegionLinks
from lab.protocols import Cut, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class MuteFault(RegionLinks):
    """No byte that `region` sends reaches the others; what they send arrives.

    how: `stall` holds data back and loses none, `blackhole` swallows it and closes the
    connections at the heal.
    """

    how: Literal["stall", "blackhole"] = "stall"

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        links = context.topology.links_of(self.region)
        return {link: Cut(self.how) for link in links if link.source == self.region}
