"""Watches: every probe watch that showed something in steady shows something again after the heal.

Unknown where no probe watch showed anything in steady or the last fault never left.
"""

from __future__ import annotations

import polars as pl

from lab.checkers.wording import listed
from lab.events import Visible
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.measures.harm import heal_s
from lab.verdict import Finding


def check(history: History, measurements: Measurements, experiment: Experiment) -> Finding:
    """invalid: a watch stayed dead after the heal; valid: all resumed."""
    dead = {region: r.never_resumed for region, r in measurements.recovery.items() if r.never_resumed}
    if dead:
        told = "; ".join(f"{region}'s watch on the keys of {listed(homes)}" for region, homes in dead.items())
        return Finding(verdict="invalid", why=[f"never resumed after the heal: {told}"])
    if heal_s(history) is None:
        return Finding(verdict="unknown", why=["there was no heal after which watches could resume"])
    steady = history.phases["steady"]
    seen = history.table(Visible).filter(pl.col("at_ns").is_between(steady.begin_ns, steady.end_ns))
    if seen.is_empty():
        return Finding(verdict="unknown", why=["no probe watch showed anything in steady"])
    return Finding(verdict="valid", why=["every probe watch resumed after the heal"])
