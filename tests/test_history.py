"""Phases, faults and tables of a history, and its way to disk and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import events
from lab.clock import NS_PER_S
from lab.events import AnyEvent, FaultMark, Operation, Phase, Sample
from lab.experiment import Experiment
from lab.history import FaultSpan, History, Span, rows_of
from lab.topology import Topology

TOPOLOGY = Topology.model_validate({"regions": {"us": {"nodes": 1}, "sg": {"nodes": 1}}, "rtt_ms": {"us-sg": 200}})
EXPERIMENT = Experiment.model_validate({"topology": "t"})
PHASES: list[AnyEvent] = [
    Phase(at_ns=s * NS_PER_S, phase=name)
    for s, name in ((10, "steady"), (22, "fault"), (52, "recovery"), (72, "settle"), (75, "end"))
]


def mark(index: int, second: float, state: str, fault: str = "latency", target: str = "sg") -> FaultMark:
    links = {f"us->{target}": {"latency_ms": 1432.0}}
    at_ns = int(second * NS_PER_S)
    return FaultMark(at_ns=at_ns, index=index, fault=fault, state=state, targets=[target], links=links)


def put(second: float, ended: float) -> Operation:
    return Operation(
        at_ns=int(second * NS_PER_S),
        region="us",
        home="us",
        operation="put",
        key="k",
        outcome="ok",
        started_ns=int(second * NS_PER_S),
        ended_ns=int(ended * NS_PER_S),
    )


def history(*lines: AnyEvent, samples: tuple[Sample, ...] = ()) -> History:
    return History.of(lines, samples, TOPOLOGY, EXPERIMENT)


def span(begin_s: float, end_s: float) -> Span:
    return Span(int(begin_s * NS_PER_S), int(end_s * NS_PER_S))


def test_phases() -> None:
    found = history(*reversed(PHASES)).phases
    assert found == {
        "steady": span(10, 22),
        "fault": span(22, 52),
        "recovery": span(52, 72),
        "settle": span(72, 75),
        "load": span(10, 72),
    }
    assert found["load"].seconds == 62


def test_a_run_that_died_ends_with_its_last_line() -> None:
    died = history(*PHASES[:2], put(30, 31.5))
    assert died.phases == {"steady": span(10, 22), "fault": span(22, 31.5), "load": span(10, 31.5)}
    assert died.last_ns == 31.5 * NS_PER_S


def test_seconds_count_from_steady() -> None:
    assert history(*PHASES).zero_ns == 10 * NS_PER_S
    assert history(*PHASES).second(22 * NS_PER_S) == 12


STATES = ("entering", "entered", "leaving", "left")
WHOLE = [mark(0, second, state) for second, state in zip((22, 23, 50, 51), STATES, strict=True)]
FAULT_SPANS = {
    "whole": (WHOLE, (22, 23, 50, 51), span(22, 51)),
    "never left": (WHOLE[:3], (22, 23, 50, None), span(22, 75)),
    "still in force": (WHOLE[:2], (22, 23, None, None), span(22, 75)),
    "never in force": (WHOLE[:1], (22, 22, None, None), span(22, 75)),
}


@pytest.mark.parametrize("case", FAULT_SPANS)
def test_fault(case: str) -> None:
    marks, seconds, whole = FAULT_SPANS[case]
    instants = [None if second is None else second * NS_PER_S for second in seconds]
    found = history(*PHASES, *marks)
    links = {"us->sg": {"latency_ms": 1432.0}}
    pulses = ((instants[1], instants[2]),) if len(marks) > 1 else ()
    assert found.faults == [FaultSpan(0, "latency", ("sg",), links, *instants, {}, pulses)]  # type: ignore[arg-type]
    assert found.fault_span == whole


def test_faults_that_overlap_span_first_harm_to_last_heal() -> None:
    other = [mark(1, second, state, "cut", "us") for second, state in zip((30, 30, 58, 59), STATES, strict=True)]
    found = history(*PHASES, *other, *WHOLE)
    assert [(fault.index, fault.kind, fault.targets) for fault in found.faults] == [
        (0, "latency", ("sg",)),
        (1, "cut", ("us",)),
    ]
    assert found.fault_span == span(22, 59)


def test_without_a_fault_the_span_is_the_phase() -> None:
    assert history(*PHASES).faults == []
    assert history(*PHASES).fault_span == span(22, 52)


def test_table_has_its_own_columns_by_time() -> None:
    table = history(*PHASES, put(40, 41), put(30, 31)).table(Operation)
    assert table.columns == list(Operation.__struct_fields__)
    assert table["at_ns"].to_list() == [30 * NS_PER_S, 40 * NS_PER_S]


def test_empty() -> None:
    empty = history()
    assert empty.last_ns == 0 and empty.phases == {} and empty.faults == []
    for kind in events.KINDS:
        assert empty.table(kind).columns == list(kind.__struct_fields__)
    assert empty.rows.schema == rows_of(PHASES).schema, "no column is missing or of another type"


def test_save_and_load(tmp_path: Path) -> None:
    samples = (
        Sample(at_ns=1, node="us-1", region="us", name="leader", subject="meta", text="us-1"),
        Sample(at_ns=2, node="us-1", region="us", name="messages_total", number=7),
    )
    for saved in (history(*PHASES, *WHOLE, put(30, 31), samples=samples), history()):
        saved.save(tmp_path)
        loaded = History.load(tmp_path, TOPOLOGY, EXPERIMENT)
        assert loaded.rows.equals(saved.rows) and loaded.samples.equals(saved.samples)
        assert loaded.rows.schema == saved.rows.schema
        assert loaded.phases == saved.phases and loaded.faults == saved.faults
