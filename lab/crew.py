"""One worker per region, as processes or (in tests) as tasks, told all at once what to do next."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from lab.errors import RunBroken
from lab.task import Task
from lab.worker import Worker

Heard = Callable[[str, Mapping[str, Any]], None]


class Hand(Protocol):
    """One worker, wherever it runs."""

    async def do(self, command: str, **details: Any) -> None:
        """Return when it is done. Raises RunBroken when the worker can't, or is gone."""
        ...

    async def close(self) -> None: ...


class TaskHand:
    """A worker in this very event loop."""

    def __init__(self, task: Task, heard: Heard) -> None:
        self._worker = Worker(task, lambda message: heard(task.region, message))

    async def do(self, command: str, **details: Any) -> None:
        await getattr(self._worker, command)(**details)

    async def close(self) -> None:
        await self._worker.close()


class ProcessHand:
    """A worker in a process of its own; its stdin is its lifeline."""

    def __init__(self, task: Task, heard: Heard, log: Path) -> None:
        self._task, self._heard, self._log = task, heard, log
        self._process: asyncio.subprocess.Process | None = None

    async def do(self, command: str, **details: Any) -> None:
        process = await self._started()
        assert process.stdin is not None and process.stdout is not None
        order = {"do": command, "task": asdict(self._task), **details}
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
        except OSError:
            pass  # it is gone: the read below says so, with its exit code
        while line := await process.stdout.readline():
            message = json.loads(line)
            if message["said"] == "failed":
                raise RunBroken(f"the worker of {self._task.region} can't {command}: {message['why']}.")
            if message["said"] != "second":
                return
            self._heard(self._task.region, message)
        code = await process.wait()
        raise RunBroken(
            f"the worker of {self._task.region} ended with code {code} during {command}; see {self._log.name}."
        )

    async def close(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "lab.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    start_new_session=True,
                )
        return self._process


class Crew:
    """All workers of a run. Entering makes them, leaving ends them."""

    def __init__(self, hands: Sequence[Hand]) -> None:
        self._hands = hands

    async def all(self, command: str, **details: Any) -> None:
        """Every worker does it, together; the first that can't breaks the step for all."""
        async with asyncio.TaskGroup() as group:
            for hand in self._hands:
                group.create_task(hand.do(command, **details))

    async def __aenter__(self) -> Crew:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(hand.close() for hand in self._hands), return_exceptions=True)
