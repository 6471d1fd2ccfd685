"""One connection: bytes become frames on the way in, frames become one write a turn on the way out.

Owns the bytes of one socket, what of them waits, and every reason of its own to end it. Knows nothing
of what a frame means. Whatever comes, at most one frame (1 MiB) of it is held in memory here, and
no more than what has really come: a length alone makes no buffer grow.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, Protocol, cast

from lab.syncstore.wire import FRAME_BYTES, LENGTH_BYTES

START_BYTES = 16 * 1024
READ_BYTES = 64 * 1024
"""A buffer grows this far for speed; beyond it only for a frame that needs it, and shrinks again."""
TURN_BYTES = 64 * 1024
"""After so much from one connection the others have their turn."""
UNSENT_BYTES = 16 * 1024 * 1024
"""A peer that reads nothing is given up at this, whatever was meant to be sent to it."""
FIRST_FRAME_S = 5.0
CLOSING_S = 5.0
"""What was sent before an end has so long to go."""
_KEEPALIVE = (("IDLE", 10), ("INTVL", 5), ("CNT", 3))  # seconds, seconds, questions without an answer

GONE = "the other side closed it"
LOST = "the network failed"
TOO_LONG = "a frame is too long"
SILENT = "no first frame in time"
SLOW = "it reads too slowly"
ENDED = "ended by this node"


class Owner(Protocol):
    """Whom a link tells what happens. `waiting` is the list of links that have something to write."""

    waiting: list[Link]
    unsent_limit: int

    def link_opened(self, link: Link) -> None: ...

    def link_received(self, link: Link, body: bytes) -> None: ...

    def link_turn(self, link: Link) -> None:
        """After a batch of frames; `link.over_turn` where more must wait for the next turn."""
        ...

    def link_writable(self, link: Link) -> None: ...

    def link_closed(self, link: Link, reason: str) -> None: ...


class Link(asyncio.BufferedProtocol):
    """purpose: peer, wan or client. node: whom we dialled, "" when they came to us.

    closing: nothing is taken from it or sent on it any more. heard: its first frame came.
    """

    def __init__(self, number: int, purpose: str, node: str, owner: Owner) -> None:
        self.number, self.purpose, self.node = number, purpose, node
        self.closing = self.choked = self.over_turn = self.heard = False
        self.received_bytes = 0
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(START_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = self._turn_bytes = 0
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._paused: set[str] = set()
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    # -- what asyncio tells ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        half = self._owner.unsent_limit // 2
        self._transport.set_write_buffer_limits(high=half, low=half)
        _tune(transport.get_extra_info("socket"))
        self._timer = asyncio.get_running_loop().call_later(FIRST_FRAME_S, self.end, SILENT)
        self._owner.link_opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._filled == len(self._buffer):
            self._resize(min(2 * self._filled, LENGTH_BYTES + FRAME_BYTES))
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if self.closing:
            self._filled = 0
            return
        filled_up = self._filled + nbytes == len(self._buffer)
        self._filled += nbytes
        self.received_bytes += nbytes
        self._turn_bytes += nbytes
        self.over_turn = self._turn_bytes > TURN_BYTES
        self._keep(self._split())
        if self._filled < START_BYTES:
            if filled_up and len(self._buffer) < READ_BYTES:
                self._resize(2 * len(self._buffer))
            elif len(self._buffer) > READ_BYTES:
                self._resize(READ_BYTES)
        self._owner.link_turn(self)

    def eof_received(self) -> bool:
        return False

    def resume_writing(self) -> None:
        self.choked = False
        self._owner.link_writable(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        if self._timer:
            self._timer.cancel()
        self._out.clear()
        self._out_bytes = 0
        self._owner.link_closed(self, self._reason or (LOST if exc else GONE))
        self._transport = None

    # -- what its owner does -----------------------------------------------------------------------

    def greeted(self) -> None:
        """The first frame came."""
        self.heard = True
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def send(self, body: bytes) -> None:
        """Goes out with `flush`. Raises ValueError for a frame that is too long: our own error."""
        if self.closing:
            return
        if len(body) > FRAME_BYTES:
            raise ValueError(f"a frame of {len(body)} bytes is above {FRAME_BYTES}")
        if not self._out:
            self._owner.waiting.append(self)
        self._out.append(len(body).to_bytes(LENGTH_BYTES, "big"))
        self._out.append(body)
        self._out_bytes += LENGTH_BYTES + len(body)
        if self._out_bytes > UNSENT_BYTES:
            self.abort(SLOW)

    def flush(self) -> None:
        """Hand all that was sent to the socket, at once."""
        if not self._out or self._transport is None:
            return
        content = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        self._transport.write(content)
        unsent = self._transport.get_write_buffer_size()
        if unsent > UNSENT_BYTES:
            self.abort(SLOW)
        elif self.choked and unsent <= self._owner.unsent_limit // 2:
            self.choked = False
            asyncio.get_running_loop().call_soon(self._owner.link_writable, self)

    def unsent(self) -> int:
        """Bytes that were sent and that the socket has not taken."""
        if self._transport is None or self.closing:
            return 0
        unsent = self._out_bytes + self._transport.get_write_buffer_size()
        if unsent > self._owner.unsent_limit:
            self.choked = True  # whoever hears this is told when it is over
        return unsent

    def pause(self, why: str) -> None:
        """Read no more until every `why` is resumed."""
        if not self._paused and self._transport and not self._transport.is_closing():
            self._transport.pause_reading()
        self._paused.add(why)

    def resume(self, why: str) -> None:
        self._paused.discard(why)
        if not self._paused and self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def next_turn(self) -> None:
        self._turn_bytes, self.over_turn = 0, False

    def end(self, reason: str) -> None:
        """Take nothing more; close when what was sent has gone, or after CLOSING_S."""
        if self.closing or self._transport is None:
            return
        self.flush()
        if self.closing:  # aborted: it reads too slowly
            return
        self.closing, self._reason = True, reason
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(CLOSING_S, self.abort, reason)
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Close now, whatever has not gone."""
        self._reason = self._reason or reason
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    def extra(self, name: str) -> Any:
        """As a transport's get_extra_info."""
        return self._transport.get_extra_info(name) if self._transport else None

    # -- bytes -------------------------------------------------------------------------------------

    def _split(self) -> int:
        """Hand over every whole frame; where the first one that isn't begins."""
        start, end, view = 0, self._filled, self._view
        while end - start >= LENGTH_BYTES and not self.closing:
            length = int.from_bytes(view[start : start + LENGTH_BYTES], "big")
            stop = start + LENGTH_BYTES + length
            if length > FRAME_BYTES:
                self.end(TOO_LONG)
            elif stop > end:
                break
            else:
                self._owner.link_received(self, bytes(view[start + LENGTH_BYTES : stop]))
            start = stop
        return min(start, end)

    def _keep(self, start: int) -> None:
        """Move what is left to the buffer's beginning."""
        left = self._filled - start
        if start and left:
            self._view[:left] = self._view[start : self._filled]
        self._filled = left

    def _resize(self, size: int) -> None:
        buffer = bytearray(size)
        buffer[: self._filled] = self._view[: self._filled]
        self._buffer, self._view = buffer, memoryview(buffer)


def _tune(sock: socket.socket | None) -> None:
    """Frames go at once, and a peer that vanished is noticed even where nobody sends."""
    options = [(socket.IPPROTO_TCP, "TCP_NODELAY", 1), (socket.SOL_SOCKET, "SO_KEEPALIVE", 1)]
    options += [(socket.IPPROTO_TCP, f"TCP_KEEP{name}", value) for name, value in _KEEPALIVE]
    for level, name, value in options:
        with suppress(OSError, AttributeError):  # no TCP, already gone, or a system without this option
            if sock is not None:
                sock.setsockopt(level, getattr(socket, name), value)
