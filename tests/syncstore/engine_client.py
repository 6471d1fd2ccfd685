"""A connection of a client to one of `engines`, without sockets: what it asked, was answered and was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.syncstore.wire import Change, Changes, Hello, Replies, Reply, Request, Requests, encode

if TYPE_CHECKING:
    from tests.syncstore.engines import Net

LWW = "global/lww/things"


class Client:
    """A connection of a client to one node."""

    def __init__(self, net: Net, node: str, roles: frozenset[str] = frozenset()) -> None:
        self.net, self.node = net, node
        self.number = net.number()
        self.replies: dict[int, Reply] = {}
        self.changes: dict[int, list[Change]] = {}
        self.frames: dict[int, list[Changes]] = {}
        self.gone = False
        self._last = 0
        net.clients[node, self.number] = self
        engine = net.engines[node]
        engine.opened(net.moment(node), self.number, "client", "", roles)
        self.say(encode(Hello("test", (1, 1), (), "", "", "", "", "client", 0)))

    def say(self, body: bytes) -> None:
        self.net.engines[self.node].received(self.net.moment(self.node), self.number, body)

    def take(self, message: Any) -> None:
        if isinstance(message, Replies):
            for reply in message.items:
                assert reply.number not in self.replies, "answered twice"
                self.replies[reply.number] = reply
        elif isinstance(message, Changes):
            self.frames.setdefault(message.number, []).append(message)
            self.changes.setdefault(message.number, []).extend(message.items)

    def ask(self, op: str, key: str = "", value: bytes = b"", bucket: str = LWW, **more: Any) -> int:
        self._last += 1
        self.say(encode(Requests([Request(self._last, op, bucket, key, value, **more)])))
        return self._last

    def call(self, op: str, key: str = "", value: bytes = b"", bucket: str = LWW, **more: Any) -> Reply:
        number = self.ask(op, key, value, bucket, **more)
        self.net.until(lambda: number in self.replies, 10_000)
        return self.replies[number]

    def put(self, key: str, value: bytes = b"v", bucket: str = LWW, **more: Any) -> Reply:
        return self.call("put", key, value, bucket, **more)

    def get(self, key: str, bucket: str = LWW, **more: Any) -> Reply:
        return self.call("get", key, b"", bucket, **more)

    def delete(self, key: str, bucket: str = LWW, **more: Any) -> Reply:
        return self.call("delete", key, b"", bucket, **more)

    def watch(self, prefix: str = "", bucket: str = LWW, **more: Any) -> int:
        number = self.ask("watch", prefix, b"", bucket, **more)
        self.net.settle()
        return number

    def shown(self, watch: int) -> list[tuple[str, str, bytes]]:
        return [(one.kind, one.key, one.value) for one in self.changes.get(watch, [])]

    def token(self, watch: int) -> dict[str, int]:
        return next(one.token for one in reversed(self.frames[watch]) if one.token is not None)
