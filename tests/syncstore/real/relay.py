"""A way between two nodes that a test can cut, stall or garble.

Owns its port and the bytes on their way; knows nothing of what they mean. It runs on the test's own loop.
"""

from __future__ import annotations

import asyncio
import random
from typing import cast

from tests.syncstore.nodes import HOST

THROUGH, CUT, STALL, GARBLE = "through", "cut", "stall", "garble"
GARBLED_SHARE = 0.05
"""Of the pieces that pass while a way garbles, so many get one wrong byte: some frames come first."""


class Way:
    """From whoever dials `port` to the node at `target`. passed: bytes, both directions."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target, self.mode, self.passed = port, target, THROUGH, 0
        self.chance = random.Random(port)
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _End(self), HOST, self.port)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for end in list(self._ends):
            end.abort()

    def through(self) -> None:
        """What was stalled goes on where it was."""
        self.mode = THROUGH
        for end in list(self._ends):
            end.go_on()

    def cut(self) -> None:
        """What stands breaks; who dials is hung up on at once."""
        self.mode = CUT
        for end in list(self._ends):
            end.abort()

    def stall(self) -> None:
        """Nothing passes, and nobody is told: packets that a firewall drops."""
        self.mode = STALL
        for end in list(self._ends):
            end.wait()

    def garble(self) -> None:
        self.mode = GARBLE

    # -- told by ends ------------------------------------------------------------------------------

    def opened(self, end: _End) -> None:
        self._ends.add(end)
        if end.other is not None:
            return
        if self.mode == CUT:
            end.abort()
            return
        end.wait()
        if self.mode != STALL:
            self.join(end)

    def join(self, end: _End) -> None:
        task = asyncio.ensure_future(self._join(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, end: _End) -> None:
        end.joining = True
        try:
            _, other = await asyncio.get_running_loop().create_connection(lambda: _End(self, end), HOST, self.target)
        except OSError:
            end.abort()
            return
        end.joined(cast(_End, other))
        if self.mode != STALL:
            end.go_on()

    def ended(self, end: _End) -> None:
        self._ends.discard(end)

    def carried(self, data: bytes) -> bytes:
        self.passed += len(data)
        if self.mode != GARBLE or self.chance.random() > GARBLED_SHARE:
            return data
        wrong = bytearray(data)
        wrong[self.chance.randrange(len(wrong))] ^= 1 << self.chance.randrange(8)
        return bytes(wrong)


class _End(asyncio.Protocol):
    """One of the two connections. other: None for a caller whose node is not reached yet."""

    def __init__(self, way: Way, other: _End | None = None) -> None:
        self.way, self.other, self.joining = way, other, False
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.way.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.other is None:  # uvloop begins to read after connection_made, whatever was said there
            self._early.append(data)
        elif self.other._transport is not None:
            self.other._transport.write(self.way.carried(data))

    def joined(self, other: _End) -> None:
        self.other = other
        for data in self._early:
            self.data_received(data)
        self._early.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.way.ended(self)
        if self.other is not None:
            self.other.abort()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.wait()

    def resume_writing(self) -> None:
        if self.other is not None and self.way.mode != STALL:
            self.other.go_on()

    def wait(self) -> None:
        if self._transport is not None and self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self.other is None:
            if not self.joining:
                self.way.join(self)
        elif not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
