"""Durability: no acknowledged write is lost after settle.

Invalid as soon as one loss is certain, even where other keys could not be read back; unknown where
none is, but keys could not be read or nothing was acknowledged.
"""

from __future__ import annotations

from lab.experiment import Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.verdict import Finding


def check(history: History, measurements: Measurements, experiment: Experiment) -> Finding:
    """invalid: a loss is certain; valid: every key's newest acknowledged write was read back."""
    durability = measurements.durability
    if durability is None or not durability.acknowledged:
        return Finding(verdict="unknown", why=["no write was acknowledged, so none could be lost"])
    certain = sum(durability.lost_by_region.values())
    of = f"of {durability.acknowledged} acknowledged writes"
    if certain:
        least = "at least " if durability.lost is None else ""
        first = f", first {durability.examples[0]}" if durability.examples else ""
        return Finding(verdict="invalid", why=[f"{least}{certain} {of} can't be read{first}"])
    if durability.lost is None:
        missing = f"{durability.unread} reads after settle failed or lack"
        return Finding(verdict="unknown", why=[f"some keys could be read back nowhere: {missing}"])
    tested = f"the {durability.tested} that were never overwritten were all read back"
    return Finding(verdict="valid", why=[f"none {of} was seen lost; {tested}"])
