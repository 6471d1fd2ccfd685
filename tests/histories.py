"""Histories made by hand, for tests of everything that reads one: exact to the operation.

    made = Made(steady_s=12, fault_s=30, recovery_s=20)
    made.fault("latency", targets=["sg"], at_s=12, left_s=42)
    made.load(out=[Out("us", 13.2, 42.0, ("put",))])
    history = made.history()

All seconds count from the begin of steady. Load is due at even distances (40 puts a second are due
at 0, 25, 50 … ms), takes 5 ms, and never fails but where an `Out` says so. `good_run` is a whole run
that meets every evidence gate.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.events import (
    AnyEvent,
    Connections,
    FaultMark,
    LoopLag,
    NodeReading,
    Note,
    Operation,
    Phase,
    Replica,
    Sample,
    Visible,
    WitnessReading,
    WorkerMark,
)
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import KINDS, Measurements
from lab.measures import MEASURES
from lab.topology import Topology

ZERO_NS = 1_000_000_000_000
DEADLINE_S = 2.0
RATES = {"put": 40, "get_own": 30, "get_others": 26, "watch": 4}
TOPOLOGY = Topology.model_validate(
    {
        "name": "three",
        "regions": {"us": {"nodes": 3}, "eu": {"nodes": 3}, "sg": {"nodes": 3}},
        "rtt_ms": {"us-eu": 80, "us-sg": 200, "eu-sg": 160},
    }
)


def at(second: float) -> int:
    """A second of the run as an instant."""
    return ZERO_NS + round(second * 1e9)


@dataclass(frozen=True)
class Out:
    """Operations of a region due within [begin, end) time out; with `took_ms` they are ok, but slow.
    `every`: only every such one of a kind."""

    region: str
    begin_s: float
    end_s: float
    kinds: tuple[str, ...] = KINDS
    took_ms: float | None = None
    every: int = 1

    def hits(self, region: str, kind: str, due_s: float, number: int) -> bool:
        inside = self.begin_s - 1e-9 <= due_s < self.end_s - 1e-9
        return inside and region == self.region and kind in self.kinds and number % self.every == 0


class Made:
    """A history in the making. Its methods add lines; `history` closes it."""

    def __init__(
        self,
        steady_s: float = 12,
        fault_s: float = 30,
        recovery_s: float = 20,
        topology: Topology = TOPOLOGY,
        **experiment: Any,
    ) -> None:
        self.topology = topology
        self.bounds = {
            "steady": 0.0, "fault": steady_s, "recovery": steady_s + fault_s,
            "settle": steady_s + fault_s + recovery_s,
        }  # fmt: skip
        self.load_s = self.bounds["settle"]
        self.events: list[AnyEvent] = []
        self.samples: list[Sample] = []
        shape = {"steady_s": steady_s, "fault_s": fault_s, "recovery_s": recovery_s}
        self.experiment = Experiment.model_validate(
            {"name": "made", "topology": "three", "phases": shape, **experiment}
        )

    # -- the frame ------------------------------------------------------------------------------

    def phases(self, upto: str = "end") -> Made:
        """Every phase mark, or only those before `upto`; a settle of 8 s."""
        bounds = {**self.bounds, "end": self.load_s + 8}
        names = list(bounds) if upto == "end" else list(bounds)[: list(bounds).index(upto)]
        self.events += [Phase(at_ns=at(bounds[name]), phase=name) for name in names]
        return self

    def states(self, node: str, *readings: tuple[float, str]) -> Made:
        """What the system said of a node's process: (second, running | paused | gone)."""
        self.events += [NodeReading(at_ns=at(second), node=node, state=state) for second, state in readings]
        return self

    def fault(
        self,
        fault: str = "latency",
        targets: Sequence[str] = ("sg",),
        at_s: float = 12,
        left_s: float | None = 42,
        links: Mapping[str, dict[str, Any]] | None = None,
        index: int = 0,
        nodes: Mapping[str, str] | None = None,
        pulse: int = 0,
    ) -> Made:
        """A fault: entered 20 ms after entering, left 20 ms after leaving (0 and 0 at `left_s`).
        One that comes and goes: one call a pulse."""
        marks = [("entering", at_s), ("entered", at_s + 0.02)]
        marks += [("leaving", left_s - 0.02), ("left", left_s)] if left_s is not None else []
        for state, second in marks:
            mark = FaultMark(
                at_ns=at(second), index=index, fault=fault, state=state,
                targets=list(targets), links=dict(links or {}), nodes=dict(nodes or {}), pulse=pulse,
            )  # fmt: skip
            self.events.append(mark)
        return self

    def note(self, name: str, text: str = "", second: float = 0) -> Made:
        self.events.append(Note(at_ns=at(second), name=name, text=text))
        return self

    # -- operations -----------------------------------------------------------------------------

    def operation(self, region: str, kind: str, due_s: float, *, took_ms: float | None = 5, **fields: Any) -> Made:
        """One operation; `kind` as in measurements. `took_ms` None: still open at the end."""
        ended_ns = 0 if took_ms is None else at(due_s + took_ms / 1000)
        others = [name for name in self.topology.regions if name != region]
        defaults = {
            "home": others[0] if kind == "get_others" else region,
            "operation": "get" if kind.startswith("get") else kind,
            "key": "idle" if kind != "put" else "k0",
            "started_ns": at(due_s),
            "outcome": "info" if took_ms is None else "ok",
        }
        line = {"region": region, "ended_ns": ended_ns, **defaults, **fields}
        self.events.append(Operation(at_ns=at(due_s), **line))
        return self

    def load(
        self,
        out: Iterable[Out] = (),
        rates: Mapping[str, int] = RATES,
        regions: Iterable[str] | None = None,
        upto_s: float | None = None,
    ) -> Made:
        """Every region's operations from 0 to the end of load. Puts go round ten keys, with
        revisions that grow; gets read a key that is never written."""
        outs = list(out)
        for region in regions or self.topology.regions:
            for kind, rate in rates.items():
                for number in range(round((self.load_s if upto_s is None else upto_s) * rate)):
                    self._scheduled(region, kind, number, number / rate, outs)
        return self

    def _scheduled(self, region: str, kind: str, number: int, due_s: float, outs: list[Out]) -> None:
        fields: dict[str, Any] = {}
        if kind == "put":
            fields = {"key": f"k{number % 10}", "value": f"{region}-{number}", "revision": f"{number:08d}"}
        hit = next((o for o in outs if o.hits(region, kind, due_s, number)), None)
        if hit is None or hit.took_ms is not None:
            took_ms = 5.0 if hit is None or hit.took_ms is None else hit.took_ms
            self.operation(region, kind, due_s, took_ms=took_ms, **fields)
        else:
            failed: dict[str, Any] = {**fields, "revision": "", "outcome": "info", "error": "timeout"}
            self.operation(region, kind, due_s, took_ms=DEADLINE_S * 1000, **failed)

    def put(self, home: str, key: str, revision: str, value: str, due_s: float = 5, **fields: Any) -> Made:
        """One acknowledged write."""
        return self.operation(home, "put", due_s, key=key, revision=revision, value=value, **fields)

    def read_back(
        self, region: str, home: str, key: str, revision: str, value: str, *, ok: bool = True,
        second: float | None = None,
    ) -> Made:  # fmt: skip
        """One read of settle."""
        due_s = self.load_s + 4 if second is None else second
        found: dict[str, Any] = (
            {"revision": revision, "value": value} if ok else {"outcome": "fail", "error": "timeout"}
        )
        return self.operation(region, "get_own", due_s, home=home, key=key, phase="settle", **found)

    def read_back_all(self) -> Made:
        """Every region reads the newest acknowledged write of every key."""
        newest: dict[tuple[str, str], tuple[str, str]] = {}
        for line in self.events:
            if isinstance(line, Operation) and line.operation == "put" and line.outcome == "ok":
                known = newest.get((line.home, line.key), ("", ""))
                newest[line.home, line.key] = max(known, (line.revision, line.value))
        for (home, key), (revision, value) in newest.items():
            for region in self.topology.regions:
                self.read_back(region, home, key, revision, value)
        return self

    def visible(self, region: str, home: str, key: str, revision: str, second: float) -> Made:
        self.events.append(Visible(at_ns=at(second), region=region, home=home, key=key, revision=revision))
        return self

    def replica(self, bucket: str, node: str, digest: str) -> Made:
        region = node.partition("-")[0]
        second = at(self.load_s + 6)
        self.events.append(Replica(at_ns=second, region=region, node=node, bucket=bucket, digest=digest))
        return self

    # -- the lab's own lines ----------------------------------------------------------------------

    def lags(
        self,
        lag_ms: float = 1.0,
        regions: Iterable[str] | None = None,
        *,
        asleep: tuple[float, float] = (0, 0),
    ) -> Made:
        """A lag line every 100 ms (workers write one every 20 ms), none within `asleep`."""
        ticks = [tick / 10 for tick in range(round(self.load_s * 10)) if not asleep[0] < tick / 10 < asleep[1]]
        for region in regions or self.topology.regions:
            self.events += [LoopLag(at_ns=at(second), region=region, lag_ms=lag_ms) for second in ticks]
        return self

    def workers(self, *done: str) -> Made:
        for region in done or self.topology.region_names:
            second = at(self.load_s + 2)
            self.events.append(WorkerMark(at_ns=second, region=region, state="done", in_flight_max=7))
        return self

    def probe(self, link: str, second: float, delay_ms: float, answer: str = "ok", stage: str = "run") -> Made:
        source, _, target = link.partition("->")
        ends = {"source": source, "target": target}
        reading = WitnessReading(at_ns=at(second), **ends, answer=answer, delay_ms=delay_ms, stage=stage)
        self.events.append(reading)
        return self

    def attest(self, extra_ms: float = 0.5) -> Made:
        """Three readings of every link before the load, each `extra_ms` above the topology."""
        for link in self.topology.links:
            for i in range(3):
                delay_ms = self.topology.one_way_ms(link) + extra_ms
                self.probe(str(link), -20 + i, delay_ms, stage="attest")
        return self

    def connection(self, node: str, peer: str, count: int, when: str) -> Made:
        second = at(self.bounds["fault"] if when == "entered" else self.load_s + 5)
        self.events.append(Connections(at_ns=second, node=node, peer=peer, count=count, when=when))
        return self

    def leader(self, subject: str, leader: str, second: float, voters: Iterable[str] = ("us-1",)) -> Made:
        self.samples += [_sample(second, node, "leader", subject=subject, text=leader) for node in voters]
        return self

    def total(self, node: str, second: float, number: float) -> Made:
        """A node's running total of messages."""
        self.samples.append(_sample(second, node, "messages_total", number=number))
        return self

    def history(self) -> History:
        return History.of(self.events, self.samples, self.topology, self.experiment)


def _sample(second: float, node: str, name: str, **fields: Any) -> Sample:
    return Sample(at_ns=at(second), node=node, region=node.partition("-")[0], name=name, **fields)


def links_of(region: str, harm: dict[str, Any], topology: Topology = TOPOLOGY) -> dict[str, dict[str, Any]]:
    """Every link of a region with the same harm, as a fault records it."""
    return {str(link): dict(harm) for link in topology.links_of(region)}


def good_run(out: Iterable[Out] = (), **experiment: Any) -> Made:
    """A run that meets every gate: sg slowed by 1 s from 12 to 42 s, seen by its witnesses."""
    links = links_of("sg", {"latency_ms": 1000.0})
    made = Made(faults=[{"latency": {"region": "sg", "add_ms": 1000}}], **experiment)
    made.phases().attest().fault(links=links).load(out).read_back_all().lags().workers()
    for name in links:
        source, _, target = name.partition("->")
        slow_ms = made.topology.rtt(source, target) / 2 + 1000
        for second in range(13, 40, 3):
            made.probe(name, second, slow_ms)
    for home in made.topology.regions:
        made.leader(home, f"{home}-1", 1)
        for region in made.topology.regions:
            made.visible(region, home, "k0", "00000000", 1).visible(region, home, "k0", "00002400", 60.1)
    return made.leader("meta", "us-2", 1)


def measured(history: History, *names: str) -> Measurements:
    """The measurements of a history: all, or those named and what comes before the last of them."""
    last = max((list(MEASURES).index(name) for name in names), default=len(MEASURES) - 1)
    done = Measurements()
    for name, where in list(MEASURES.items())[: last + 1]:
        module, _, function = where.partition(":")
        value = getattr(importlib.import_module(module), function)(history, done)
        done = Measurements.model_validate({**dict(done), name: value})
    return done
