"""The open loop: nobody is spared an operation because the system is slow; in virtual time."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab.clock import NS_PER_S, now_ns
from lab.errors import OperationFailed, OperationIndefinite
from lab.events import Operation, WorkerMark, read_events
from lab.protocols import ClientSpec, Entry
from lab.task import Task
from lab.worker import IN_FLIGHT_LEAST, LATE_S, Worker, in_flight_cap
from lab.workloads.kv import KvWorkload
from tests import virtual_time

ROOT = Path(__file__).resolve().parents[1]
LOAD_S = 12.0
KV = {"rate_per_s": 100.0, "keys": 20, "groups": 4}
DEADLINE_S = KvWorkload().deadline_s


class Scripted:
    """A client that behaves as `behaviour` says: operation → seconds it takes, or what it raises.

    `stalls_from_s`, `stalls_until_s`: between these instants after the begin of the load nothing moves.
    """

    behaviour: ClassVar[dict[str, Any]] = {}
    stall_ns: ClassVar[tuple[int, int]] = (0, 0)

    def __init__(self, spec: ClientSpec) -> None:
        self.spec = spec

    async def connect(self) -> None: ...
    async def close(self) -> None: ...

    async def _do(self, operation: str) -> None:
        begin_ns, end_ns = self.stall_ns
        if begin_ns <= now_ns() < end_ns:
            await asyncio.sleep((end_ns - now_ns()) / NS_PER_S)
        how = self.behaviour.get(operation, 0.001)
        if isinstance(how, Exception):
            raise how
        await asyncio.sleep(how)

    async def put(self, bucket: str, key: str, value: str) -> str:
        await self._do("put")
        return "7"

    async def get(self, bucket: str, key: str) -> Entry | None:
        await self._do("get")
        return Entry(key, "v", "7")

    @asynccontextmanager
    async def watch(self, bucket: str, pattern: str) -> AsyncIterator[Any]:
        await self._do("watch")

        async def entries() -> AsyncIterator[Entry | None]:
            yield None
            await asyncio.sleep(3600)

        yield entries()


def task(folder: Path, **settings: Any) -> Task:
    return Task(
        region="us",
        regions=["us", "eu"],
        seed=1,
        load_s=LOAD_S,
        client=ClientSpec("tests.test_worker:Scripted", "us", ()),
        workload=("lab.workloads.kv:KvWorkload", {**KV, **settings}),
        events=str(folder / "events-us.jsonl"),
    )


def load(
    folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Mapping[str, Any], stall_s: tuple[float, float] = (0, 0)
) -> tuple[list[Operation], list[Any], int]:
    """One load with such a client: its operations, all other events, when it began."""
    said: list[Mapping[str, Any]] = []
    begun: list[int] = []

    async def main() -> None:
        worker = Worker(task(folder), said.append)
        await worker.prepare()
        start_at_ns = now_ns() + NS_PER_S
        begun.append(start_at_ns)
        monkeypatch.setattr(Scripted, "behaviour", dict(behaviour))
        monkeypatch.setattr(Scripted, "stall_ns", tuple(start_at_ns + int(s * NS_PER_S) for s in stall_s))
        await worker.load(start_at_ns)
        await worker.close()

    virtual_time.run(main())
    events = read_events(folder / "events-us.jsonl")
    operations = [e for e in events if isinstance(e, Operation) and e.phase == "load"]
    return operations, [e for e in events if not isinstance(e, Operation)] + said, begun[0]


def late(operation: Operation) -> bool:
    return operation.ended_ns - operation.at_ns > DEADLINE_S * NS_PER_S


def test_every_due_operation_is_recorded_at_its_intended_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations, others, begun_ns = load(tmp_path, monkeypatch, {})
    due = KvWorkload(**KV).operations("us", ["us", "eu"], LOAD_S, 1)  # type: ignore[arg-type]
    assert sorted(o.at_ns - begun_ns for o in operations) == [d.offset_ns for d in due]
    assert {o.outcome for o in operations} == {"ok"}
    assert [e.state for e in others if isinstance(e, WorkerMark)] == ["ready", "done"]


def test_a_stall_is_charged_for_every_operation_it_would_have_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No coordinated omission: a client that hangs from 4 s to 8 s is late for all that was due until 6 s."""
    operations, _, begun_ns = load(tmp_path, monkeypatch, {}, stall_s=(4, 8))
    assert len(operations) == pytest.approx(LOAD_S * 100, abs=4), "due operations began although none ended"
    met = {o.at_ns for o in operations if 4.01 <= (o.at_ns - begun_ns) / NS_PER_S < 5.98}
    charged = {o.at_ns for o in operations if late(o) or o.outcome != "ok"}
    assert len(met) >= 190
    assert met <= charged
    assert all(4 <= (at_ns - begun_ns) / NS_PER_S <= 6.02 for at_ns in charged)


def test_late_completions_are_recorded_with_their_real_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations, others, _ = load(tmp_path, monkeypatch, {"put": DEADLINE_S + 3})
    puts = [o for o in operations if o.operation == "put"]
    assert {o.outcome for o in puts} == {"ok"}
    assert all(o.ended_ns - o.at_ns == pytest.approx(5 * NS_PER_S, abs=1e7) for o in puts)
    assert all(o.value and o.revision == "7" for o in puts)
    seconds = [said for said in others if isinstance(said, dict) and said["said"] == "second"]
    assert seconds and all(said["due"] - said["ok"] == pytest.approx(40, abs=1) for said in seconds), "late is not ok"


@pytest.mark.parametrize(
    ("behaviour", "outcome", "error", "ended_after_s"),
    [
        pytest.param(3600, "info", "timeout", DEADLINE_S + LATE_S, id="never answers"),
        pytest.param(OperationFailed("api_10008"), "fail", "api_10008", 0, id="certainly not"),
        pytest.param(OperationIndefinite("ConnectionClosedError"), "info", "ConnectionClosedError", 0, id="maybe"),
        pytest.param(AttributeError("a bug in a library"), "info", "AttributeError", 0, id="a bug"),
    ],
)
def test_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Any, outcome: str, error: str, ended_after_s: float
) -> None:
    operations, others, _ = load(tmp_path, monkeypatch, {"put": behaviour})
    puts = [o for o in operations if o.operation == "put" and o.error != "shed"]
    assert {(o.outcome, o.error) for o in puts} == {(outcome, error)}
    assert all(o.ended_ns - o.at_ns == pytest.approx(ended_after_s * NS_PER_S, abs=2e7) for o in puts)
    assert {o.outcome for o in operations if o.operation != "put"} == {"ok"}
    assert len([o for o in operations if o.operation == "put"]) == pytest.approx(LOAD_S * 40, abs=1), "none vanishes"
    assert any(isinstance(e, WorkerMark) and e.state == "done" for e in others)


def test_a_kind_that_hangs_does_not_crowd_out_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cap = 200  # far fewer than are due: the real cap is above what can be open
    monkeypatch.setattr("lab.worker.in_flight_cap", lambda *_: cap)
    operations, others, _ = load(tmp_path, monkeypatch, {"put": 3600})
    found = Counter((o.operation, o.error) for o in operations)
    in_flight = int(cap * KvWorkload().shares()["put"])
    assert found["put", "timeout"] >= in_flight
    assert found["put", "shed"] == pytest.approx(LOAD_S * 40 - found["put", "timeout"], abs=1)
    assert found["put", "shed"] > 100
    shed = [o for o in operations if o.error == "shed"]
    assert {(o.outcome, o.started_ns, o.ended_ns) for o in shed} == {("fail", 0, 0)}
    assert {o.outcome for o in operations if o.operation != "put"} == {"ok"}
    [most] = [e.in_flight_max for e in others if isinstance(e, WorkerMark) and e.state == "done"]
    assert in_flight <= most <= in_flight + 20


def test_a_client_that_never_answers_is_not_shed_at_the_real_cap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = dict.fromkeys(("put", "get", "watch"), 3600)
    operations, _, _ = load(tmp_path, monkeypatch, never)
    assert {(o.outcome, o.error) for o in operations} == {("info", "timeout")}
    assert in_flight_cap(len(operations), LOAD_S, DEADLINE_S) >= max(IN_FLIGHT_LEAST, 100 * (DEADLINE_S + LATE_S))


def test_keys_written_before_the_load_are_recorded_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(tmp_path, monkeypatch, {})
    events = read_events(tmp_path / "events-us.jsonl")
    preload = [e for e in events if isinstance(e, Operation) and e.phase == "preload"]
    assert len({e.key for e in preload}) == len(preload) == KV["keys"]


# -- the process ---------------------------------------------------------------------------------------


def started(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lab.worker"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str], folder: Path, command: str, **details: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"do": command, "task": asdict(task(folder)), **details}) + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


@pytest.mark.parametrize("when", ["idle", "under load"])
def test_a_worker_ends_when_its_lifeline_closes(tmp_path: Path, when: str) -> None:
    with started(tmp_path) as process:
        tell(process, tmp_path, "prepare")
        assert hear(process) == {"said": "prepared"}
        if when == "under load":
            tell(process, tmp_path, "load", start_at_ns=time.monotonic_ns())
            assert hear(process)["said"] == "second"
        assert process.stdin is not None
        process.stdin.close()
        begun_s = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - begun_s < 5
        assert process.stderr is not None and process.stderr.read() == ""
    events = read_events(tmp_path / "events-us.jsonl")
    assert len(events) > KV["keys"] + (200 if when == "under load" else 0)
    assert not any(isinstance(e, WorkerMark) and e.state == "done" for e in events)


def test_a_worker_that_can_not_says_why(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        tell(process, tmp_path / "no such folder", "prepare")
        said = hear(process)
        assert said["said"] == "failed" and "No such file" in said["why"]
        assert process.wait(10) == 0
