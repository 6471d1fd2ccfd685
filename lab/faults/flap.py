"""A region that is cut off again and again: every return upsets what the last cut had settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.errors import DoesNotFit
from lab.faults import pulsing
from lab.faults.region_links import RegionLinks
from lab.protocols import Cut, FaultContext, Impairment
from lab.topology import Link

# A witness asks once a second, and a heal takes up to a third of one.
LEAST_S = 2.0


@dataclass(frozen=True)
class FlapFault(RegionLinks):
    """`region` is cut off for `down_s`, back for `up_s`, and so on, as long as the fault lasts.

    The last cut is left out when it would not end in time. how: as in partition.
    """

    down_s: float = 4.0
    up_s: float = 4.0
    how: Literal["stall", "blackhole", "refuse"] = "stall"

    def check(self, context: FaultContext) -> None:
        super().check(context)
        for name, seconds in (("down_s", self.down_s), ("up_s", self.up_s)):
            if not LEAST_S <= seconds <= 3600:
                raise DoesNotFit(
                    f"fault flap: {name} must be {LEAST_S:g} to 3600 s (a witness sees no shorter cut), "
                    f"found {seconds:g}."
                )

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {link: Cut(self.how) for link in context.topology.links_of(self.region)}

    def pulses(self, lasting_s: float) -> list[tuple[float, float]]:
        return pulsing.pulses(self.down_s, self.up_s, lasting_s)
