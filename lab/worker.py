"""Drives the workload of one region, open loop; a process of its own (a task in tests).

Operations begin when they are due, whether or not earlier ones have ended, so a system that stalls
is charged for every operation it would have met (no coordinated omission). Loads neither polars
nor plotly nor papermill: a worker's loop must be free to be punctual.

Spoken with over JSON lines: in `{"do": "prepare" | "load" | "settle" | "stop", …}`,
out `{"said": "prepared" | "second" | "loaded" | "settled" | "failed", …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.clock import NS_PER_MS, NS_PER_S, now_ns, sleep_until
from lab.errors import OperationError, OperationFailed
from lab.events import LoopLag, Operation, Recorder, Visible, WorkerMark
from lab.protocols import Client, Due, Result, Workload
from lab.task import Tally, Task, task_of

IN_FLIGHT_LEAST, HEADROOM = 800, 1.25
LATE_S = 10.0  # how long a late completion is awaited before it is `info`
LAG_EVERY_S = 0.02
PRELOAD_AT_ONCE, SETTLE_AT_ONCE, SETTLE_TRIES = 20, 100, 3
BETWEEN_TRIES_S, SETTLE_WITHIN_S = 0.5, 45.0

Say = Callable[[Mapping[str, Any]], None]


class Worker:
    """One region's clients, schedule and records."""

    def __init__(self, task: Task, say: Say) -> None:
        self._task, self._say = task, say
        factory, settings = task.workload
        self._workload: Workload = _named(factory)(**settings)
        self._recorder = Recorder(Path(task.events))
        self._client = self._new_client()
        self._probes: list[Client] = []
        self._background: list[asyncio.Task[None]] = []
        self._flying: Counter[str] = Counter()
        self._most = self._cap = 0
        self._tally = Tally()

    async def prepare(self) -> None:
        """Connect, write the region's own keys once, and open the probe watches."""
        await self._client.connect()
        await self._each(self._workload.preload(self._task.region), PRELOAD_AT_ONCE, "preload")
        for home in self._task.regions:
            if home != self._task.region:
                probe = self._new_client()
                await probe.connect()
                self._probes.append(probe)
                self._background.append(asyncio.create_task(self._probe(probe, home)))
        self._background.append(asyncio.create_task(self._watch_lag()))
        self._recorder.append(WorkerMark(at_ns=now_ns(), region=self._task.region, state="ready"))
        self._recorder.flush()

    async def load(self, start_at_ns: int) -> None:
        """Begin every operation when it is due; return when all have ended or been given up."""
        task = self._task
        schedule = self._workload.operations(task.region, task.regions, task.load_s, task.seed)
        gc.collect()
        gc.freeze()  # nothing made so far will be garbage soon; spares long pauses under load
        reporter = asyncio.create_task(self._report(start_at_ns))
        self._cap = in_flight_cap(len(schedule), task.load_s, self._workload.deadline_s)
        running: set[asyncio.Task[None]] = set()
        for due in schedule:
            at_ns = start_at_ns + due.offset_ns
            await sleep_until(at_ns)
            one = self._begin(due, at_ns, (at_ns - start_at_ns) // NS_PER_S)
            if one is not None:
                running.add(one)
                one.add_done_callback(running.discard)
        await sleep_until(start_at_ns + int(task.load_s * NS_PER_S))
        if running:
            await asyncio.wait(running)
        reporter.cancel()
        self._recorder.append(WorkerMark(at_ns=now_ns(), region=task.region, state="done", in_flight_max=self._most))
        self._recorder.flush()

    async def settle(self) -> None:
        """Read every key of every region back; what could not be read in time has no row."""
        task = self._task
        todo = self._workload.settle(task.regions, task.load_s, task.seed)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_WITHIN_S):
                await self._each(todo, SETTLE_AT_ONCE, "settle", SETTLE_TRIES)
        self._recorder.flush()

    async def close(self) -> None:
        """End everything; never raises for a backend that is gone."""
        for one in self._background:
            one.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for client in [self._client, *self._probes]:
            with contextlib.suppress(Exception):  # a dead backend may not spoil the records
                await asyncio.wait_for(client.close(), 1)
        self._recorder.close()

    # -- one operation --------------------------------------------------------------------------

    def _begin(self, due: Due, at_ns: int, second: int) -> asyncio.Task[None] | None:
        kind = self._workload.kind(self._task.region, due)
        self._tally.due[second] += 1
        if self._flying[kind] >= self._cap * self._workload.shares()[kind]:
            self._record(due, at_ns, "load", started_ns=0, ended_ns=0, outcome="fail", error="shed")
            return None
        self._flying[kind] += 1
        self._most = max(self._most, self._flying.total())
        return asyncio.create_task(self._finish(due, at_ns, second, kind))

    async def _finish(self, due: Due, at_ns: int, second: int, kind: str) -> None:
        try:
            ended_ns, ok = await self._perform(due, at_ns, "load")
            if ok and ended_ns - at_ns <= self._workload.deadline_s * NS_PER_S:
                self._tally.ok[second] += 1
        finally:
            self._flying[kind] -= 1

    async def _perform(self, due: Due, at_ns: int, phase: str, *, last_try: bool = True) -> tuple[int, bool]:
        """Call, tell the outcome, record it; (end, whether it was ok)."""
        started_ns = now_ns()
        result, outcome, error = Result(), "ok", ""
        try:
            limit_s = self._workload.deadline_s + LATE_S - (started_ns - at_ns) / NS_PER_S
            async with asyncio.timeout(limit_s):
                result = await self._workload.perform(self._client, due)
        except OperationError as failure:
            outcome, error = ("fail" if isinstance(failure, OperationFailed) else "info"), failure.code
        except TimeoutError:
            outcome, error = "info", "timeout"
        except Exception as surprise:  # a library's bug may not make an operation vanish
            outcome, error = "info", type(surprise).__name__
        ended_ns = now_ns()
        if outcome == "ok" or last_try:
            self._record(
                due,
                at_ns,
                phase,
                started_ns=started_ns,
                ended_ns=ended_ns,
                outcome=outcome,
                error=error,
                value=result.value,
                revision=result.revision,
            )
        return ended_ns, outcome == "ok"

    def _record(self, due: Due, at_ns: int, phase: str, *, value: str = "", **how: Any) -> None:
        self._recorder.append(
            Operation(
                at_ns=at_ns,
                region=self._task.region,
                home=due.home,
                operation=due.operation,
                key=due.key,
                value=value or due.value,
                phase=phase,
                **how,
            )
        )

    async def _each(self, todo: list[Due], at_once: int, phase: str, tries: int = 1) -> None:
        """Perform a list outside the load, some at a time, each until ok or out of tries."""
        gate = asyncio.Semaphore(at_once)

        async def one(due: Due) -> None:
            async with gate:
                for attempt in range(tries):
                    last = attempt == tries - 1
                    if (await self._perform(due, now_ns(), phase, last_try=last))[1] or last:
                        return
                    await asyncio.sleep(BETWEEN_TRIES_S)

        await asyncio.gather(*map(one, todo))

    # -- beside the load ------------------------------------------------------------------------

    async def _probe(self, client: Client, home: str) -> None:
        """One long-lived watch; begun anew after a second when it ends, as a user would."""
        while True:
            with contextlib.suppress(OperationError):
                async with client.watch(home, ">") as entries:
                    initial = True
                    async for entry in entries:
                        if entry is None:
                            initial = False
                        elif not initial:
                            self._recorder.append(
                                Visible(
                                    at_ns=now_ns(),
                                    region=self._task.region,
                                    home=home,
                                    key=entry.key,
                                    revision=entry.revision,
                                )
                            )
            await asyncio.sleep(1)

    async def _watch_lag(self) -> None:
        """How late this loop wakes, every 20 ms: when that is much, the harness is the finding."""
        while True:
            wanted_ns = now_ns() + int(LAG_EVERY_S * NS_PER_S)
            await asyncio.sleep(LAG_EVERY_S)
            woke_ns = now_ns()
            lag_ms = (woke_ns - wanted_ns) / NS_PER_MS
            self._recorder.append(LoopLag(at_ns=woke_ns, region=self._task.region, lag_ms=lag_ms))

    async def _report(self, start_at_ns: int) -> None:
        """Each second's availability, once its operations have had their deadline."""
        for second in range(int(self._task.load_s)):
            await sleep_until(start_at_ns + int((second + 1 + self._workload.deadline_s) * NS_PER_S))
            self._recorder.flush()
            self._say(
                {
                    "said": "second",
                    "second": second,
                    "due": self._tally.due[second],
                    "ok": self._tally.ok[second],
                }
            )

    def _new_client(self) -> Client:
        client: Client = _named(self._task.client.factory)(self._task.client)
        return client


def in_flight_cap(operations: int, load_s: float, deadline_s: float) -> int:
    """Operations in flight at most. More than can be open when nothing answers at all: the lab must
    not shed what the backend might have served after the heal. A kind has its share of it."""
    return max(IN_FLIGHT_LEAST, math.ceil(HEADROOM * operations / load_s * (deadline_s + LATE_S)))


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


# -- the process ----------------------------------------------------------------------------------


async def _obey(commands: asyncio.StreamReader, say: Say) -> None:
    """Carry out commands until told to stop, or until whoever gave them is gone."""
    worker: Worker | None = None
    try:
        while line := await commands.readline():
            command = json.loads(line)
            if command["do"] == "stop":
                break
            if worker is None:
                worker = Worker(task_of(command["task"]), say)
            step: dict[str, tuple[Callable[[], Awaitable[None]], str]] = {
                "prepare": (worker.prepare, "prepared"),
                "load": (lambda w=worker, c=command: w.load(c["start_at_ns"]), "loaded"),  # type: ignore[misc]
                "settle": (worker.settle, "settled"),
            }
            action, said = step[command["do"]]
            if not await _unless_orphaned(action(), commands):
                break
            say({"said": said})
    except (OperationError, OSError) as error:
        say({"said": "failed", "why": f"{type(error).__name__}: {error}"})
    finally:
        if worker is not None:
            await worker.close()


async def _unless_orphaned(step: Awaitable[None], commands: asyncio.StreamReader) -> bool:
    """Finish the step; False when the other end of the lifeline closed meanwhile."""
    work = asyncio.ensure_future(step)
    while not work.done():
        await asyncio.wait({work}, timeout=0.5)
        if commands.at_eof():
            work.cancel()
            await asyncio.wait({work})
            return False
    work.result()
    return True


async def _main() -> None:
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    out = os.fdopen(os.dup(1), "w", buffering=1)

    def say(message: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            out.write(json.dumps(message) + "\n")

    await _obey(commands, say)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
