"""Lines written are lines read, also when the writer died in the middle of one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lab import events
from lab.events import KINDS, AnyEvent, Recorder, Sample, read_events, read_samples

LINES: list[AnyEvent] = [
    events.Operation(
        at_ns=1, region="us", home="eu", operation="put", key="k1", started_ns=2, ended_ns=3,
        outcome="info", error="timeout", value='ü"\n', revision="000007",
    ),
    events.Visible(at_ns=2**62, region="us", home="eu", key="k1", revision="000007"),
    events.Phase(at_ns=3, phase="steady"),
    events.FaultMark(
        at_ns=4, index=0, fault="latency", state="entered", targets=["sg"],
        links={"us->sg": {"latency_ms": 1432.0}, "sg->us": {"cut": "stall"}},
    ),
    events.NodeReading(at_ns=5, node="sg-1", state="paused"),
    events.WitnessReading(at_ns=5, source="us", target="sg", answer="silent", delay_ms=0.5),
    events.LoopLag(at_ns=6, region="us", lag_ms=1.25),
    events.WorkerMark(at_ns=7, region="us", state="done", in_flight_max=3),
    events.Connections(at_ns=8, node="us-1", peer="sg-2", count=4, when="settled"),
    events.Replica(at_ns=9, region="us", node="us-1", bucket="b", digest="ab"),
    events.Note(at_ns=10, name="bypass", text="us-1 talks to sg-1 directly"),
]  # fmt: skip
SAMPLE = Sample(at_ns=1, node="us-1", region="us", name="leader", subject="meta", text="us-2")


def test_every_kind_is_tried_here_and_has_its_own_tag() -> None:
    assert {type(line) for line in LINES} == set(KINDS)
    assert len({kind.__struct_config__.tag for kind in KINDS}) == len(KINDS)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "us.jsonl"
    with Recorder(path) as recorder:
        for line in LINES:
            recorder.append(line)
    assert read_events(path) == LINES
    assert len(path.read_bytes().splitlines()) == len(LINES)


def test_samples_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    lines = [SAMPLE, Sample(at_ns=2, node="us-1", region="us", name="messages_total", number=7.0)]
    with Recorder(path) as recorder:
        for line in lines:
            recorder.append(line)
    assert read_samples(path) == lines


@pytest.mark.parametrize("torn", [1, 2, 20])
def test_a_torn_last_line_is_left_out(torn: int, tmp_path: Path) -> None:
    path = tmp_path / "us.jsonl"
    with Recorder(path) as recorder:
        for line in LINES:
            recorder.append(line)
    path.write_bytes(path.read_bytes()[:-torn])
    assert read_events(path) == LINES[:-1]


def test_absent_and_empty_files_hold_nothing(tmp_path: Path) -> None:
    path = tmp_path / "us.jsonl"
    assert read_events(path) == []
    Recorder(path).close()
    assert read_events(path) == [] and read_samples(path) == []


def test_a_second_recorder_appends(tmp_path: Path) -> None:
    path = tmp_path / "us.jsonl"
    for line in LINES[:2]:
        with Recorder(path) as recorder:
            recorder.append(line)
            recorder.flush()
            assert read_events(path)[-1] == line
    assert read_events(path) == LINES[:2]


def test_a_line_of_an_unknown_kind_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "us.jsonl"
    path.write_text('{"event":"earthquake","at_ns":1}\n', encoding="utf-8")
    with pytest.raises(msgspec.ValidationError):
        read_events(path)
