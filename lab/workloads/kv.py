"""A control plane's key-value load: every region writes its own keys and reads everyone's.

One bucket per home region, named after it; its keys are written only there. Every tenth write goes to
a key of its own that is never written again: reading it back at the end tells of that very write,
also of one made during the fault, which later writes would have covered up. Open loop: every
operation is due at a time fixed by the seed before the run begins.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lab.clock import NS_PER_S, seeded
from lab.errors import DoesNotFit
from lab.protocols import Client, Due, Result

PAD = "~"
ONCE_EVERY, ONCE = 10, "once"


@dataclass(frozen=True)
class KvWorkload:
    """Settings, all per region.

    rate_per_s: operations per second; of 100, 40 put, 30 get own, 26 get others', 4 open a watch.
    keys: keys per home region, in `groups` groups; a watch opens one group.
    deadline_s: later is not ok for the user, though it may still complete.
    """

    rate_per_s: float = 100.0
    keys: int = 200
    groups: int = 20
    deadline_s: float = 2.0
    value_bytes: int = 100
    arrivals: Literal["fixed", "poisson"] = "fixed"

    def __post_init__(self) -> None:
        if not 5 <= self.rate_per_s <= 2000:
            raise DoesNotFit(f"workload kv: rate_per_s must be between 5 and 2000, found {self.rate_per_s:g}.")
        if not 1 <= self.groups <= self.keys <= 100_000:
            raise DoesNotFit(
                f"workload kv: expected 1 ≤ groups ≤ keys ≤ 100000, found groups {self.groups}, keys {self.keys}."
            )
        if not 0 < self.deadline_s <= 60 or not 16 <= self.value_bytes <= 65_536:
            raise DoesNotFit(
                "workload kv: expected 0 < deadline_s ≤ 60 and 16 ≤ value_bytes ≤ 65536, "
                f"found {self.deadline_s:g} and {self.value_bytes}."
            )

    def buckets(self, regions: Sequence[str]) -> list[str]:
        return list(regions)

    def shares(self) -> Mapping[str, float]:
        return {"put": 0.40, "get_own": 0.30, "get_others": 0.26, "watch": 0.04}

    def key(self, number: int) -> str:
        """Keys are `g07.042`: group, then number."""
        return f"g{number % self.groups:02d}.{number:03d}"

    def preload(self, region: str) -> list[Due]:
        return [Due(0, "put", region, self.key(n), f"{region}.p{n}") for n in range(self.keys)]

    def settle(self, regions: Sequence[str], load_s: float, seed: int) -> list[Due]:
        """Every key of every region, read once."""
        return [
            Due(0, "get", home, key)
            for home in regions
            for key in [
                *(self.key(n) for n in range(self.keys)),
                *(due.key for due in self.operations(home, regions, load_s, seed) if due.key.startswith(ONCE)),
            ]
        ]

    def operations(self, region: str, regions: Sequence[str], load_s: float, seed: int) -> list[Due]:
        others = [name for name in regions if name != region]
        due: list[Due] = []
        for kind, share in self.shares().items():
            draw = seeded(seed, "kv", region, kind)
            for number, offset_ns in enumerate(self._offsets_ns(self.rate_per_s * share, load_s, draw)):
                key = self.key(draw.randrange(self.keys))
                match kind:
                    case "put":
                        name = f"{ONCE}.{number:05d}" if number % ONCE_EVERY == 0 else key
                        due.append(Due(offset_ns, "put", region, name, f"{region}.{number}"))
                    case "get_own":
                        due.append(Due(offset_ns, "get", region, key))
                    case "get_others":
                        due.append(Due(offset_ns, "get", draw.choice(others), key))
                    case _:
                        due.append(Due(offset_ns, "watch", draw.choice(list(regions)), key.split(".")[0]))
        return sorted(due, key=lambda one: one.offset_ns)

    def kind(self, region: str, due: Due) -> str:
        """The share an operation belongs to."""
        if due.operation != "get":
            return due.operation
        return "get_own" if due.home == region else "get_others"

    def _offsets_ns(self, rate_per_s: float, load_s: float, draw: random.Random) -> list[int]:
        """Due times: evenly spaced from a drawn first one, or a Poisson process of that rate."""
        gap_s = 1 / rate_per_s
        offsets: list[int] = []
        at_s = draw.uniform(0, gap_s)
        while at_s < load_s:
            offsets.append(int(at_s * NS_PER_S))
            at_s += gap_s if self.arrivals == "fixed" else draw.expovariate(rate_per_s)
        return offsets

    async def perform(self, client: Client, due: Due) -> Result:
        match due.operation:
            case "put":
                # lengths differ, so that replicas with different content differ in bytes too
                length = self.value_bytes - zlib.crc32(due.value.encode()) % 8
                revision = await client.put(due.home, due.key, due.value.ljust(length, PAD))
                return Result(due.value, revision)
            case "get":
                entry = await client.get(due.home, due.key)
                return Result(entry.value.rstrip(PAD), entry.revision) if entry else Result()
            case _:
                async with client.watch(due.home, f"{due.key}.*") as entries:
                    async for entry in entries:
                        if entry is None:
                            break
                return Result()
