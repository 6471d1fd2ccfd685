"""What a node tells whoever looks at its terminal: one line an event, on stderr.

    2030-01-31T12:00:00.123Z warn  sg-1: nobody at 127.0.0.1:7101, where sg-2 should be (and 4 more like it)

Owns the lines' form and how many there are: of each kind a few at once, then the rest are counted.
A terminal that takes nothing (a full pipe) must not stop a node: a thread does the writing, and
what can't be written is left out. Never give it values, keys' contents or secrets.
"""

from __future__ import annotations

import sys
import threading
import time
from queue import SimpleQueue
from typing import IO

BURST = 5
WINDOW_S = 10.0
WAITING = 1000
WORDS = 600


class Say:
    """kind: what is limited together, a constant of the caller's, never a text from outside."""

    def __init__(self, name: str, stream: IO[str] | None = None) -> None:
        self.name, self._stream = name, stream or sys.stderr
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._kinds: dict[str, tuple[float, int, int]] = {}  # since when, said, left out
        self._thread = threading.Thread(target=self._write, name="say", daemon=True)
        self._thread.start()

    def info(self, words: str, kind: str = "") -> None:
        self._say("info", words, kind)

    def warn(self, words: str, kind: str = "") -> None:
        self._say("warn", words, kind)

    def error(self, words: str, kind: str = "") -> None:
        self._say("error", words, kind)

    def close(self) -> None:
        """Give what was said a second to be written."""
        self._lines.put(None)
        self._thread.join(1)

    def _say(self, level: str, words: str, kind: str) -> None:
        left_out = self._left_out(kind or words[:40])
        if left_out is None or self._lines.qsize() > WAITING:
            return
        more = f" (and {left_out} more like it)" if left_out else ""
        self._lines.put(f"{_utc(time.time())} {level:5} {self.name}: {_plain(words)}{more}\n")

    def _left_out(self, kind: str) -> int | None:
        """How many of this kind were left out since the last one said; None: leave this one out, too."""
        now = time.monotonic()
        if len(self._kinds) > WAITING:
            self._kinds.clear()
        since, said, left_out = self._kinds.get(kind, (now, 0, 0))
        if now - since > WINDOW_S:
            since, said = now, 0
        if said >= BURST:
            self._kinds[kind] = (since, said, left_out + 1)
            return None
        self._kinds[kind] = (since, said + 1, 0)
        return left_out

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads it any more
                pass


def _utc(at_s: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))
    return f"{whole}.{int(at_s * 1000) % 1000:03d}Z"


def _plain(words: str) -> str:
    """One line without control characters, whatever a stranger put into a sentence."""
    cut = words if len(words) <= WORDS else words[:WORDS] + "…"
    return "".join(one if one.isprintable() else "·" for one in cut)
