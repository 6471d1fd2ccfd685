"""Evidence: whether the run may be believed at all; every gate of `GATES` must be met.

A gate that is not met makes the run unknown and says what was measured, the limit, and what to try
next; it is never a finding about the backend. What was not measured does not meet its gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.checkers import gates
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.measures.windows import MIN_DUE
from lab.verdict import Finding


@dataclass(frozen=True)
class Gate:
    """One condition of belief. `find` yields a phrase (measured value and limit) per violation;
    `needs_load`: it says nothing new about a run that never came under load."""

    name: str
    what: str
    limit: str
    next_step: str
    find: Callable[[History, Measurements, Experiment], Iterator[str]]
    needs_load: bool = True

    def sentences(self, history: History, done: Measurements, experiment: Experiment) -> list[str]:
        """One for all its violations, since their next step is the same; none when it is met."""
        found = "; ".join(self.find(history, done, experiment))
        return [f"{self.name} {found}: {self.next_step}"] if found else []


GATES = (
    Gate(
        "run", "the procedure ran to its end", "nothing broke, every phase began",
        "look into logs/ and repeat the run", gates.run, needs_load=False,
    ),
    Gate(
        "bypass", "no backend connection crosses regions outside the proxies", "none",
        "report it: the backend's rendered configuration lets it find a way round", gates.bypass,
        needs_load=False,
    ),
    Gate(
        "attested RTT", "both directions of every pair, as its witnesses measured them before load",
        f"within {gates.RTT_SLACK_MS:g} ms or {gates.RTT_SLACK:.0%} of the topology, whichever is more",
        "free the machine's processors and repeat", gates.attested,
        needs_load=False,
    ),
    Gate(
        "worker", "every region's worker said it was done", "all complete",
        "look for its last lines in logs/ and repeat the run", gates.workers,
    ),
    Gate(
        "sleep", "the machine did not sleep under load", "0 s",
        "keep the machine awake and repeat the run", gates.sleep,
    ),
    Gate(
        "loop lag", "p99 of how late a worker's event loop woke", f"≤ {gates.LOOP_LAG_MS:g} ms",
        "try a lower rate_per_s, or free the machine's processors", gates.loop_lag,
    ),
    Gate(
        "start", "p99 of how late operations were begun", f"≤ {gates.START_LATE_MS:g} ms",
        "try a lower rate_per_s, or free the machine's processors", gates.start,
    ),
    Gate(
        "operations", "due operations a window, in every region, overall and of each kind",
        f"≥ {MIN_DUE}, in windows of which {gates.WINDOWS_TO_TELL} fit into the shortest fault",
        "try a higher rate_per_s or longer phases", gates.operations,
    ),
    Gate(
        "steady", "availability in steady, in every region", f"≥ {gates.STEADY}",
        "try a longer steady_s or a lower rate_per_s; the errors of that region say more", gates.steady,
    ),
    Gate(
        "fault", "every planned fault was entered, seen by its witnesses, and left in its phase", "all",
        "repeat the run; if it stays, try a longer for_s", gates.faults,
    ),
    Gate(
        "leaders", "leaders were where the experiment wants them (leaders_in) when the first fault was entered",
        "all", "repeat the run, or ask for leaders_in: any", gates.leaders,
    ),
    Gate(
        "routes", "as many connections per pair of nodes after the heal as before", "none missing",
        "try a longer recovery_s", gates.routes,
    ),
)  # fmt: skip


def check(history: History, measurements: Measurements, experiment: Experiment) -> Finding:
    """valid: every gate is met; unknown: a sentence per gate that is not."""
    loaded = "load" in history.phases
    why = [
        sentence
        for gate in GATES
        if loaded or not gate.needs_load
        for sentence in gate.sentences(history, measurements, experiment)
    ]
    if why:
        return Finding(verdict="unknown", why=why)
    return Finding(verdict="valid", why=[f"all {len(GATES)} evidence gates are met"])
