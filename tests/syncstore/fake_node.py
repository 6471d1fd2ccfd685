"""A node that only pretends: real sockets and frames, a dictionary behind, and manners that can be set.

Owns what the client's tests need of a node; imports nothing of the real one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from lab.syncstore import wire
from lab.syncstore.errors import Malformed
from lab.syncstore.version import Version
from lab.syncstore.wire import Change, Changes, Hello, Replies, Reply, Request, Requests, Seen

ORIGIN = "sg/{}/0123456789ab0000000000000000"
Manner = Callable[["Visitor", Request], Reply | None]


class World:
    """What several fake nodes hold in common: bucket → key → (value, version, sequence)."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, tuple[bytes | None, Seen]]] = defaultdict(dict)
        self.sequence = 0
        self.tokens: dict[bytes, Reply] = {}
        self.watchers: list[tuple[Visitor, int, str, str]] = []

    def write(self, node: str, bucket: str, key: str, value: bytes | None) -> Seen:
        self.sequence += 1
        origin = ORIGIN.format(node)
        seen = Seen(1_000_000 + self.sequence, 0, origin, origin, self.sequence)
        self.buckets[bucket][key] = (value, seen)
        kind = "delete" if value is None else "put"
        for visitor, number, watched, prefix in self.watchers:
            if watched == bucket and key.startswith(prefix):
                change = Change(kind, key, value or b"", revision(seen), seen)
                visitor.send(Changes(number, [change], token={"w": self.sequence}))
        return seen


def revision(seen: Seen) -> str:
    return str(Version(seen.time, seen.counter, seen.maker))


class FakeNode:
    """manner: answers a request in place of the usual, None for not at all; `usual` is the usual."""

    def __init__(self, world: World | None = None, name: str = "sg-1", region: str = "sg") -> None:
        self.world, self.name, self.region = world or World(), name, region
        self.manner: Manner = lambda visitor, request: self.usual(visitor, request)
        self.requests: list[Request] = []
        self.visitors: set[Visitor] = set()
        self.greets = True
        self.greeting: bytes | None = None
        self.port = 0
        self.paused = False
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"syncstore://127.0.0.1:{self.port}"

    def asked(self, op: str) -> list[Request]:
        return [one for one in self.requests if one.op == op and "_probe" not in one.bucket]

    async def __aenter__(self) -> FakeNode:
        await self.start()
        return self

    async def __aexit__(self, *rest: object) -> None:
        self.stop()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Visitor(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """As if killed."""
        if self._server is not None:
            self._server.close()
        for visitor in list(self.visitors):
            visitor.transport.abort()

    def usual(self, visitor: Visitor, request: Request) -> Reply | None:
        """What a node of one would do."""
        bucket = self.world.buckets[request.bucket]
        value, seen = bucket.get(request.key, (None, None))
        if request.token in self.world.tokens and request.token:
            found = self.world.tokens[request.token]
            return Reply(request.number, revision=found.revision, seen=found.seen)
        if request.op == "get":
            if value is None or seen is None:
                return Reply(request.number, seen=seen)
            return Reply(request.number, present=True, value=value, revision=revision(seen), seen=seen)
        if request.op == "keys":
            return self._keys(request)
        if request.op == "watch":
            return self._watch(visitor, request)
        if request.op in ("unwatch", "drain", "evict"):
            return Reply(request.number)
        if request.op == "status":
            return Reply(request.number, info='{"node": "' + self.name + '"}')
        return self._write(request, value, seen)

    def _write(self, request: Request, value: bytes | None, seen: Seen | None) -> Reply:
        present = revision(seen) if seen is not None and value is not None else ""
        if request.op in ("create", "update") and "/lww/" in request.bucket:
            return Reply(request.number, "WrongKind", "create needs a register")
        if request.op in ("create", "update") and present != request.revision:
            return Reply(request.number, "WrongRevision", "another one is there", revision=present)
        written = self.world.write(
            self.name, request.bucket, request.key, None if request.op == "delete" else request.value
        )
        reply = Reply(request.number, revision=revision(written), seen=written)
        if request.token:
            self.world.tokens[request.token] = reply
        return reply

    def _keys(self, request: Request) -> Reply:
        named = sorted(key for key, (value, _) in self.world.buckets[request.bucket].items() if value is not None)
        wanted = [key for key in named if key.startswith(request.key) and key > request.revision]
        return Reply(request.number, keys=wanted[:10], info="more" if len(wanted) > 10 else "")

    def _watch(self, visitor: Visitor, request: Request) -> None:
        """A token always reaches back far enough here."""
        since = (request.resume or {}).get("w", 0)
        changes = [
            Change("put" if value is not None else "delete", key, value or b"", revision(seen), seen)
            for key, (value, seen) in self.world.buckets[request.bucket].items()
            if key.startswith(request.key) and seen.sequence > since and (value is not None or request.resume)
        ]
        first = request.resume is None
        visitor.send(Changes(request.number, changes, initial=first, whole=first, token={"w": self.world.sequence}))
        self.world.watchers.append((visitor, request.number, request.bucket, request.key))


class Visitor(asyncio.Protocol):
    """One connection, as its node sees it."""

    def __init__(self, node: FakeNode) -> None:
        self.node, self.transport, self._rest = node, None, b""  # type: asyncio.Transport
        self.hello: Hello | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.node.visitors.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.node.visitors.discard(self)
        self.node.world.watchers = [one for one in self.node.world.watchers if one[0] is not self]

    def send(self, message: wire.Message) -> None:
        self.write(wire.framed(wire.encode(message)))

    def write(self, content: bytes) -> None:
        if not self.transport.is_closing() and not self.node.paused:
            self.transport.write(content)

    def data_received(self, data: bytes) -> None:
        if self.node.paused:
            return
        self._rest += data
        while len(self._rest) >= 4 and len(self._rest) >= (end := 4 + int.from_bytes(self._rest[:4], "big")):
            body, self._rest = self._rest[4:end], self._rest[end:]
            try:
                self._received(wire.decode(body))
            except Malformed:
                self.transport.abort()

    def _received(self, message: wire.Message) -> None:
        node = self.node
        if isinstance(message, Hello):
            self.hello = message
            if node.greeting is not None:
                self.write(node.greeting)
            elif node.greets:
                self.send(Hello("test", wire.PROTOCOL, (), "", node.region, node.name, "0" * 28, "client", 0))
        elif isinstance(message, Requests):
            node.requests += message.items
            replies = [reply for one in message.items if (reply := node.manner(self, one)) is not None]
            if replies:
                self.send(Replies(replies))
