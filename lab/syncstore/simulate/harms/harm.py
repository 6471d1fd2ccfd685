"""A harm: one fault of a schedule, as a value.

Owns its shape and how a world goes through a list of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Harm:
    """where: regions or nodes, as the kind has it. amount, mode: what the kind makes of them."""

    at_ms: float
    for_ms: float
    kind: str
    where: tuple[str, ...] = ()
    amount: float = 0.0
    mode: str = ""

    def __str__(self) -> str:
        detail = " ".join([*self.where, *([f"{self.amount:g}"] if self.amount else []), self.mode]).strip()
        return f"{self.at_ms:.0f}–{self.at_ms + self.for_ms:.0f} ms {self.kind} {detail}".strip()


Heal = Callable[[], None]


def together(heals: list[Heal]) -> Heal:
    def heal() -> None:
        for one in heals:
            one()

    return heal
