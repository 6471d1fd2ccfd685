"""Convergence: after settle all regions and replicas hold the same content.

Unknown where the backend can't tell and the regions did not all read everything back.
"""

from __future__ import annotations

from lab.experiment import Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.verdict import Finding


def check(history: History, measurements: Measurements, experiment: Experiment) -> Finding:
    """invalid: keys or buckets disagree; valid: everything compared agrees."""
    divergence = measurements.divergence
    if divergence is None or divergence.divergent is None:
        return Finding(
            verdict="unknown",
            why=["not every region read every key back after settle, and no replicas were compared"],
        )
    if divergence.divergent:
        first = f", first {divergence.examples[0]}" if divergence.examples else ""
        return Finding(verdict="invalid", why=[f"{divergence.divergent} keys or buckets disagree after settle{first}"])
    return Finding(verdict="valid", why=["all regions and replicas agree after settle"])
