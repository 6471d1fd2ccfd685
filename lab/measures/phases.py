"""The phases of a run: begin and end of each, in seconds since the begin of steady.

`load` spans steady to recovery. A phase ends where the next begins; the last one of a broken run
ends with its last line.
"""

from __future__ import annotations

from lab.history import History
from lab.measurements import Measurements


def measure(history: History, done: Measurements) -> dict[str, tuple[float, float]]:
    """Phase → (begin, end); {} when steady never began, since then there is no second 0."""
    if "steady" not in history.phases:
        return {}
    return {name: (history.second(span.begin_ns), history.second(span.end_ns)) for name, span in history.phases.items()}
