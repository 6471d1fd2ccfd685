"""Leader of a bucket (or of `meta`): at every sampling the node most nodes name as leader, where
naming none counts as a vote for none; its lane lists every change.

Samples of one sampling share their instant. A tie goes to the name that sorts first, none before
all. `at_fault` is who led when the first fault was entering (without one: when the nominal fault
phase began); None if nothing was sampled before.
"""

from __future__ import annotations

import polars as pl

from lab.history import History
from lab.measurements import LeaderLane, Measurements
from lab.measures.harm import begin_s


def measure(history: History, done: Measurements) -> dict[str, LeaderLane]:
    """Bucket or `meta` → lane; {} when the backend names no leaders or steady never began."""
    if "steady" not in history.phases:
        return {}
    votes = history.samples.filter(pl.col("name") == "leader").group_by("subject", "at_ns", "text").len()
    elected = votes.sort(["len", "text"], descending=[True, False]).unique(
        ["subject", "at_ns"], keep="first", maintain_order=True
    )
    lanes: dict[str, list[tuple[float, str]]] = {}
    for subject, at_ns, leader in elected.sort("subject", "at_ns").select("subject", "at_ns", "text").rows():
        lane = lanes.setdefault(subject, [])
        if not lane or lane[-1][1] != leader:
            lane.append((history.second(at_ns), leader))
    since_s = begin_s(history)
    return {subject: LeaderLane(changes=lane, at_fault=_at(lane, since_s)) for subject, lane in lanes.items()}


def _at(lane: list[tuple[float, str]], second: float | None) -> str | None:
    before = [leader for since_s, leader in lane if second is not None and since_s <= second]
    return before[-1] if before else None
