"""Which of its region's nodes a client uses: who is connected, in which order, and who did badly.

Owns the order, the strikes and what is told of a node that isn't used. Health is advice: a node that
did badly is passed over while another is connected, and used when none is.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import inf

AVOID_MS = 250.0
"""How long a node is passed over after its first strike; each further one doubles it."""
AVOID_MAX_MS = 10_000.0
FORGIVEN_MS = 30_000.0
"""Without a strike for so long, a node begins anew."""


class _Node:
    __slots__ = ("avoid_until_ms", "open", "strikes", "struck_ms", "why")

    def __init__(self) -> None:
        self.open = False
        self.avoid_until_ms = 0.0
        self.struck_ms = -inf
        self.strikes = 0
        self.why = "not connected yet"


class Routes:
    """nodes: in order of preference."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = {name: _Node() for name in nodes}
        self._chosen = ""
        self._valid_until_ms = inf

    def opened(self, node: str, now: float) -> None:
        one = self._nodes[node]
        one.open, one.why = True, ""
        self._choose(now)

    def lost(self, node: str, now: float, why: str) -> None:
        self._nodes[node].open = False
        self.did_badly(node, now, why)

    def unreachable(self, node: str, why: str) -> None:
        self._nodes[node].why = why

    def did_badly(self, node: str, now: float, why: str) -> None:
        """It hung up, fell silent, or can't do its work."""
        one = self._nodes[node]
        one.why = why
        if now >= one.avoid_until_ms:  # what many calls find at once is one strike
            one.strikes = one.strikes + 1 if now - one.struck_ms < FORGIVEN_MS else 1
            one.struck_ms = now
            one.avoid_until_ms = now + min(AVOID_MS * 2.0 ** (one.strikes - 1), AVOID_MAX_MS)
        self._choose(now)

    def is_open(self, node: str) -> bool:
        return self._nodes[node].open

    def any_open(self) -> bool:
        return any(one.open for one in self._nodes.values())

    def choose(self, now: float, but: Container[str] = ()) -> str:
        """The node to use; "" when none is connected but those in `but`."""
        if not but:
            if now >= self._valid_until_ms:
                self._choose(now)
            return self._chosen
        return self._best(now, but)

    def why(self) -> str:
        """What is known against each node, for a sentence."""
        return "; ".join(f"{name}: {one.why or 'connected'}" for name, one in self._nodes.items())

    def _choose(self, now: float) -> None:
        self._chosen = self._best(now, ())
        self._valid_until_ms = min(
            (one.avoid_until_ms for one in self._nodes.values() if one.open and one.avoid_until_ms > now), default=inf
        )

    def _best(self, now: float, but: Container[str]) -> str:
        best, best_ms = "", inf
        for name, one in self._nodes.items():
            if one.open and name not in but and max(one.avoid_until_ms, now) < best_ms:
                best, best_ms = name, max(one.avoid_until_ms, now)
        return best
