"""What each evidence gate looks at: one function a gate, yielding a phrase per violation.

A phrase gives the measured value and its limit, and reads on from the gate's name. The table that
names the gates and their next steps is in `evidence`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import polars as pl

from lab.checkers.wording import listed
from lab.clock import NS_PER_S
from lab.events import FaultMark, Note
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import KINDS, PHASES, Measurements
from lab.measures.windows import MIN_DUE
from lab.topology import Link

STEADY = 0.99
LOOP_LAG_MS = 10.0
START_LATE_MS = 20.0
LEFT_LATE_S = 2.0  # a heal takes a moment; what stays longer would be measured as recovery
WINDOWS_TO_TELL = 3  # any stretch of three window widths holds two whole windows
RTT_SLACK_MS = 5.0
RTT_SLACK = 0.05
META = "meta"


def run(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    for name, text in _notes(history, "broken", "interrupted"):
        yield f"{name} ({text})" if text else name
    missing = [phase for phase in (*PHASES, "settle") if phase not in history.phases]
    if missing:
        yield f"incomplete, {listed(missing)} never began"


def bypass(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    for _, text in _notes(history, "bypass"):
        yield f"found ({text})"


def attested(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    for a, b in combinations(history.topology.regions, 2):
        wanted_ms = history.topology.rtt(a, b)
        slack_ms = max(RTT_SLACK_MS, RTT_SLACK * wanted_ms)
        there, back = (done.links.get(str(link)) for link in (Link(a, b), Link(b, a)))
        if not there or not back or there.attested_ms is None or back.attested_ms is None:
            yield f"of {a}-{b} not measured, expected {wanted_ms:g} ms"
        elif abs(there.attested_ms + back.attested_ms - wanted_ms) > slack_ms:
            measured_ms = there.attested_ms + back.attested_ms
            yield f"of {a}-{b} {measured_ms:.1f} ms, expected {wanted_ms:g} ms ± {slack_ms:g} ms"


def workers(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    complete = {region for region, harness in done.harness.items() if harness.complete}
    incomplete = [region for region in history.topology.regions if region not in complete]
    if incomplete:
        yield f"of {listed(incomplete)} never said it was done"


def sleep(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    if done.slept_s:
        yield f"of {done.slept_s:.1f} s > 0 s under load"


def loop_lag(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    for region in history.topology.regions:
        harness = done.harness.get(region)
        p99_ms = harness.loop_lag_p99_ms if harness else None
        if p99_ms is None:
            yield f"not measured in {region}"
        elif p99_ms > LOOP_LAG_MS:
            yield f"p99 {p99_ms:.1f} ms > {LOOP_LAG_MS:g} ms in {region}"


def start(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    for region in history.topology.regions:
        harness = done.harness.get(region)
        if harness and harness.start_late_p99_ms is not None and harness.start_late_p99_ms > START_LATE_MS:
            yield f"p99 {harness.start_late_p99_ms:.1f} ms late > {START_LATE_MS:g} ms in {region}"


def operations(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    """A kind whose windows are so wide that an outage as long as the fault need not fill two of them
    whole can't show one; its silence is no evidence."""
    fault_s = _shortest_fault_s(history)
    for region, cut in product(history.topology.regions, ("overall", *KINDS)):
        cell = done.availability.get(region, {}).get(cut)
        if cell is None or cell.windows is None:
            yield f"too few of {cut} in {region}, {cell.due if cell else 0} due and no window with {MIN_DUE}"
        elif WINDOWS_TO_TELL * cell.windows.width_s > fault_s:
            yield (
                f"too few of {cut} in {region}, windows of {cell.windows.width_s} s "
                f"can't tell of an outage in {fault_s:.0f} s"
            )


def _shortest_fault_s(history: History) -> float:
    """The shortest fault, from entering to left (a flapping one from its first cut to its last heal);
    the fault phase where none was entered. 0 s for a run that never came that far."""
    if "fault" not in history.phases:
        return 0.0
    ends = [(fault.entering_ns, fault.left_ns or history.last_ns) for fault in history.faults]
    return min(((end_ns - begin_ns) / NS_PER_S for begin_ns, end_ns in ends), default=history.phases["fault"].seconds)


def steady(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    for region in history.topology.regions:
        cell = done.availability.get(region, {}).get("overall")
        if cell is None or cell.steady is None:
            yield f"availability not measured in {region}"
        elif cell.steady < STEADY:
            yield f"availability {cell.steady:.4f} < {STEADY} in {region}"


def faults(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    marks = history.table(FaultMark)
    entered = marks.filter(pl.col("state") == "entered")["index"].n_unique()
    if entered < len(experiment.faults):
        yield f"never entered, {entered} of {len(experiment.faults)} planned were"
    for bite in done.faults:
        if not bite.seen:
            yield f"{bite.index} ({bite.fault}) not seen by its witnesses, {'; '.join(bite.why)}"
        if bite.left_s is None:
            yield f"{bite.index} ({bite.fault}) never left"
        elif "fault" in history.phases and (late_s := bite.left_s - _fault_ends_s(history)) > LEFT_LATE_S:
            yield f"{bite.index} ({bite.fault}) left {late_s:.1f} s after its phase > {LEFT_LATE_S:g} s"


def _fault_ends_s(history: History) -> float:
    return history.second(history.phases["fault"].end_ns)


def leaders(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    """Buckets are named like their home region; a backend without leaders meets the gate."""
    if experiment.leaders_in == "any":
        return
    if not done.leaders and "leaders" in _tells(history):
        yield "not sampled"
    named = sorted({region for fault in history.faults for region in fault.targets})
    for subject, lane in done.leaders.items():
        allowed = _allowed(subject, experiment.leaders_in, named, history.topology.region_names)
        if allowed is not None and (lane.at_fault or "").partition("-")[0] not in allowed:
            leader = lane.at_fault or "nobody"
            yield f"of {subject} {leader} at the fault, wanted in {listed(allowed)}"


def routes(history: History, done: Measurements, experiment: Experiment) -> Iterator[str]:
    if done.routes_missing is None and "connections" in _tells(history):
        yield "not counted"
    if done.routes_missing:
        yield f"not refilled, {', '.join(done.routes_missing)}"


def _allowed(subject: str, leaders_in: str, named: list[str], regions: tuple[str, ...]) -> list[str] | None:
    """The regions that may lead a subject; None: any may."""
    if subject != META and subject not in regions:
        return None
    outside = [region for region in regions if region not in named]
    if leaders_in == "home":
        return [subject] if subject != META else outside or None
    if not named:
        return None
    return named if leaders_in == "faulted" else outside


def _tells(history: History) -> set[str]:
    """What this backend can tell, as the runner noted."""
    return {word for _, text in _notes(history, "tells") for word in text.split()}


def _notes(history: History, *names: str) -> list[tuple[str, str]]:
    """(name, text) of the notes with these names, each once."""
    notes = history.table(Note).filter(pl.col("name").is_in(names))
    return list(dict.fromkeys(notes.select("name", "text").rows()))
