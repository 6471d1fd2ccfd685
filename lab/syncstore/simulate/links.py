"""Links: one direction each, from one place to another, with what harms them at the moment.

Owns delay, jitter, rate and cuts, and how several harms add up. Knows nothing of what travels.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Protocol

from lab.syncstore.simulate.timeline import Timeline

if TYPE_CHECKING:
    from lab.syncstore.simulate.net import Pipe

STALL = "stall"
"""Nothing passes; what was sent arrives after the heal, as TCP's retries would have it."""
BLACKHOLE = "blackhole"
"""What is sent is gone, and its connection with it, though neither end is told."""
REFUSE = "refuse"
"""Connections are reset and dials refused."""
SEVERITY = ("", STALL, BLACKHOLE, REFUSE)


@dataclass(frozen=True, eq=False)
class Impairment:
    """What a fault adds to a link; several add up. rate: bytes per ms, 0 for no limit."""

    added_ms: float = 0.0
    jitter_ms: float = 0.0
    cut: str = ""
    rate: float = 0.0


class Link:
    """One direction from a place to another. rate: bytes per ms."""

    def __init__(self, timeline: Timeline, chance: Random, delay_ms: float, jitter_ms: float, rate: float) -> None:
        self.delay_ms, self.jitter_ms, self.cut = delay_ms, jitter_ms, ""
        self.carried_bytes = 0
        self.pipes: dict[int, Pipe] = {}
        self._timeline, self._chance = timeline, chance
        self._base = (delay_ms, jitter_ms, rate)
        self._rate = rate
        self._free_ms = 0.0
        self._harms: list[Impairment] = []

    def harm(self, impairment: Impairment) -> None:
        self._harms.append(impairment)
        self._add_up()

    def heal(self, impairment: Impairment) -> None:
        self._harms.remove(impairment)
        self._add_up()

    def _add_up(self) -> None:
        delay, jitter, rate = self._base
        self.delay_ms = delay + sum(one.added_ms for one in self._harms)
        self.jitter_ms = jitter + sum(one.jitter_ms for one in self._harms)
        self._rate = min([rate, *(one.rate for one in self._harms if one.rate)])
        self._free_ms = min(self._free_ms, self._timeline.now_ms + 1000)
        self.cut = max((one.cut for one in self._harms), key=SEVERITY.index, default="")
        for pipe in list(self.pipes.values()):
            if self.cut == REFUSE:
                pipe.connection.reset()
            elif not self.cut:
                pipe.go_on()

    def delay(self) -> float:
        return self.delay_ms + (self._chance.random() * self.jitter_ms if self.jitter_ms else 0.0)

    def arrival(self, departs_ms: float, size: int) -> float:
        """When the last of `size` bytes given at that instant arrives."""
        self._free_ms = max(self._free_ms, departs_ms) + size / self._rate
        return self._free_ms + self.delay()


@dataclass(frozen=True)
class Wires:
    """What a healthy link is like: one-way delay in ms, jitter, bytes per ms."""

    delay_ms: float
    jitter_ms: float = 0.0
    rate: float = 125_000.0


class Wiring(Protocol):
    def __call__(self, source: str, target: str) -> tuple[Wires, Random]:
        """What the healthy link from source to target is like, and its own generator."""
        ...
