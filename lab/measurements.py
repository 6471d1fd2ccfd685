"""What was measured in one run: the shape of `measurements.json`.

One key per measure; users' scripts read this file, so its JSON Schema is published. Instants are
seconds since the begin of `steady`; None means "not measurable from this history", never zero.
The meaning of every number is stated where it is computed, in the docstring of its measure.

Cuts: `overall`; by operation kind `put`, `get_own`, `get_others`, `watch`; by whose keys
`own_keys`, `others_keys`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MEASUREMENTS_SCHEMA = 1
DEFINITIONS_VERSION = 1
KINDS = ("put", "get_own", "get_others", "watch")
CUTS = ("overall", *KINDS, "own_keys", "others_keys")
PHASES = ("steady", "fault", "recovery")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Windows(_Model):
    """Availability over time: one value per window of `width_s`, from `begin_s` on."""

    begin_s: float
    width_s: int
    values: list[float]
    due: list[int]


class CutAvailability(_Model):
    """Availability of one region in one cut."""

    steady: float | None
    fault: float | None
    recovery: float | None
    due: int
    ok: int
    late: int = Field(description="completed ok, but after the deadline")
    longest_gap_s: float | None = Field(description="longest time under load without an ok in time")
    windows: Windows | None = Field(description="None when no window could hold 20 due operations")


class Percentiles(_Model):
    """Latency from the intended start, of operations that ended ok, in ms."""

    count: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class Outage(_Model):
    """One outage of one cut; `kind` tells availability from latency outages."""

    region: str
    cut: str
    kind: Literal["availability", "latency"]
    onset_s: float
    end_s: float
    ongoing: bool = Field(description="still out in the last window under load")
    depth: float = Field(description="steady - lowest window (availability); worst p99 in ms (latency)")
    lost_operations: int = Field(description="due within the outage and not ok in time")


class Propagation(_Model):
    """Fault entered -> onset of this region's first outage; None: never."""

    fault: int = Field(description="index of the fault; -1 stands for the nominal span of no-fault")
    region: str
    named: bool = Field(description="the fault names this region")
    delay_s: float | None
    by_kind: dict[str, float | None]


class BlastRadius(_Model):
    """Regions that fell without being named by a fault, and in which operation kinds."""

    regions: list[str]
    kinds: dict[str, list[str]]
    collateral_region_seconds: float
    second_wave: list[str] = Field(description="regions with an outage that began after the heal")


class Recovery(_Model):
    """Heal -> end of the region's last outage. 0 when it had none after the heal."""

    seconds: float | None
    never: bool
    never_resumed: list[str] = Field(description="home regions whose probe watch stayed dead")


class Staleness(_Model):
    """Age of what reads of others' keys returned, in one phase."""

    reads: int
    stale_reads: int
    p50_s: float | None
    max_s: float | None


class Lag(_Model):
    """Replication lag of one link in one phase, beyond the link's own delay; may be negative."""

    count: int
    p50_ms: float | None
    p99_ms: float | None
    unseen: int = Field(description="acknowledged writes never shown by the probe watch")


class Amplification(_Model):
    """Backend messages per completed operation, and how the fault multiplies them."""

    steady: float | None
    fault: float | None
    recovery: float | None
    ratio: float | None


class Durability(_Model):
    """Acknowledged writes that can't be read after settle."""

    acknowledged: int
    tested: int = Field(description="acknowledged writes that were never overwritten, one per key")
    lost: int | None = Field(description="None: keys could not be read back")
    lost_by_region: dict[str, int]
    examples: list[str]
    unread: int = Field(description="keys that some region could not read after settle")


class Divergence(_Model):
    """Keys or buckets whose replicas disagree after settle; None: the backend can't tell."""

    replicas: int
    divergent: int | None
    examples: list[str]


class LinkReading(_Model):
    """What the witness of one link read."""

    expected_ms: float
    attested_ms: float | None
    fault_ms: float | None = Field(description="median of the answers while a fault was in force")
    silent_in_fault: int
    answered_in_fault: int


class FaultBite(_Model):
    """Whether the witnesses saw a fault, link by link and node by node."""

    fault: str
    index: int
    entered_s: float
    left_s: float | None
    targets: list[str]
    links: dict[str, dict[str, Any]]
    nodes: dict[str, str] = Field(default={}, description="node -> the state it was put in")
    pulses: list[tuple[float, float | None]] = Field(
        default=[], description="(in force, heal began) of each time it was applied; one unless it comes and goes"
    )
    seen: bool
    why: list[str]


class Harness(_Model):
    """How the lab itself did in one region's worker."""

    loop_lag_p50_ms: float | None
    loop_lag_p99_ms: float | None
    loop_lag_max_ms: float | None
    start_late_p99_ms: float | None = Field(description="how late operations were begun, p99")
    shed: int
    in_flight_max: int
    complete: bool


class LeaderLane(_Model):
    """Who led one bucket (or `meta`) over time: (second, node or "") at every change."""

    changes: list[tuple[float, str]]
    at_fault: str | None = Field(description="node leading when the first fault was entered")


class Measurements(_Model):
    """Everything measured in one run."""

    schema_version: int = MEASUREMENTS_SCHEMA
    definitions_version: int = DEFINITIONS_VERSION
    phases: dict[str, tuple[float, float]] = Field(default_factory=dict)
    availability: dict[str, dict[str, CutAvailability]] = Field(default_factory=dict)
    latency: dict[str, dict[str, dict[str, Percentiles]]] = Field(
        default_factory=dict, description="region -> overall or operation kind -> phase"
    )
    outages: list[Outage] = Field(default_factory=list)
    propagation: list[Propagation] = Field(default_factory=list)
    blast_radius: BlastRadius | None = None
    recovery: dict[str, Recovery] = Field(default_factory=dict)
    staleness: dict[str, dict[str, Staleness]] = Field(default_factory=dict)
    replication_lag: dict[str, dict[str, Lag]] = Field(default_factory=dict)
    amplification: Amplification | None = None
    durability: Durability | None = None
    divergence: Divergence | None = None
    errors: dict[str, dict[str, int]] = Field(default_factory=dict)
    links: dict[str, LinkReading] = Field(default_factory=dict)
    faults: list[FaultBite] = Field(default_factory=list)
    leaders: dict[str, LeaderLane] = Field(default_factory=dict)
    harness: dict[str, Harness] = Field(default_factory=dict)
    slept_s: float | None = Field(default=None, description="how long the machine slept under load")
    routes_missing: list[str] | None = Field(
        default=None, description="server pairs with fewer connections than before; None: not told"
    )
