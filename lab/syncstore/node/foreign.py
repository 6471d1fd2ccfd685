"""Frames that came from other regions, until there is time for them.

Owns their queue, one for all links, in order. Local work comes first: a turn of the loop gives
them about a millisecond, and a link that sends faster than that is read no further, so that a
region that floods fills its own socket and nothing else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from lab.syncstore.node.transport import Link

PAUSED_ABOVE_BYTES = 512 * 1024
RESUMED_BELOW_BYTES = 128 * 1024
WHY = "waits for its slice"


class Foreign:
    """take: what a frame is given to when its time has come."""

    def __init__(self, take: Callable[[Link, bytes], None]) -> None:
        self._take = take
        self._frames: deque[tuple[Link, bytes]] = deque()
        self._bytes: dict[int, int] = {}

    def add(self, link: Link, body: bytes) -> None:
        waiting = self._bytes.get(link.number, 0) + len(body)
        self._bytes[link.number] = waiting
        self._frames.append((link, body))
        if waiting > PAUSED_ABOVE_BYTES:
            link.pause(WHY)

    @property
    def waits(self) -> bool:
        return bool(self._frames)

    def work(self, until_ms: float) -> bool:
        """Give frames out until `until_ms` of the monotonic clock, one at least; True while there are more."""
        frames = self._frames
        while frames:
            link, body = frames.popleft()
            waiting = self._bytes.get(link.number, 0) - len(body)
            self._bytes[link.number] = waiting
            if waiting <= RESUMED_BELOW_BYTES:
                link.resume(WHY)
            if not link.closing:
                self._take(link, body)
            if time.monotonic() * 1000 >= until_ms:
                break
        return bool(frames)

    def gone(self, link: Link) -> None:
        """Nothing more comes of it; what waits is passed over when its time comes."""
        self._bytes.pop(link.number, None)

    @property
    def waiting_bytes(self) -> int:
        return sum(self._bytes.values())
