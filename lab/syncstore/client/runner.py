"""Runs a session on an asyncio loop: its connections, its one timer, and a future for each call.

Owns the keeping of one connection to every node, and who is told when one comes or goes. Decides
nothing about calls: that is the session's.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from lab.syncstore.calls import Call
from lab.syncstore.client.address import Address
from lab.syncstore.client.connection import Connection, dial, greeting
from lab.syncstore.client.results import RESULTS
from lab.syncstore.client.watches import Watches
from lab.syncstore.errors import Denied, Refused, SyncStoreError, Unavailable
from lab.syncstore.session import Session
from lab.syncstore.wire import PROTOCOL, Changes, Hello, Message, Replies, Reply, Request

if TYPE_CHECKING:
    import ssl

REDIAL_S = 0.05
REDIAL_MAX_S = 5.0
"""Full jitter: a node that is gone is dialled again after anything up to this."""
STEADY_S = 5.0
"""A connection that stood for so long was a good one: the next redial begins from REDIAL_S."""


class SessionRunner:
    """cluster, region: "" for whichever the first node says. purpose: client or admin."""

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        tls: ssl.SSLContext | None,
        cluster: str,
        region: str,
        purpose: str,
        retry: bool,
        connect_timeout_s: float,
    ) -> None:
        self.session = Session([one.url for one in addresses], self, _bits, retry=retry)
        self.watches = Watches(self)
        self.cluster, self.region, self.closed = cluster, region, False
        self._addresses, self._tls, self._purpose = addresses, tls, purpose
        self._timeout_s = connect_timeout_s
        self._loop = asyncio.get_running_loop()
        self._connections: dict[str, Connection] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._denied: dict[str, Denied] = {}
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms = inf

    async def open(self) -> None:
        """Return when one node is connected. Raises Unavailable, or Denied when every node denies."""
        self._keepers = [self._loop.create_task(self._keep(one)) for one in self._addresses]
        try:
            async with asyncio.timeout(self._timeout_s):
                while not self._connections:
                    if len(self._denied) == len(self._addresses):
                        raise next(iter(self._denied.values()))
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            why = f"no node could be reached within {self._timeout_s:g} s ({self.session.routes.why()})"
            await self.close()
            raise Unavailable(why) from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Whatever is open fails."""
        self.closed = True
        for keeper in self._keepers:
            keeper.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)
        self._keepers = []
        self.watches.close()
        self.session.close("this client was closed")
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        if self._timer is not None:
            self._timer.cancel()

    # -- calls ---------------------------------------------------------------------------------------

    def call(
        self,
        op: str,
        bucket: str,
        key: str,
        value: bytes = b"",
        expires: int = 0,
        revision: str = "",
        stale_ok: bool = False,
        timeout_s: float = 2.0,
    ) -> asyncio.Future[Any]:
        """The future of its result: of `results`. Raises ValueError for what is no time."""
        if not 0 < timeout_s < 1e9:
            raise ValueError(f"expected a timeout in seconds above 0, found {timeout_s!r}")
        future = self._loop.create_future()
        session = self.session
        if self.closed:
            future.set_exception(Unavailable("this client was closed, so nothing was sent"))
            return future
        try:
            session.start(
                op,
                bucket,
                key,
                time.monotonic() * 1000,
                value=value,
                expires=expires,
                revision=revision,
                stale_ok=stale_ok,
                timeout_ms=timeout_s * 1000,
                waiter=future,
            )
        except Unavailable as error:
            future.set_exception(error)
        if session.next_wake_ms < self._armed_ms:
            self._arm()
        return future

    def failed_future(self, error: SyncStoreError) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        future.set_exception(error)
        return future

    # -- what the session wants ------------------------------------------------------------------------

    def send(self, node: str, request: Request) -> None:
        self._connections[node].send(request)

    def send_if_open(self, node: str, request: Request) -> None:
        if (connection := self._connections.get(node)) is not None:
            connection.send(request)

    def probe(self, node: str, now: float) -> None:
        self.session.probe(node, now)
        if self.session.next_wake_ms < self._armed_ms:
            self._arm()

    def done(self, call: Call, reply: Reply) -> None:
        future = call.waiter
        if not future.done():  # its caller may have been cancelled
            future.set_result(RESULTS[call.request.op](reply))

    def failed(self, call: Call, error: SyncStoreError) -> None:
        if not call.waiter.done():
            call.waiter.set_exception(error)

    def drop(self, node: str, why: str) -> None:
        if (connection := self._connections.get(node)) is not None:
            connection.abort(why)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ms = self.session.next_wake_ms
        self._timer = self._loop.call_later(max(0.0, self._armed_ms / 1000 - time.monotonic()), self._wake)

    def _wake(self) -> None:
        self._timer, self._armed_ms = None, inf
        self.session.wake(time.monotonic() * 1000)
        if self.session.next_wake_ms < inf:
            self._arm()

    # -- what connections tell -------------------------------------------------------------------------

    def heard(self, connection: Connection) -> None:
        self.session.heard(connection.node, time.monotonic() * 1000)

    def received(self, connection: Connection, message: Message) -> None:
        if isinstance(message, Replies):
            now, node, answered = time.monotonic() * 1000, connection.node, self.session.answered
            for reply in message.items:
                answered(node, reply, now)
            if self.watches:
                self.watches.replied(message.items)
            if self.session.next_wake_ms < self._armed_ms:
                self._arm()
        elif isinstance(message, Changes):
            self.watches.changed(message)

    def unsendable(self, request: Request, error: Exception) -> None:
        """It could not be made a frame: our own or our user's mistake, found late."""
        self.session.unsendable(request.number, f"{request.op} can't be sent: {error}")

    # -- keeping nodes connected -----------------------------------------------------------------------

    async def _keep(self, address: Address) -> None:
        failures = 0
        while True:
            try:
                connection = await self._dial(address)
            except (OSError, SyncStoreError, UnicodeError) as error:  # of a host that is no name
                failures += 1
                self._unreachable(address.url, error)
            else:
                began = self._loop.time()
                self._opened(connection)
                self._lost(connection, await connection.ended)
                failures = 0 if self._loop.time() - began > STEADY_S else failures + 1
            most_s = min(REDIAL_MAX_S, REDIAL_S * 2.0 ** min(failures, 16))
            await asyncio.sleep(random.random() * most_s)

    async def _dial(self, address: Address) -> Connection:
        hello = greeting(self.cluster, self.region, self._purpose)
        connection = await dial(address, self, self._tls, hello, self._timeout_s)
        try:
            self._check(connection.hello.result())
        except BaseException:
            connection.abort("not what was expected")
            raise
        return connection

    def _check(self, hello: Hello) -> None:
        """The first node that answers says which cluster and region all are of. Raises Refused."""
        for what, wanted, found in (
            ("cluster", self.cluster, hello.cluster),
            ("region", self.region, hello.region),
        ):
            if wanted and wanted != found:
                raise Refused(f"expected a node of {what} {wanted!r}, found one of {found[:80]!r}: mend the list")
        if hello.protocol[0] > PROTOCOL[1] or hello.protocol[1] < PROTOCOL[0]:
            raise Refused(f"it speaks protocol {hello.protocol}, this client {PROTOCOL}: upgrade the older one")
        self.cluster, self.region = hello.cluster, hello.region

    def _opened(self, connection: Connection) -> None:
        self._denied.pop(connection.node, None)
        self._connections[connection.node] = connection
        self.session.opened(connection.node, time.monotonic() * 1000)
        self.watches.opened(connection.node)
        self._news.set()

    def _lost(self, connection: Connection, why: str) -> None:
        del self._connections[connection.node]
        now = time.monotonic() * 1000
        self.session.lost(connection.node, now, why, connection.unsent(), alive=connection.alive)
        self.watches.lost(connection.node)
        if self.session.next_wake_ms < self._armed_ms:
            self._arm()

    def _unreachable(self, node: str, error: Exception) -> None:
        if isinstance(error, Denied):
            self._denied[node] = error
        else:
            self._denied.pop(node, None)
        why = "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
        self.session.routes.unreachable(node, why or type(error).__name__)
        self._news.set()


def _bits() -> int:
    return random.getrandbits(64)
