"""What one worker is to do, as plain data: it crosses from the runner into the worker's process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.protocols import ClientSpec


@dataclass(frozen=True)
class Task:
    """What one worker is to do. `workload`: (`module:Class`, settings)."""

    region: str
    regions: list[str]
    seed: int
    load_s: float
    client: ClientSpec
    workload: tuple[str, dict[str, Any]]
    events: str


@dataclass
class Tally:
    """Operations due and ok in time, per second since the start: the live picture, no measure."""

    due: Counter[int] = field(default_factory=Counter)
    ok: Counter[int] = field(default_factory=Counter)


def task_of(data: Mapping[str, Any]) -> Task:
    """A task as JSON data → a task."""
    factory, settings = data["workload"]
    client = ClientSpec(**{**data["client"], "servers": tuple(data["client"]["servers"])})
    return Task(**{**data, "client": client, "workload": (factory, settings)})
