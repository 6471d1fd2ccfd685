"""What the tests of sockets need: free ports, a small engine, a node around it, a plain client."""

from __future__ import annotations

import asyncio
import io
import math
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from lab.syncstore import wire
from lab.syncstore.config import Config
from lab.syncstore.node.addresses import Address, Addresses
from lab.syncstore.node.running import Running
from lab.syncstore.node.say import Say
from lab.syncstore.node.settings import Settings
from lab.syncstore.ports import Disk, Moment, Outlet
from lab.syncstore.security import TlsFiles

T = TypeVar("T")
HOST = "127.0.0.1"


def run(work: Coroutine[Any, Any, T], patience_s: float = 30) -> T:
    """As a node runs: on uvloop. A test that hangs fails."""

    async def limited() -> T:
        async with asyncio.timeout(patience_s):
            return await work

    return uvloop.run(limited())


_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports in a row that nobody listens at, where the system takes none for calls out; the same ones never again,
    since whoever was given them may not listen yet."""
    while True:
        first = secrets.randbelow(2_000) * 10 + 10_000
        if first in _given:
            continue
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    one = held.enter_context(socket.socket())
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind((HOST, port))
            except OSError:
                continue
            _given.add(first)
            return list(range(first, first + count))


def free_addresses() -> Addresses:
    return Addresses(*(Address(HOST, port) for port in free_ports(4)))


async def until(condition: Any, patience_s: float = 10) -> None:
    """Return when it holds. Raises TimeoutError."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.005)


class SmallEngine:
    """Answers every put once it is durable, every get with what was put, and keeps what it was told.

    told: (name, …). busy: slices of work still to be done. bodies: frames that are no requests, by purpose.
    """

    def __init__(self, config: Config, outlet: Outlet, disk: Disk) -> None:
        self.config, self.outlet, self.disk = config, outlet, disk
        self.next_wake_ms, self.ready, self.counters = math.inf, True, {"dials": 0, "odd one": 2}
        self.told: list[tuple[Any, ...]] = []
        self.bodies: list[tuple[str, bytes]] = []
        self.busy = self.slices = 0
        self.purposes: dict[int, str] = {}
        self.values: dict[str, bytes] = {}
        self.waiting: list[tuple[int, int, int]] = []
        self.replies: dict[int, list[wire.Reply]] = {}
        self.sync_wanted = False
        self.moments: list[Moment] = []

    def start(self, now: Moment, recovered: Iterable[tuple[str, bytes]], blank: bool) -> None:
        self.told.append(("start", blank))
        for kind, payload in recovered:
            if kind == "snapshot":
                self.values.clear() if payload == b"begin" else None
            key, equals, value = payload.partition(b"=")
            if equals:
                self.values[key.decode()] = value

    def opened(
        self, now: Moment, link: int, purpose: str, node: str, roles: frozenset[str] = frozenset(), name: str = ""
    ) -> None:
        self.purposes[link] = purpose
        self.told.append(("opened", link, purpose, node, roles, name))

    def received(self, now: Moment, link: int, body: bytes) -> None:
        self.moments.append(now)
        if body == b"bug":
            raise KeyError("a bug of the test's")
        if body == b"go":
            self.outlet.close(link, "it said go")
            return
        if body[:1] != b"\x92":
            self.bodies.append((self.purposes[link], bytes(body)))
            return
        message = wire.decode(body)
        if isinstance(message, wire.Requests):
            for request in message.items:
                self.asked(link, request)

    def asked(self, link: int, request: wire.Request) -> None:
        if request.op == "put":
            self.values[request.key] = request.value
            position = self.disk.append(request.key.encode() + b"=" + request.value)
            self.waiting.append((position, link, request.number))
            self.sync_wanted = True
        else:
            value = self.values.get(request.key)
            reply = wire.Reply(request.number, present=value is not None, value=value or b"")
            self.replies.setdefault(link, []).append(reply)

    def closed(self, now: Moment, link: int) -> None:
        self.told.append(("closed", link))

    def dial_failed(self, now: Moment, node: str, purpose: str) -> None:
        self.told.append(("dial_failed", node, purpose))

    def synced(self, now: Moment, position: int) -> None:
        self.told.append(("synced", position))
        for _, link, number in [one for one in self.waiting if one[0] <= position]:
            self.replies.setdefault(link, []).append(wire.Reply(number))
        self.waiting = [one for one in self.waiting if one[0] > position]

    def sync_failed(self, now: Moment, sentence: str) -> None:
        self.told.append(("sync_failed", sentence))

    def wake(self, now: Moment) -> None:
        self.told.append(("wake", self.next_wake_ms, now.mono_ms))
        self.next_wake_ms = math.inf

    @property
    def has_work(self) -> bool:
        return True

    def work(self, now: Moment) -> bool:
        if self.busy:
            self.busy -= 1
            self.slices += 1
        return self.busy > 0

    def flush(self, now: Moment) -> None:
        replies, self.replies = self.replies, {}
        for link, items in replies.items():
            self.outlet.send(link, wire.encode(wire.Replies(items)))

    def wants_sync(self, now: Moment) -> bool:
        """True once for each wish, as the real one."""
        wanted, self.sync_wanted = self.sync_wanted, False
        return wanted

    def writable(self, now: Moment, link: int) -> None:
        self.told.append(("writable", link))

    def snapshot(self, now: Moment) -> Iterator[bytes]:
        cut = list(self.values.items())
        return iter([b"begin", *(key.encode() + b"=" + value for key, value in cut)])

    def status(self) -> dict[str, Any]:
        return {"keys": len(self.values), "peers": {}}

    def take_told(self) -> list[str]:
        return []

    def names(self) -> list[str]:
        return [one[0] for one in self.told]


def settings(directory: Path, **changes: Any) -> Settings:
    """Of the only node of a region, on free ports."""
    given: dict[str, Any] = {
        "cluster": "test",
        "region": "sg",
        "node": "sg-1",
        "regions": {"sg": {"sg-1": free_addresses()}},
        "data": directory / "data",
        "dial": {},
    }
    return Settings(**{**given, **changes}).check()


class Served:
    """A node that runs on this loop. lines: what it said."""

    def __init__(self, chosen: Settings, **parts: Any) -> None:
        self.settings, self.stream = chosen, io.StringIO()
        self.say = Say(chosen.node, self.stream)
        self.engines: list[SmallEngine] = []

        def make(config: Config, outlet: Outlet, disk: Disk) -> SmallEngine:
            self.engines.append(SmallEngine(config, outlet, disk))
            return self.engines[0]

        self.running = Running(chosen, self.say, parts.pop("make_engine", make), **parts)

    @property
    def engine(self) -> SmallEngine:
        return self.engines[0]

    @property
    def node(self) -> Any:
        return self.running.node

    @property
    def lines(self) -> str:
        return self.stream.getvalue()

    def counts(self) -> dict[str, int]:
        return dict(self.node.connections.counts)


@asynccontextmanager
async def served(chosen: Settings, **parts: Any) -> AsyncIterator[Served]:
    one = Served(chosen, **parts)
    try:
        await one.running.start()
        yield one
    finally:
        await one.running.stop()
        one.say.close()


class Plain:
    """A connection without any of the node's own code but `wire`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, address: Address, tls: Any = None) -> Plain:
        return cls(*await asyncio.open_connection(address.host, address.port, ssl=tls, limit=2**22))

    def write(self, body: bytes) -> None:
        self.writer.write(len(body).to_bytes(4, "big") + body)

    def ask(self, *requests: wire.Request) -> None:
        self.write(wire.encode(wire.Requests(list(requests))))

    async def read(self) -> wire.Message:
        """Raises IncompleteReadError where the connection ends."""
        length = int.from_bytes(await self.reader.readexactly(4), "big")
        return wire.decode(await self.reader.readexactly(length))

    async def replies(self, count: int) -> list[wire.Reply]:
        found: list[wire.Reply] = []
        while len(found) < count:
            message = await self.read()
            assert isinstance(message, wire.Replies), message
            found += message.items
        return found

    async def ended(self) -> bytes:
        """What still came before the other side closed."""
        try:
            return await self.reader.read()
        except OSError:
            return b""

    def close(self) -> None:
        self.writer.transport.abort()


def put(number: int, key: str, value: bytes) -> wire.Request:
    return wire.Request(number, "put", "global/lww/b", key, value)


def get(number: int, key: str) -> wire.Request:
    return wire.Request(number, "get", "global/lww/b", key)


def tls_files(directory: Path, name: str) -> TlsFiles:
    return TlsFiles.of(directory, name)
