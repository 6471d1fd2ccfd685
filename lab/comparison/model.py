"""What runs of several arms came to beside each other: the shape of `comparison.json`.

Every number is one entry, with all arms in it, so that a script finds them beside each other, too.
None means "not measured", never zero. What each number means is stated where it is measured (see
`lab.measurements`); its unit ends its name, `availability` is a share of 0–1.
"""

from __future__ import annotations

from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from lab.measurements import DEFINITIONS_VERSION
from lab.repeats.model import Fallen, Spread
from lab.verdict import VerdictWord

COMPARISON_SCHEMA = 1
PerArm = dict[str, Spread | None]
Key = tuple[str, str, str, str]
"""A number's name, where it is of (region, link `a->b` or ""), cut and phase ("" where it has none)."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Number(_Model):
    """One number on every arm."""

    what: str = Field(description="availability, p50_ms, p99_ms, longest_gap_s, staleness_max_s, writes_lost, …")
    where: str = Field(description='a region, a link "a->b", or "" for the whole run')
    cut: str = Field(description='overall or an operation kind; of `errors` the code; "" where it has none')
    phase: str = Field(description='steady, fault, recovery; "" for the whole load')
    arms: PerArm = Field(description="arm -> its number over `seeds`")
    differences: PerArm = Field(description="arm -> itself minus the first arm, seed by seed")
    controls: PerArm = Field(description="arm -> the same number in its runs without a fault; {} without such runs")

    @property
    def key(self) -> Key:
        return (self.what, self.where, self.cut, self.phase)


class ArmRun(_Model):
    """One run of an arm."""

    seed: int
    run: str = Field(description="where it lies below results/")
    verdict: VerdictWord
    as_expected: bool
    checkers: dict[str, VerdictWord]
    counts: bool = Field(description="its numbers are in here")


class Arm(_Model):
    """What one arm came to as a whole."""

    arm: str
    programs: dict[str, str] = Field(description="server program -> version")
    runs: list[ArmRun] = Field(description="by seed, also those that don't count")
    blast_radius: dict[str, Fallen] = Field(description="over the runs that count")
    second_wave: dict[str, int] = Field(description="region -> runs in which it fell after the heal")
    controls: list[str] = Field(description="its runs of the same load without a fault, whose numbers are `controls`")


class LeftOut(_Model):
    """A run that no number is made of."""

    arm: str
    seed: int
    run: str
    why: str


class Comparison(_Model):
    """Runs of one experiment on one topology with leaders placed alike, of several arms."""

    schema_version: int = COMPARISON_SCHEMA
    definitions_version: int = DEFINITIONS_VERSION
    experiment: str
    question: str
    topology: str
    leaders_in: str
    regions: dict[str, bool] = Field(description="region -> whether a fault names it, in the topology's order")
    seeds: list[int] = Field(description="that every arm proved something with; of these are all numbers")
    arms: dict[str, Arm] = Field(description="by name, the one that differences are from first")
    left_out: list[LeftOut]
    numbers: list[Number]

    def number(self, what: str, where: str = "", cut: str = "", phase: str = "") -> Number:
        """The entry of that name; one that no arm has where nobody measured it."""
        found = self._by_key.get((what, where, cut, phase))
        return found or Number(what=what, where=where, cut=cut, phase=phase, arms={}, differences={}, controls={})

    def of(self, what: str) -> list[Number]:
        """Every entry of that name, as they lie."""
        return [number for number in self.numbers if number.what == what]

    @property
    def first(self) -> str:
        """The arm that differences are from."""
        return next(iter(self.arms))

    @property
    def decides(self) -> bool:
        """Whether at least two arms proved something with the same seed."""
        return sum(any(run.counts for run in arm.runs) for arm in self.arms.values()) > 1

    @property
    def others(self) -> list[str]:
        """The arms that have differences: all but the first."""
        return list(self.arms)[1:]

    @cached_property
    def _by_key(self) -> dict[Key, Number]:
        return {number.key: number for number in self.numbers}
