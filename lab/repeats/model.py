"""What repeats of one experiment on one arm came to: the shape of `repeats-….json`.

Users' scripts read this file, so its JSON Schema is published (`lab schema repeats`). Runs whose
verdict is `unknown` are named, and left out of every number. None means "not measured in any run",
never zero. What each number means is stated where it is measured (see `lab.measurements`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from lab.measurements import DEFINITIONS_VERSION

REPEATS_SCHEMA = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Spread(_Model):
    """One number over the runs: its mean, how far that can be trusted, and the extremes."""

    values: list[float | None] = Field(description="one per entry of `seeds`; None: that run has no such number")
    count: int = Field(description="how many runs have it")
    mean: float
    interval: tuple[float, float] | None = Field(
        description="95 % interval of the mean over seeds (Student's t); None of fewer than 3 values; "
        "without width when all are equal"
    )
    least: float
    most: float


class Cut(_Model):
    """One operation kind, or `overall`, of one region."""

    steady: Spread | None = Field(description="availability, 0–1")
    fault: Spread | None
    recovery: Spread | None
    runs_with_outage: int
    runs_measured: int = Field(description="in how many runs an outage could have been seen")
    longest_outage_s: Spread | None = Field(description="of the runs that had one")
    out_after_s: Spread | None = Field(description="fault entered -> first onset, of the runs that had one")
    longest_gap_s: Spread | None
    p99_steady_ms: Spread | None
    p99_fault_ms: Spread | None


class Region(_Model):
    """One region: its cuts, and what is known of it as a whole."""

    named: bool = Field(description="a fault names this region")
    cuts: dict[str, Cut]
    recovery_s: Spread | None = Field(description="of the runs in which it recovered")
    runs_never_recovered: int
    staleness_p50_s: Spread | None = Field(description="of reads of others' keys, in the fault phase")
    staleness_max_s: Spread | None
    writes_lost: int | None = Field(description="acknowledged writes lost, summed over the runs")


class Fallen(_Model):
    """In how many runs a region was in the blast radius, and by which operation kinds."""

    runs: int
    kinds: dict[str, int]


class Survivors(_Model):
    """The regions that no fault names, in each run the worst of them."""

    availability_in_fault: Spread | None
    out_after_s: Spread | None = Field(description="the first one out; of the runs in which one was")
    recovery_s: Spread | None = Field(description="the last one back; of the runs in which all came back")
    staleness_p50_s: Spread | None


class Unknown(_Model):
    """A run that proves nothing."""

    seed: int
    run: str
    why: list[str]


class Repeats(_Model):
    """Runs of one experiment on one topology and arm with leaders placed alike, one per seed."""

    schema_version: int = REPEATS_SCHEMA
    definitions_version: int = DEFINITIONS_VERSION
    experiment: str
    topology: str
    arm: str
    leaders_in: str
    seeds: list[int] = Field(description="of the runs that count, ascending")
    runs: list[str] = Field(description="their directories' names, in the same order")
    verdicts: dict[str, int] = Field(description="verdict -> runs, `unknown` among them")
    as_expected: int
    unknown: list[Unknown] = Field(description="runs left out of every number")
    regions: dict[str, Region]
    survivors: Survivors
    blast_radius: dict[str, Fallen]
    second_wave: dict[str, int] = Field(description="region -> runs in which it fell after the heal")
    longest_outage_s: Spread | None = Field(description="within the blast radius; 0 in a run where it is empty")
    collateral_region_seconds: Spread | None
    writes_lost: Spread | None
