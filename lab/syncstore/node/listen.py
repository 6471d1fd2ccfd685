"""Who comes in: one listening socket, and how many connections it may have.

Owns accepting, TLS handshakes included, since a stranger may stop in the middle of one. What a
connection is for is said by whoever gives the factory.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

from lab.syncstore.errors import Refused
from lab.syncstore.node.addresses import Address
from lab.syncstore.node.say import Say
from lab.syncstore.node.transport import FIRST_FRAME_S

BACKLOG = 512
BREATH_S = 0.1
"""After the system refuses to accept (no descriptor left): so long nothing is tried."""


class Listener:
    """limit: connections at once, those in a handshake included; whoever comes then is closed at once.

    The protocol that `factory` makes must call `left` when its connection is gone. counts: of what was refused.
    """

    def __init__(
        self,
        purpose: str,
        address: Address,
        limit: int,
        tls: ssl.SSLContext | None,
        factory: Callable[[Listener], asyncio.BaseProtocol],
        say: Say,
        count: Callable[[str], None],
    ) -> None:
        self.purpose, self.address, self.limit, self.connections = purpose, address, limit, 0
        self._tls, self._factory, self._say, self._count = tls, factory, say, count
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: set[asyncio.Task[None]] = set()

    def bind(self) -> None:
        """Take the address, though nobody comes in yet. Raises Refused where it can't be had."""
        self._socket = bound(self.purpose, self.address)

    def open(self) -> None:
        """Let them in. Raises Refused where somebody else was quicker."""
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        listened(self._socket, self.purpose, self.address)
        self._accepting = asyncio.create_task(self._accept(self._socket))

    async def close(self) -> None:
        """Nobody comes in any more; who is in stays."""
        tasks = [task for task in (self._accepting, *self._handshakes) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._socket is not None:
            self._socket.close()

    def left(self) -> None:
        self.connections -= 1

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except Exception as error:  # whatever it is: a listener must not end
                self._count("not_accepted")
                self._say.warn(f"can't accept at {self.address}: {_reason(error)}", "accept")
                await asyncio.sleep(BREATH_S)
                continue
            if self.connections >= self.limit:
                accepted.close()
                self._count("too_many")
                self._say.warn(f"{self.limit} connections at {self.address}, one more was refused", "too many")
                continue
            self.connections += 1
            task = asyncio.create_task(self._welcome(accepted))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _welcome(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        patience_s = FIRST_FRAME_S if self._tls else None
        made: list[asyncio.BaseProtocol] = []

        def factory() -> asyncio.BaseProtocol:
            made.append(self._factory(self))
            return made[0]

        try:
            await loop.connect_accepted_socket(factory, accepted, ssl=self._tls, ssl_handshake_timeout=patience_s)
        except Exception as error:
            accepted.close()
            self.connections -= 1
            self._count("handshake_failed")
            self._say.warn(f"a handshake at {self.address} failed: {_reason(error)}", "handshake")


def bound(purpose: str, address: Address) -> socket.socket:
    """A socket that has its address. Raises Refused."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(found[0], found[1])
    except OSError as error:
        raise Refused(f"can't listen at {address} for {purpose}: {error.strerror or error}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(found[4])
    except OSError as error:
        listening.close()
        raise _refused(purpose, address, error) from None
    return listening


def listened(listening: socket.socket, purpose: str, address: Address) -> socket.socket:
    """Raises Refused."""
    try:
        listening.listen(BACKLOG)
    except OSError as error:
        raise _refused(purpose, address, error) from None
    return listening


def _refused(purpose: str, address: Address, error: OSError) -> Refused:
    taken = error.errno == errno.EADDRINUSE
    advice = "another process listens there; end it, or give this node other ports" if taken else error.strerror
    return Refused(f"can't listen at {address} for {purpose}: {advice}")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "no TLS"
    return (error.strerror if isinstance(error, OSError) else "") or error.__class__.__name__
