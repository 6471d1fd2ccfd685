"""What the servers said around the onset: the few log lines that may explain it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.report import partial
from lab.results import Run

BEFORE_S, AFTER_S, MOST_LINES = 2.0, 12.0, 20
# what tells of trouble in the logs of NATS and of the lab's own store, gravest first
TELLING = (
    re.compile(r"\[FTL\]|\[ERR\]|\bfatal\b|\bpanic\b|\berror\b", re.IGNORECASE),
    re.compile(r"leader|election|quorum|step.?down|slow (consumer|peer)|stalled|no heartbeat", re.IGNORECASE),
    re.compile(r"\[WRN\]|route|gateway|leafnode|connect|stale|timeout|suspect|dead", re.IGNORECASE),
)


@dataclass(frozen=True)
class LogLine:
    """One line of one node's log, `second` counted from the begin of steady."""

    second: float
    node: str
    region: str
    text: str


def log_lines(run: Run) -> list[LogLine]:
    """The ≤ 20 most telling lines from 2 s before to 12 s after a fault or an outage's onset, by time."""
    past = partial.history(run)
    if past is None:
        return []
    moments = _moments(run)
    lines = [
        LogLine(past.second(row["at_ns"]), row["node"], row["region"], row["text"])
        for row in past.samples.filter(past.samples["name"] == "log").sort("at_ns").to_dicts()
    ]
    near = [line for line in lines if any(-BEFORE_S <= line.second - moment <= AFTER_S for moment in moments)]
    return _most_telling(near)


def _moments(run: Run) -> list[float]:
    entered = [fault.entered_s for fault in partial.faults(run)[:3]]
    first: dict[str, float] = {}
    for outage in partial.measured(run).outages:
        first[outage.region] = min(outage.onset_s, first.get(outage.region, outage.onset_s))
    return entered + list(first.values())


def _most_telling(lines: list[LogLine]) -> list[LogLine]:
    """Graver lines first, then earlier ones; a line that a node repeats counts once."""
    once = list({(line.node, _shape(line.text)): line for line in reversed(lines)}.values())
    told = [line for line in once if _rank(line) < len(TELLING)]
    kept = sorted(told, key=lambda line: (_rank(line), line.second))[:MOST_LINES]
    return sorted(kept, key=lambda line: line.second)


def _rank(line: LogLine) -> int:
    return next((rank for rank, pattern in enumerate(TELLING) if pattern.search(line.text)), len(TELLING))


def _shape(text: str) -> str:
    """A line without its numbers: times, ports and counters are what repeated lines differ in."""
    return re.sub(r"\d+", "#", text)
