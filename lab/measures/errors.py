"""Errors: operations due under load that were not ok in time, counted by region and code.

The code is what the client reported, the outcome where it reported none, and `late` for operations
that were ok, but after their deadline.
"""

from __future__ import annotations

import polars as pl

from lab.history import History
from lab.measurements import Measurements
from lab.measures.operations import load_operations, load_span


def measure(history: History, done: Measurements) -> dict[str, dict[str, int]]:
    """Region → code → count, most frequent first; {} when nothing ran under load."""
    if load_span(history) is None:
        return {}
    code = (
        pl.when(pl.col("outcome") == "ok")
        .then(pl.lit("late"))
        .when(pl.col("error") != "")
        .then(pl.col("error"))
        .otherwise(pl.col("outcome"))
    )
    counts = (
        load_operations(history)
        .filter(~pl.col("in_time"))
        .group_by("region", code.alias("code"))
        .len()
        .sort(["len", "code"], descending=[True, False])
    )
    found: dict[str, dict[str, int]] = {region: {} for region in history.topology.regions}
    for region, name, count in counts.iter_rows():
        found.setdefault(region, {})[name] = count
    return found
