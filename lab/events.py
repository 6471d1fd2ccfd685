"""The lines a run is made of, and the file they are appended to.

One struct per kind of line, told apart by `event`. Workers write these at full load, so this
module needs nothing but msgspec; `history` turns the lines into tables. All instants are
`clock.now_ns()`. Columns carry their unit in their name; "" and null mean "does not apply".
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

T = TypeVar("T")
WITNESS_BYTES = 8_192  # what a witness's question weighs, so that a narrow link shows


class Event(msgspec.Struct, tag_field="event", frozen=True, kw_only=True):
    """What every line has: the instant it speaks of."""

    at_ns: int


class Operation(Event, tag="operation", frozen=True):
    """One client call. `at_ns` is its *intended* start; latency and deadline count from there.

    started_ns 0: never begun (shed). ended_ns 0: still open when the run stopped waiting.
    outcome: ok | fail (certainly did not happen) | info (may have happened).
    value: what was written or read. revision: the record's version as text that sorts like it
    does within its key; "" where none was learnt; for a read of an absent key "".
    """

    region: str
    home: str
    operation: str
    key: str
    started_ns: int
    ended_ns: int
    outcome: str
    error: str = ""
    value: str = ""
    revision: str = ""
    phase: str = "load"  # preload | load | settle


class Visible(Event, tag="visible", frozen=True):
    """A probe watch in `region` on the keys of `home` showed this revision at `at_ns`."""

    region: str
    home: str
    key: str
    revision: str


class Phase(Event, tag="phase", frozen=True):
    """A phase began (`steady`, `fault`, `recovery`, `settle`) or, as `end`, the run's last ended."""

    phase: str


class FaultMark(Event, tag="fault", frozen=True):
    """A fault on its way: state is entering → entered → leaving → left, once a pulse.

    targets: the regions it names. links: per harmed link `a->b` what it suffers, as
    `{"latency_ms": 1432.0}` (added), `{"cut": "stall"}` or `{"rate_kbps": 64}`.
    nodes: per harmed node the state it is put in, paused or gone.
    """

    index: int
    fault: str
    state: str
    targets: list[str] = []
    links: dict[str, dict[str, Any]] = {}
    nodes: dict[str, str] = {}
    pulse: int = 0


class NodeReading(Event, tag="state", frozen=True):
    """What the system (not the node) says of a node's process: running | paused | gone."""

    node: str
    state: str


class WitnessReading(Event, tag="witness", frozen=True):
    """One probe of one link, sent at `at_ns`; one that is held up is told of again and again.

    answer: ok (delay_ms is the one-way delay) | silent (no answer yet; delay_ms is the time
    waited so far) | refused | closed.
    """

    source: str
    target: str
    answer: str
    delay_ms: float
    stage: str = "run"  # attest | run


class LoopLag(Event, tag="lag", frozen=True):
    """How late a worker's event loop woke from a sleep of 20 ms, in ms."""

    region: str
    lag_ms: float


class WorkerMark(Event, tag="worker", frozen=True):
    """A worker's own life: ready | done. A region without `done` has an incomplete history."""

    region: str
    state: str
    in_flight_max: int = 0


class Connections(Event, tag="connections", frozen=True):
    """How many backend connections a node holds to a peer; `when` is entered | settled."""

    node: str
    peer: str
    count: int
    when: str


class Replica(Event, tag="replica", frozen=True):
    """One replica's content at the end of settle, as a digest; equal digests, equal content."""

    region: str
    node: str
    bucket: str
    digest: str


class Note(Event, tag="note", frozen=True):
    """Something the judge must know: a bypass, a broken step, a lifeline that broke.

    name: bypass | broken | interrupted | backend (a node died unasked) | slept (text: seconds) |
    left (something would not go at the end)
    tells (what the backend can tell, so that its absence is noticed: leaders connections bucket_revisions)
    """

    name: str
    text: str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A reading of the backend: `subject`'s `name` as `node` tells it.

    names: leader (text: the leader's node, "" for none; subject: bucket or `meta`),
    messages_total (number: messages the node has handled since its start),
    log (text: one line of the node's log).
    """

    at_ns: int
    node: str
    region: str
    name: str
    subject: str = ""
    text: str = ""
    number: float | None = None


AnyEvent = (
    Operation | Visible | Phase | FaultMark | NodeReading | WitnessReading | LoopLag
    | WorkerMark | Connections | Replica | Note
)  # fmt: skip
KINDS: tuple[type[Event], ...] = (
    Operation, Visible, Phase, FaultMark, NodeReading, WitnessReading, LoopLag,
    WorkerMark, Connections, Replica, Note,
)  # fmt: skip


class Recorder:
    """Appends lines to one file; a line is whole or, when the process dies, absent or torn."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._encoder = msgspec.json.Encoder()

    def append(self, line: Event | Sample) -> None:
        """Write one line. Raises OSError when the disk refuses it."""
        self._file.write(self._encoder.encode(line) + b"\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path, unreadable: list[bytes] | None = None) -> list[AnyEvent]:
    """Every whole line of a file a recorder wrote; a torn last line is left out.

    Lines that can't be read are put into `unreadable`. Raises msgspec.DecodeError without it.
    """
    return _decoded(path, _EVENTS, unreadable)


def read_samples(path: Path, unreadable: list[bytes] | None = None) -> list[Sample]:
    """Every whole line of a file of samples; otherwise as `read_events`."""
    return _decoded(path, _SAMPLES, unreadable)


def _decoded(path: Path, decoder: msgspec.json.Decoder[T], unreadable: list[bytes] | None) -> list[T]:
    lines = []
    for line in _whole_lines(path):
        try:
            lines.append(decoder.decode(line))
        except msgspec.DecodeError:
            if unreadable is None:
                raise
            unreadable.append(line)
    return lines


def _whole_lines(path: Path) -> list[bytes]:
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    return lines[:-1]


_EVENTS: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_SAMPLES = msgspec.json.Decoder(Sample)
