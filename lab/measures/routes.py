"""Routes missing: pairs of nodes that hold fewer backend connections after the heal than when the
first fault was entered, as sentences `us-1–sg-2: 4 → 3`.
"""

from __future__ import annotations

import polars as pl

from lab.events import Connections
from lab.history import History
from lab.measurements import Measurements


def measure(history: History, done: Measurements) -> list[str] | None:
    """None when connections were not counted both before the fault and after the heal."""
    counted = history.table(Connections)
    before = _counts(counted, "entered", "first")
    after = _counts(counted, "settled", "last")
    if not before or not after:
        return None
    return [
        f"{node}–{peer}: {count} → {after.get((node, peer), 0)}"
        for (node, peer), count in sorted(before.items())
        if after.get((node, peer), 0) < count
    ]


def _counts(counted: pl.DataFrame, when: str, which: str) -> dict[tuple[str, str], int]:
    rows = counted.filter(pl.col("when") == when).select("node", "peer", "count").rows()
    ordered = rows if which == "last" else rows[::-1]
    return {(node, peer): count for node, peer, count in ordered}
