"""Gray failure: a region that is alive, but slow to reach and slow to answer."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import DoesNotFit
from lab.faults.region_links import RegionLinks
from lab.protocols import FaultContext, Impairment, Latency
from lab.topology import Link


@dataclass(frozen=True)
class LatencyFault(RegionLinks):
    """Every link from and to `region` gets slower by `add_ms`, in each direction.

    add_ms: one number, or [least, most]: drawn once per link from the seed and constant while in
    force, because jitter inside one TCP stream only ever shows its upper end.
    """

    add_ms: float | tuple[float, float]

    @property
    def bounds_ms(self) -> tuple[float, float]:
        return self.add_ms if isinstance(self.add_ms, tuple) else (self.add_ms, self.add_ms)

    def check(self, context: FaultContext) -> None:
        super().check(context)
        low, high = self.bounds_ms
        if not 0 < low <= high <= 60_000:
            raise DoesNotFit(
                f"fault latency: add_ms must be a number or [least, most] between 0 and 60000 ms, found {self.add_ms}."
            )

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        low, high = self.bounds_ms
        return {
            link: Latency(float(round(context.random.uniform(low, high))))
            for link in context.topology.links_of(self.region)
        }
