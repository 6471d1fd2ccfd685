"""One connection to one node: requests gathered to one write a loop turn, bytes cut into frames.

Owns a socket's bytes and the handshake. Knows nothing of calls, retries or watches. Whatever a node
sends, at most one frame of it is held here, and a frame that is none costs this connection alone.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol, cast

from lab.syncstore.errors import Denied, Malformed, SyncStoreError, Unavailable
from lab.syncstore.wire import (
    FEATURES,
    FRAME_BYTES,
    LENGTH_BYTES,
    PROTOCOL,
    Goodbye,
    Hello,
    Message,
    Request,
    Requests,
    decode,
    encode,
    framed,
)

if TYPE_CHECKING:
    import ssl

    from lab.syncstore.client.address import Address


TOGETHER = 128
"""So many requests make a frame that goes at once: the node works on it while its client asks on."""


class Owner(Protocol):
    """Whom a connection tells what happens, once it stands."""

    def heard(self, connection: Connection) -> None:
        """Bytes came, of whatever kind."""
        ...

    def received(self, connection: Connection, message: Message) -> None: ...

    def unsendable(self, request: Request, error: Exception) -> None: ...


class Connection(asyncio.Protocol):
    """node: what its owner calls the node. hello: the node's. ended: done with a sentence when it is over;
    alive then tells whether the node may still be there, and read what was sent."""

    def __init__(self, node: str, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.node, self._owner, self._loop = node, owner, loop
        self.hello: asyncio.Future[Hello] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()
        self.alive = False
        self._transport: asyncio.Transport | None = None
        self._queue: list[Request] = []
        self._flushing = self._full = False
        self._rest = bytearray()
        self._needed = LENGTH_BYTES
        self._why = ""

    # -- out ---------------------------------------------------------------------------------------

    def greet(self, hello: Hello) -> None:
        if self._transport is not None:
            self._transport.write(framed(encode(hello)))

    def send(self, request: Request) -> None:
        """Goes out with all others of this loop turn, or with the first that make a lot."""
        self._queue.append(request)
        if len(self._queue) == TOGETHER:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def unsent(self) -> set[int]:
        """Numbers of requests that have certainly not left."""
        return {request.number for request in self._queue}

    def close(self) -> None:
        """What was sent goes; nothing more is taken."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        self._why = self._why or why
        if self._transport is not None:
            self.alive = True
            self._transport.abort()

    def _flush(self) -> None:
        self._flushing = False
        if self._full or self._transport is None or self._transport.is_closing():
            return  # what stays in the queue has certainly not left
        queue, self._queue = self._queue, []
        if queue:
            self._write(queue)

    def _write(self, requests: list[Request]) -> None:
        """One frame, or as many as their sizes ask for."""
        try:
            body = encode(Requests(requests))
        except Exception as error:  # a value that is no bytes, say: the others must not suffer
            if len(requests) == 1:
                self._owner.unsendable(requests[0], error)
                return
            body = b""
        if body and len(body) <= FRAME_BYTES:
            cast(asyncio.Transport, self._transport).write(framed(body))
        elif len(requests) == 1:
            self._owner.unsendable(requests[0], ValueError(f"a request of {len(body)} bytes is above {FRAME_BYTES}"))
        else:
            half = len(requests) // 2
            self._write(requests[:half])
            self._write(requests[half:])

    # -- what asyncio tells ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._owner.heard(self)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data, self._rest = bytes(self._rest), bytearray()
        try:
            start = self._take(data)
        except Malformed as error:
            self.abort(f"it sent what is no frame: {error}")
            return
        if start < len(data):
            self._rest += memoryview(data)[start:]

    def _take(self, data: bytes) -> int:
        """Hand over every whole frame; where the first that isn't begins. Raises Malformed."""
        start, end, view = 0, len(data), memoryview(data)
        while end - start >= LENGTH_BYTES:
            length = int.from_bytes(view[start : start + LENGTH_BYTES], "big")
            if length > FRAME_BYTES:
                raise Malformed(f"a frame of {length} bytes is above {FRAME_BYTES}")
            self._needed = LENGTH_BYTES + length
            if end - start < self._needed:
                return start
            self._received(decode(view[start + LENGTH_BYTES : start + self._needed]))
            start += self._needed
        self._needed = LENGTH_BYTES
        return start

    def _received(self, message: Message) -> None:
        if self.hello.done():
            if isinstance(message, Goodbye):
                self._why = self._why or f"it said goodbye: {message.why[:200]}"
            else:
                self._owner.received(self, message)
        elif isinstance(message, Hello):
            self.hello.set_result(message)
        elif isinstance(message, Goodbye):
            denied = message.why.startswith(Denied.__name__)
            self._fail((Denied if denied else Unavailable)(message.why[:200]))
        else:
            raise Malformed("expected a HELLO first")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.alive = self.alive or not (exc is None or isinstance(exc, ConnectionError))
        why = self._why or (f"the connection broke: {exc}" if exc else "it closed the connection")
        if not self.hello.done():
            why += " before any HELLO: is it a SyncStore node, and is TLS as it wants it?"
        self._fail(Unavailable(why))
        if not self.ended.done():
            self.ended.set_result(why)

    def _fail(self, error: SyncStoreError) -> None:
        if not self.hello.done():
            self.hello.set_exception(error)
            self.hello.exception()  # whoever waited may have given up


async def dial(
    address: Address, owner: Owner, tls: ssl.SSLContext | None, hello: Hello, timeout_s: float
) -> Connection:
    """A connection whose handshake is done. Raises SyncStoreError, or OSError (TimeoutError is one)."""
    loop = asyncio.get_running_loop()
    connection = Connection(address.url, owner, loop)
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await loop.create_connection(
                lambda: connection,
                address.host,
                address.port,
                ssl=tls,
                server_hostname=address.host if tls is not None else None,
            )
            if tls is not None:
                _check_role(transport.get_extra_info("ssl_object"))
            connection.greet(hello)
            await connection.hello
    except BaseException:
        connection.abort("given up")
        raise
    return connection


def greeting(cluster: str, region: str, purpose: str) -> Hello:
    """A client's HELLO. cluster, region: "" for whichever it turns out to be."""
    return Hello(cluster, PROTOCOL, FEATURES, "", region, "", "", purpose, time.time_ns() // 1_000_000)


def _check_role(tls: Any) -> None:
    from lab.syncstore.security import PEER, identity_of

    if PEER not in identity_of(tls).roles:
        raise Denied("expected a node's certificate (of role peer), found another: is this a SyncStore node?")
