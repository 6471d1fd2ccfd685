"""The client: buckets, and what can be done with their keys.

    async with connect(["syncstore://127.0.0.1:7100", "syncstore://127.0.0.1:7110"]) as client:
        rooms = client.bucket("rooms")
        await rooms.put("sg/1", b"open", ttl=30)
        entry = await rooms.get("sg/1")

Owns the checks of what users give. A call is sent when it is made, and what it returns is a future: await
it, or make many and gather them. Every `timeout` is in seconds, from the call to its end, whatever node
it goes to; when it has passed the call raises `Timeout` (it may have happened) or `Unavailable` (nothing
was sent). Not thread-safe: one client, one loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lab.syncstore.client.address import addresses
from lab.syncstore.client.results import Entry, Page, Written
from lab.syncstore.client.runner import SessionRunner
from lab.syncstore.client.watch import Watch
from lab.syncstore.errors import Refused, TooLarge
from lab.syncstore.record import GLOBAL, KEY_BYTES, LWW, VALUE_BYTES, bucket_name, bucket_parts
from lab.syncstore.version import LATEST_MS, version_of

if TYPE_CHECKING:
    import ssl

    from lab.syncstore.security import TlsFiles


class Client:
    """Made by `connect`."""

    def __init__(
        self, urls: str | list[str] | tuple[str, ...], shuffle: bool, timeout_s: float, **options: Any
    ) -> None:
        self._addresses = addresses(urls)
        if shuffle:
            random.shuffle(self._addresses)
        self._timeout_s, self._options = timeout_s, options
        self._runner: SessionRunner | None = None

    # -- its life ----------------------------------------------------------------------------------

    async def open(self) -> Self:
        """Return when one node is connected; raises Unavailable, Denied or Refused. `async with` does it."""
        runner = self._runner = SessionRunner(self._addresses, **self._options)
        await runner.open()
        return self

    async def close(self) -> None:
        """Calls still open fail: Unavailable if nothing was sent, else Timeout."""
        if self._runner is not None:
            await self._runner.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- what it is for ----------------------------------------------------------------------------

    def bucket(self, name: str, *, kind: str = LWW, scope: str = GLOBAL, timeout: float | None = None) -> Bucket:
        """kind: lww (last writer wins) or register (create and update by revision, linearizable in the
        region). scope: global, or region for what never leaves it. timeout: default of its calls.
        Raises Refused."""
        return Bucket(self.runner, bucket_name(scope, kind, name), self._timeout_s if timeout is None else timeout)

    async def status(self, *, timeout: float | None = None) -> dict[str, Any]:
        """What the node in use says of itself."""
        found: dict[str, Any] = await self._admin("status", "", timeout)
        return found

    async def drain(self, region: str, *, timeout: float | None = None) -> None:
        """Advise everybody to leave a region. Needs the role admin."""
        await self._admin("drain", region, timeout)

    async def evict(self, region: str, *, timeout: float | None = None) -> None:
        """Stop waiting for a region that is lost: it returns by a reset only. Needs the role admin."""
        await self._admin("evict", region, timeout)

    async def serve(self, region: str, *, timeout: float | None = None) -> None:
        """Undo `drain`. Needs the role admin."""
        await self._admin("serve", region, timeout)

    @property
    def runner(self) -> SessionRunner:
        if self._runner is None:
            raise Refused("this client is not open: use `async with connect(…) as client`, or `await connect(…)`")
        return self._runner

    @property
    def operations(self) -> int:
        """Calls begun so far."""
        return self.runner.session.operations

    @property
    def retries(self) -> int:
        """Requests beyond the first of their call."""
        return self.runner.session.budget.spent

    @property
    def region(self) -> str:
        """The region of its nodes."""
        return self.runner.region

    def _admin(self, op: str, region: str, timeout: float | None) -> asyncio.Future[Any]:
        return self.runner.call(op, "", region, timeout_s=self._timeout_s if timeout is None else timeout)


class Bucket:
    """Made by `Client.bucket`. Keys are texts of up to 512 bytes, values are bytes up to 256 KiB.

    Every call may raise Unavailable, Timeout, Denied, and for writes TooLarge and Storage.
    """

    __slots__ = ("_call", "_runner", "_timeout_s", "name")

    def __init__(self, runner: SessionRunner, name: str, timeout_s: float) -> None:
        try:
            bucket_parts(name)
            name.encode()
        except ValueError as error:
            raise Refused(str(error)) from None
        self.name, self._runner, self._call, self._timeout_s = name, runner, runner.call, timeout_s

    def put(
        self, key: str, value: bytes, *, ttl: float | None = None, timeout: float | None = None
    ) -> asyncio.Future[Written]:
        """ttl: seconds until it is gone, by this machine's clock."""
        if not _ordinary(key, value):
            return self._runner.failed_future(_too_large(key, value))
        return self._call(
            "put",
            self.name,
            key,
            value,
            0 if ttl is None else _expiry(ttl),
            timeout_s=self._timeout_s if timeout is None else timeout,
        )

    def get(self, key: str, *, stale_ok: bool = False, timeout: float | None = None) -> asyncio.Future[Entry]:
        """An absent key has value None. stale_ok: a register is read from one node alone."""
        if not _ordinary(key, b""):
            return self._runner.failed_future(_too_large(key, b""))
        return self._call(
            "get", self.name, key, stale_ok=stale_ok, timeout_s=self._timeout_s if timeout is None else timeout
        )

    def delete(self, key: str, *, timeout: float | None = None) -> asyncio.Future[Written]:
        """Also of a key that isn't there."""
        if not _ordinary(key, b""):
            return self._runner.failed_future(_too_large(key, b""))
        return self._call("delete", self.name, key, timeout_s=self._timeout_s if timeout is None else timeout)

    def create(
        self, key: str, value: bytes, *, ttl: float | None = None, timeout: float | None = None
    ) -> asyncio.Future[Written]:
        """Only where the key is absent. Raises WrongRevision, and WrongKind for a bucket that is no register."""
        if not _ordinary(key, value):
            return self._runner.failed_future(_too_large(key, value))
        return self._call(
            "create",
            self.name,
            key,
            value,
            0 if ttl is None else _expiry(ttl),
            timeout_s=self._timeout_s if timeout is None else timeout,
        )

    def update(
        self, key: str, value: bytes, revision: str, *, ttl: float | None = None, timeout: float | None = None
    ) -> asyncio.Future[Written]:
        """Only where the key has this revision. Raises as `create` does."""
        if not _ordinary(key, value):
            return self._runner.failed_future(_too_large(key, value))
        return self._call(
            "update",
            self.name,
            key,
            value,
            0 if ttl is None else _expiry(ttl),
            _revision(revision),
            timeout_s=self._timeout_s if timeout is None else timeout,
        )

    async def keys(self, prefix: str = "", *, timeout: float | None = None) -> list[str]:
        """In order. Not at one instant where there are more than a page (256 KiB) of them."""
        _ordinary(prefix or "-", b"")
        timeout_s = self._timeout_s if timeout is None else timeout
        until_s = time.monotonic() + timeout_s
        found: list[str] = []
        while True:
            page: Page = await self._call(
                "keys", self.name, prefix, revision=found[-1] if found else "", timeout_s=timeout_s
            )
            found += page.keys
            if not page.more or not page.keys:
                return found
            timeout_s = max(0.001, until_s - time.monotonic())

    def watch(self, prefix: str = "", *, resume: dict[str, int] | None = None) -> Watch:
        """See `Watch`. resume: the `token` of an earlier one."""
        _ordinary(prefix or "-", b"")
        return Watch(self._runner, self.name, prefix, resume)


def _ordinary(key: str, value: bytes) -> bool:
    """Whether the sizes are within the limits. Raises TypeError and ValueError for what is no key or value."""
    if type(key) is not str or type(value) is not bytes:
        raise TypeError(f"expected a str as key and bytes as value, found {type(key).__name__}, {type(value).__name__}")
    if not key:
        raise ValueError("expected a key, found an empty text")
    if key.isascii():
        return len(key) <= KEY_BYTES and len(value) <= VALUE_BYTES
    return len(key.encode()) <= KEY_BYTES and len(value) <= VALUE_BYTES


def _too_large(key: str, value: bytes) -> TooLarge:
    size = len(key.encode())
    if size > KEY_BYTES:
        return TooLarge(f"a key of {size} bytes is above {KEY_BYTES}")
    return TooLarge(
        f"a value of {len(value)} bytes is above {VALUE_BYTES}: keep large ones elsewhere, and their name here"
    )


def _expiry(ttl: float) -> int:
    """Unix ms. Raises ValueError."""
    expires = time.time() * 1000 + ttl * 1000
    if not ttl > 0 or expires > LATEST_MS:
        raise ValueError(f"expected a ttl in seconds above 0 and before the year 2200, found {ttl!r}")
    return int(expires)


def _revision(revision: str) -> str:
    """Raises ValueError for what no reply gave."""
    try:
        version_of(revision)
    except (ValueError, AttributeError):
        raise ValueError(f"expected a revision as a reply gave it, found {revision!r}") from None
    return revision


def connect(
    urls: str | list[str] | tuple[str, ...],
    *,
    tls: ssl.SSLContext | TlsFiles | None = None,
    cluster: str = "",
    region: str = "",
    admin: bool = False,
    retry: bool = True,
    timeout: float = 2.0,
    connect_timeout: float = 5.0,
    shuffle: bool = True,
) -> Client:
    """A client of one region's nodes; use it as `async with connect(…) as client`. Raises Refused.

    urls: syncstore://host:port, each once. tls: files or a context with a certificate of role client or
    admin. cluster, region: "" for whichever the first node says; nodes of another are not used.
    retry False: no call is tried twice, and one made while no node is connected fails at once.
    timeout, connect_timeout: seconds, of a call and of reaching the first node. shuffle False: the
    first of `urls` is preferred by every client, which puts their load on one node.
    """
    import ssl

    if tls is not None and not isinstance(tls, ssl.SSLContext):
        from lab.syncstore.security import client_context

        tls = client_context(tls)
    return Client(
        urls,
        shuffle,
        timeout,
        tls=tls,
        cluster=cluster,
        region=region,
        purpose="admin" if admin else "client",
        retry=retry,
        connect_timeout_s=connect_timeout,
    )
