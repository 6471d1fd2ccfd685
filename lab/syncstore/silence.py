"""Who owes a sign of life, and for how long nothing was heard.

Owns when each connected node was last heard, and since when it owes an answer to a question that was
asked only to get one. A node that owes nothing may be quiet for as long as it likes.
"""

from __future__ import annotations

from math import inf


class Silence:
    __slots__ = ("_heard_ms", "_owed_ms")

    def __init__(self) -> None:
        self._heard_ms: dict[str, float] = {}
        self._owed_ms: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether any node was probed and has not answered."""
        return bool(self._owed_ms)

    def heard(self, node: str, now: float) -> None:
        self._heard_ms[node] = now
        if self._owed_ms:
            self._owed_ms.pop(node, None)

    def lost(self, node: str) -> None:
        self._heard_ms.pop(node, None)
        self._owed_ms.pop(node, None)

    def probed(self, node: str, now: float) -> bool:
        """False: it owes an answer to an earlier probe already."""
        if node in self._owed_ms:
            return False
        self._owed_ms[node] = now
        return True

    def forgive(self, now: float) -> None:
        """It was we who did not listen."""
        self._heard_ms = dict.fromkeys(self._heard_ms, now)

    def quiet_ms(self, node: str, now: float) -> float:
        """Since it was last heard, whether it owes anything or not."""
        return now - self._heard_ms.get(node, now)

    def spans(self, asked_ms: dict[str, float], now: float) -> list[tuple[str, float]]:
        """Each node that owes an answer, and its silence in ms since it was asked. asked_ms: of open calls."""
        since = {
            node: min(asked_ms.get(node, inf), self._owed_ms.get(node, inf)) for node in {**asked_ms, **self._owed_ms}
        }
        return [(node, now - max(at, self._heard_ms.get(node, at))) for node, at in since.items()]
