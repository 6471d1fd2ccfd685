"""A run's history as tables: what measures and checkers read, and nothing else.

On disk: `history.parquet`, one row per line, the columns of all kinds side by side, told apart by
`event`; `samples.parquet` likewise; and the resolved topology, experiment and plan beside them.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from lab.clock import NS_PER_S
from lab.errors import Refused
from lab.events import KINDS, AnyEvent, Event, Sample
from lab.experiment import Experiment
from lab.topology import Topology

SAMPLE_COLUMNS = {
    "at_ns": pl.Int64,
    "node": pl.String,
    "region": pl.String,
    "name": pl.String,
    "subject": pl.String,
    "text": pl.String,
    "number": pl.Float64,
}


@dataclass(frozen=True)
class Span:
    """A stretch of time in ns, end excluded."""

    begin_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.begin_ns) / NS_PER_S


@dataclass(frozen=True)
class FaultSpan:
    """One fault as it really was. left_ns is None when it never left.

    `entering_ns` is when the first harm began, `entered_ns` when all of it was in force,
    `leaving_ns` when the last heal began. `links`: `a->b` → what that link suffers, `nodes`: node →
    the state it is put in (see events). `pulses`: (all of it in force, heal began) of each time it
    was applied; a fault that doesn't come and go has one. None: that pulse was never healed.
    """

    index: int
    kind: str
    targets: tuple[str, ...]
    links: dict[str, dict[str, Any]]
    entering_ns: int
    entered_ns: int
    leaving_ns: int | None
    left_ns: int | None
    nodes: dict[str, str]
    pulses: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True)
class History:
    """Everything recorded in one run. Tables are polars frames with the columns of their event."""

    rows: pl.DataFrame
    samples: pl.DataFrame
    topology: Topology
    experiment: Experiment

    @classmethod
    def of(
        cls,
        events: Iterable[AnyEvent],
        samples: Iterable[Sample],
        topology: Topology,
        experiment: Experiment,
    ) -> History:
        """Build a history from lines in memory."""
        return cls(rows_of(events), samples_of(samples), topology, experiment)

    def table(self, kind: type[Event]) -> pl.DataFrame:
        """The rows of one kind of event, with that kind's own columns, by time."""
        present = set(self.rows.columns)  # an older run's table lacks what was not recorded then
        columns = [
            pl.col(name) if name in present else pl.lit(None, dtype=of).alias(name)
            for name, of in _columns(kind).items()
            if name != "event"
        ]
        tag = str(kind.__struct_config__.tag)
        return self.rows.filter(pl.col("event") == tag).select(columns).sort("at_ns", maintain_order=True)

    @cached_property
    def phases(self) -> dict[str, Span]:
        """Phase name → its span. `load` spans steady's begin to recovery's end."""
        marks = self.rows.filter(pl.col("event") == "phase").sort("at_ns").select("phase", "at_ns").rows()
        spans = {
            name: Span(begin, marks[i + 1][1] if i + 1 < len(marks) else self.last_ns)
            for i, (name, begin) in enumerate(marks)
            if name != "end"
        }
        under_load = [spans[name] for name in ("steady", "fault", "recovery") if name in spans]
        if under_load:
            spans["load"] = Span(under_load[0].begin_ns, under_load[-1].end_ns)
        return spans

    @cached_property
    def last_ns(self) -> int:
        """The latest instant any line speaks of."""
        latest = pl.max_horizontal(pl.col("at_ns").max(), pl.col("ended_ns").max())
        return int(self.rows.select(latest).item() or 0)

    @property
    def zero_ns(self) -> int:
        """The begin of steady: second 0 of every plot and of measurements.json."""
        return self.phases["steady"].begin_ns

    def second(self, at_ns: int) -> float:
        """An instant as seconds since the begin of steady."""
        return (at_ns - self.zero_ns) / NS_PER_S

    @cached_property
    def faults(self) -> list[FaultSpan]:
        """The faults that were entered, in order; without any, `no-fault`'s nominal span is
        the fault phase (see `fault_span`)."""
        marks = self.rows.filter(pl.col("event") == "fault").sort("at_ns").to_dicts()
        return [
            _fault_span([mark for mark in marks if mark["index"] == index])
            for index in sorted({mark["index"] for mark in marks})
        ]

    @property
    def fault_span(self) -> Span:
        """First harm to last heal; the fault phase itself where no fault was entered."""
        if not self.faults:
            return self.phases["fault"]
        ends = [fault.left_ns if fault.left_ns is not None else self.last_ns for fault in self.faults]
        return Span(min(fault.entering_ns for fault in self.faults), max(ends))

    def save(self, directory: Path) -> None:
        """Write the two tables, each whole or not at all. Raises OSError when the disk refuses them."""
        _write(self.samples, directory / "samples.parquet")
        _write(self.rows, directory / "history.parquet")

    @classmethod
    def load(cls, directory: Path, topology: Topology, experiment: Experiment) -> History:
        """Read the two tables of a run. Raises Refused when they can't be read."""
        try:
            rows, samples = (pl.read_parquet(directory / f"{name}.parquet") for name in ("history", "samples"))
        except (OSError, pl.exceptions.PolarsError) as error:
            said = f"the history in {directory} can't be read ({str(error).rstrip('.')})"
            raise Refused(f"{said}; copy the run's directory again, whole, or make the run again.") from error
        return cls(rows, samples, topology, experiment)


def _fault_span(marks: list[dict[str, Any]]) -> FaultSpan:
    """All marks of one fault, by time → its span. Runs of before there were pulses have none told."""
    first = marks[0]
    pulses: dict[int, dict[str, int]] = {}
    for mark in marks:
        pulses.setdefault(mark.get("pulse") or 0, {})[mark["state"]] = mark["at_ns"]
    last = pulses[max(pulses)]
    return FaultSpan(
        index=first["index"],
        kind=first["fault"],
        targets=tuple(json.loads(first["targets"])),
        links=json.loads(first["links"]),
        entering_ns=first["at_ns"],
        entered_ns=pulses[min(pulses)].get("entered", first["at_ns"]),
        leaving_ns=last.get("leaving"),
        left_ns=last.get("left"),
        nodes=json.loads(first.get("nodes") or "{}"),
        pulses=tuple((own["entered"], own.get("leaving")) for own in pulses.values() if "entered" in own),
    )


def _write(table: pl.DataFrame, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        table.write_parquet(part, compression="zstd")
        os.replace(part, path)
    except pl.exceptions.PolarsError as error:
        raise OSError(errno.EIO, str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def rows_of(events: Iterable[AnyEvent]) -> pl.DataFrame:
    """Lines of any kind → one wide table, every column of every kind present."""
    by_kind: dict[type[Event], list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for event in events:
        by_kind[type(event)].append(_flat(event))
    frames = [pl.DataFrame(rows, schema=_columns(kind), strict=False) for kind, rows in by_kind.items()]
    return pl.concat(frames, how="diagonal").sort("at_ns", maintain_order=True)


def samples_of(samples: Iterable[Sample]) -> pl.DataFrame:
    """Samples → their table."""
    return pl.DataFrame([msgspec.structs.asdict(s) for s in samples], schema=SAMPLE_COLUMNS)


def _flat(event: AnyEvent) -> dict[str, Any]:
    """An event as one row; lists and mappings become JSON text, so the table stays flat."""
    row = {
        name: json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value
        for name, value in msgspec.structs.asdict(event).items()
    }
    return {"event": event.__struct_config__.tag, **row}


def _columns(kind: type[Event]) -> dict[str, Any]:
    types: dict[Any, Any] = {int: pl.Int64, float: pl.Float64, str: pl.String}
    columns = {"event": pl.String}
    for field in msgspec.structs.fields(kind):
        columns[field.name] = types.get(field.type, pl.String)
    return columns
