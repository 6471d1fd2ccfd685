"""A toy in the engine's place: dials its peers, sends each a frame now and then, echoes requests.

For tests of the world's own parts: what it hears, and when, is kept in `heard`.
"""

from __future__ import annotations

from typing import Any

from lab.syncstore.config import Config
from lab.syncstore.errors import Malformed
from lab.syncstore.ports import Moment
from lab.syncstore.wire import Goodbye, Replies, Reply, Requests, decode, encode

TICK_MS = 50.0


class ToyEngine:
    def __init__(self, config: Config, outlet: Any, disk: Any) -> None:
        self.config, self.outlet, self.disk = config, outlet, disk
        self.next_wake_ms = 0.0
        self.ready, self.effort = True, 0
        self.counters: dict[str, int] = {}
        self.replicas: dict[str, Any] = {}
        self.heard: list[tuple[float, int, str]] = []
        self.calls: list[str] = []
        self.open: dict[int, str] = {}
        self.failed: list[str] = []
        self.entries: list[bytes] = []
        self.synced_to = 0
        self.appended = 0
        self.said = self.malformed = 0
        self.started: Moment | None = None

    def start(self, now: Moment, recovered: Any, blank: bool) -> None:
        self.entries = [payload for _, payload in recovered]
        self.started, self.blank = now, blank
        self.next_wake_ms = now.mono_ms + TICK_MS
        for one in [
            *self.config.peers,
            *(node for region in self.config.foreign for node in self.config.members[region]),
        ]:
            if one > self.config.node:
                self.outlet.dial(one, "peer")

    def opened(self, now: Moment, link: int, purpose: str, node: str) -> None:
        self.calls.append(f"opened {purpose} {node}")
        self.open[link] = purpose

    def received(self, now: Moment, link: int, body: bytes) -> None:
        try:
            message = decode(body)
        except Malformed:
            self.malformed += 1
            self.outlet.close(link, "malformed")
            return
        self.effort += 1
        if isinstance(message, Requests):
            for one in message.items:
                self.appended = self.disk.append(one.op.encode())
            self.outlet.send(link, encode(Replies([Reply(one.number, present=True) for one in message.items])))
        elif isinstance(message, Goodbye):
            self.heard.append((now.mono_ms, link, message.why))

    def closed(self, now: Moment, link: int) -> None:
        self.calls.append("closed")
        self.open.pop(link, None)

    def dial_failed(self, now: Moment, node: str, purpose: str) -> None:
        self.failed.append(node)

    def synced(self, now: Moment, position: int) -> None:
        self.synced_to = position

    def sync_failed(self, now: Moment, sentence: str) -> None:
        self.failed.append(sentence)

    def wake(self, now: Moment) -> None:
        self.calls.append("wake")
        self.next_wake_ms = now.mono_ms + TICK_MS
        for link, purpose in self.open.items():
            if purpose == "peer":
                self.said += 1
                self.outlet.send(link, encode(Goodbye(f"{self.config.node} {self.said}")))

    has_work = False

    def work(self, now: Moment) -> bool:
        return False

    def flush(self, now: Moment) -> None:
        self.calls.append("flush")

    def wants_sync(self, now: Moment) -> bool:
        return self.appended > self.synced_to

    def writable(self, now: Moment, link: int) -> None:
        self.calls.append("writable")
