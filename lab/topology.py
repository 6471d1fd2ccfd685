"""Regions, their nodes and the round-trip times between them; says nothing of backends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from lab.mistakes import Below

RegionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,11}$")]


@dataclass(frozen=True, order=True)
class Node:
    """One running server of a backend: the `number`th (from 1) of its region."""

    region: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.region}-{self.number}"


@dataclass(frozen=True, order=True)
class Link:
    """The directed data path source→target: bytes one region sends to another, whoever dialled."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}->{self.target}"


class Region(BaseModel):
    """A failure domain that must survive the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: int = Field(ge=1, le=9, strict=True, description="How many nodes the region runs.")


class Topology(BaseModel):
    """A topology file: `regions: {us: {nodes: 3}, …}` and `rtt_ms: {us-eu: 80, …}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", description="Taken from the file's name when left out.")
    about: str = Field("", description="One sentence for whoever lists the topologies.")
    regions: dict[RegionName, Region] = Field(min_length=2, max_length=12)
    rtt_ms: dict[str, Annotated[float, Field(ge=0, le=2000, strict=True)]] = Field(
        description="Round-trip time in ms for every pair of regions, written `a-b`."
    )

    @field_validator("rtt_ms")
    @classmethod
    def _every_pair_once(cls, rtt_ms: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        if "regions" not in info.data:  # refused already
            return rtt_ms
        regions = list(info.data["regions"])
        expected = {frozenset(pair) for pair in combinations(regions, 2)}
        found: set[frozenset[str]] = set()
        for key in rtt_ms:
            ends = key.split("-")
            if not re.fullmatch(r"[a-z0-9]+-[a-z0-9]+", key) or frozenset(ends) not in expected:
                raise Below(
                    f"expected a pair of the regions {', '.join(regions)}, found {key!r}; "
                    f"write it like {'-'.join(regions[:2])!r}",
                    key,
                )
            if frozenset(ends) in found:
                raise Below(f"expected each pair once, found {key!r} again; remove one of the two", key)
            found.add(frozenset(ends))
        for pair in combinations(regions, 2):
            if frozenset(pair) not in found:
                raise ValueError(
                    f"expected every pair of regions, found none for {' and '.join(pair)}; "
                    f"add `{'-'.join(pair)}: …`, their round-trip time in ms"
                )
        return rtt_ms

    @property
    def region_names(self) -> tuple[str, ...]:
        return tuple(self.regions)

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(node for region in self.regions for node in self.nodes_of(region))

    def nodes_of(self, region: str) -> tuple[Node, ...]:
        return tuple(Node(region, n + 1) for n in range(self.regions[region].nodes))

    @property
    def links(self) -> tuple[Link, ...]:
        """Both directions of every pair."""
        return tuple(Link(a, b) for a, b in permutations(self.regions, 2))

    def links_of(self, region: str) -> tuple[Link, ...]:
        """Every link that begins or ends in the region."""
        return tuple(link for link in self.links if region in (link.source, link.target))

    def rtt(self, a: str, b: str) -> float:
        """Round-trip time between two regions, in ms; 0 within one."""
        if a == b:
            return 0.0
        return self.rtt_ms.get(f"{a}-{b}", self.rtt_ms.get(f"{b}-{a}", 0.0))

    def one_way_ms(self, link: Link) -> float:
        """Half the round trip, in ms: the lab's WAN is symmetric until a fault says otherwise."""
        return self.rtt(link.source, link.target) / 2
