"""How long and how much: the full benchmark, and a quick one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """pairs: rounds in which ours and theirs take turns, after one that doesn't count.

    window_s: of one measurement; ramp_s: before it, not counted. rate_per_s: of puts where latency is
    looked at alone, so that both stores carry the same load. probe_per_s: the same in each region while a
    partition heals.
    """

    pairs: int = 5
    ramp_s: float = 0.5
    window_s: float = 4.0
    in_flight: int = 500
    rate_per_s: float = 200.0
    settle_s: float = 3.0
    lag_s: float = 20.0
    lag_per_s: float = 1000.0
    partition_s: float = 60.0
    changed: int = 100_000
    probe_per_s: float = 200.0
    records: int = 1_000_000


FULL = Sizes()
QUICK = Sizes(
    pairs=2, ramp_s=0.2, window_s=1.0, settle_s=1.0, lag_s=3.0, partition_s=4.0, changed=2_000, records=20_000
)
