"""What the runner writes while a run is under way: events, samples and progress, and the few
facts that one step learns and a later one needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.clock import asleep_s, now_ns, wall_pair
from lab.events import Event, NodeReading, Note, Recorder, Sample, WitnessReading
from lab.protocols import Runtime


class Books:
    """Open for the length of a run. `pair` is a (wall, monotonic) pair in ns."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.pair = wall_pair()
        self.in_force: list[str] = []
        self.connections: dict[tuple[str, str], int] = {}
        self.healed_ns = 0
        self.attested: defaultdict[str, list[float]] = defaultdict(list)
        self._asleep_s = asleep_s()
        self._events = Recorder(directory / "events-run.jsonl")
        self._samples = Recorder(directory / "samples.jsonl")

    def record(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, WitnessReading) and event.stage == "attest" and event.answer == "ok":
            self.attested[f"{event.source}->{event.target}"].append(event.delay_ms)

    def sample(self, sample: Sample) -> None:
        self._samples.append(sample)

    def progress(self, what: str, **details: Any) -> None:
        """One line of progress.jsonl, for whoever watches; also when the books are closed."""
        with (self._directory / "progress.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps({"at_ns": now_ns(), "what": what, **details}) + "\n")

    def phase(self, name: str, left_s: float | None = None) -> None:
        self.progress("phase", phase=name, left_s=left_s)

    def heard(self, region: str, message: Mapping[str, Any]) -> None:
        """A worker's tally of one second; a good moment to bring the other files to disk too."""
        self._events.flush()
        self._samples.flush()
        self.progress(
            "second",
            region=region,
            second=message["second"],
            due=message["due"],
            ok=message["ok"],
            in_force=list(self.in_force),
        )

    def look_at_the_clock(self) -> None:
        """A machine that slept stops the monotonic clock: what was measured is worth nothing."""
        slept_s = asleep_s() - self._asleep_s
        if slept_s > 0.5:
            self.record(Note(at_ns=now_ns(), name="slept", text=f"{slept_s:.1f}"))

    def stayed(self, sentence: str) -> None:
        """Something of the run that would not go at its end; the reaper goes on with it."""
        self.record(Note(at_ns=now_ns(), name="left", text=sentence))
        self.progress("left", why=sentence)

    def broke(self, error: BaseException) -> None:
        """The run ended early; the judge must know why."""
        if isinstance(error, asyncio.CancelledError):
            name, text = "interrupted", "the run was interrupted before its end"
        else:
            name, text = "broken", str(error)
        with contextlib.suppress(OSError):  # a full disk is why it broke, more often than not
            self.record(Note(at_ns=now_ns(), name=name, text=text))
            self.progress("broken", why=text, kind=type(error).__name__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the last lines may not fit; the rest is kept
            self._events.close()
            self._samples.close()


async def read_nodes(runtime: Runtime, record: Callable[[Event], None]) -> None:
    """What the system says of every node's process, now."""
    for node, state in (await runtime.states()).items():
        record(NodeReading(at_ns=now_ns(), node=node, state=state))
