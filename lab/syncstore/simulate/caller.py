"""A client process in a world: a `Session` and its connections to the nodes of its region, in virtual time.

Owns what `client/` owns in earnest: connections, dials, and handing over what was asked and answered.
Every decision to try again is the session's. Knows nothing of what is called for (`clients`) or whether
the answers are right (`checks`).
"""

from __future__ import annotations

from collections.abc import Callable

from lab.syncstore.calls import Call
from lab.syncstore.config import Limits
from lab.syncstore.errors import SyncStoreError, Timeout, Unavailable
from lab.syncstore.session import Session
from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.history import FAIL, INFO, OK, Operation, WatchLog
from lab.syncstore.simulate.net import Network, Pipe
from lab.syncstore.simulate.settings import EPOCH_MS
from lab.syncstore.watched import Watched
from lab.syncstore.wire import PROTOCOL, Changes, Goodbye, Hello, Replies, Reply, Request, Requests, decode, encode

DEADLINE_MS = 1500.0
REDIAL_MS = 200.0
"""At most so long after a connection ended the next one is dialled."""
PROBE_MS = 400.0
"""How often a node that only serves a watch is asked for a sign of life."""


class Caller:
    """place: unique in the world. nodes: in order of preference."""

    def __init__(self, network: Network, place: str, cluster: str, region: str, nodes: list[str], seed: int) -> None:
        self.network, self.timeline, self.place = network, network.timeline, place
        self.cluster, self.region, self.nodes = cluster, region, nodes
        self.wall_of: Callable[[str], int] = lambda node: 0
        """A node's own clock: for judging what it answers."""
        chance = fork(seed, "caller", place)
        self._chance = fork(seed, "redial", place)
        self.session = Session(nodes, self, lambda: chance.getrandbits(64), limits=Limits())
        self.away = False
        self.revisions: dict[tuple[str, str], str] = {}
        """Of registers: what an update would replace."""
        self.watch_log: WatchLog | None = None
        self._watched = Watched()
        self._watch_number = 0
        self._watch_node = ""
        self._pipes: dict[str, Pipe] = {}
        self._names: dict[int, str] = {}
        self._woken_ms = float("inf")

    def connect(self) -> None:
        """Dial every node; again and again where that fails."""
        self.away = False
        for node in self.nodes:
            self._dial(node)

    def call(self, operation: Operation, done: Callable[[Operation], None] = lambda operation: None) -> None:
        now = self.timeline.now_ms
        operation.invoked_ms = now
        try:
            self.session.start(
                operation.op,
                operation.bucket,
                operation.key,
                now,
                value=operation.value,
                expires=operation.expires,
                revision=operation.expected,
                stale_ok=operation.stale_ok,
                timeout_ms=DEADLINE_MS,
                waiter=(operation, done),
            )
        except Unavailable as error:
            operation.completed_ms, operation.outcome, operation.error = now, FAIL, type(error).__name__
            done(operation)
        self._plan()

    def watch(self, log: WatchLog) -> None:
        self.watch_log = log
        self._go_on_watching()
        self.timeline.after(PROBE_MS, self._look_at_watch)

    def leave(self) -> None:
        """The client's machine sleeps, or its network is gone: until `connect` it has no connection."""
        self.away = True
        for pipe in list(self._pipes.values()):
            pipe.connection.end(self)

    def _dial(self, node: str) -> None:
        if self.away:
            return
        self.network.dial(self, node, "client", self.timeline.now_ms, lambda: node not in self._pipes and not self.away)

    def _write(self, node: str, body: bytes) -> None:
        pipe = self._pipes.get(node)
        if pipe is not None:
            pipe.outstanding += len(body) + 4
            pipe.send([body], len(body) + 4, self.timeline.now_ms)

    def _plan(self) -> None:
        at_ms = self.session.next_wake_ms
        if at_ms < self._woken_ms:
            self._woken_ms = at_ms
            self.timeline.at(at_ms, self._wake, at_ms)

    def _wake(self, at_ms: float) -> None:
        if self._woken_ms == at_ms:
            self._woken_ms = float("inf")
        if self.session.next_wake_ms <= self.timeline.now_ms:
            self.session.wake(self.timeline.now_ms)
        self._plan()

    # -- the watch -------------------------------------------------------------------------------

    def _go_on_watching(self) -> None:
        """Ask the best node to go on where the last one stopped."""
        node = self.session.routes.choose(self.timeline.now_ms, ())
        if self.watch_log is None or not node:
            return
        log, token = self.watch_log, self._watched.reopen()
        log.resumed += token is not None
        self._watch_node, self._watch_number = node, self.session.number()
        log.node = node
        request = Request(self._watch_number, "watch", log.bucket, log.prefix, resume=token)
        self._write(node, encode(Requests([request])))

    def _look_at_watch(self) -> None:
        """A node that did badly may have fallen silent on the watch too."""
        if self.watch_log is not None and self._watch_node:
            self.session.probe(self._watch_node, self.timeline.now_ms)
            self._plan()
        self.timeline.after(PROBE_MS, self._look_at_watch)

    def _changed(self, node: str, message: Changes) -> None:
        if self.watch_log is None or node != self._watch_node or message.number != self._watch_number:
            return
        self.watch_log.compacted += message.compacted
        self._watched.changed(message)
        while (shown := self._watched.take()) is not None:
            if shown.event is not None:
                self.watch_log.shown(shown.event, node, self.timeline.now_ms)

    # -- what a session asks of its runner -------------------------------------------------------

    def send(self, node: str, request: Request) -> None:
        call = self.session._calls.get(request.number)
        if call is not None:
            operation: Operation = call.waiter[0]
            operation.attempts += 1
            operation.node, operation.before = node, request.seen
            operation.sent_ms, operation.sent_wall_ms = self.timeline.now_ms, self.wall_of(node)
        self._write(node, encode(Requests([request])))

    def done(self, call: Call, reply: Reply) -> None:
        operation: Operation = call.waiter[0]
        operation.present, operation.found, operation.found_expires = reply.present, reply.value, reply.expires
        operation.seen, operation.degraded = reply.seen, reply.degraded
        if operation.register and reply.revision:
            self.revisions[operation.bucket, operation.key] = reply.revision
        self._end(call, OK, "")

    def failed(self, call: Call, error: SyncStoreError) -> None:
        self._end(call, INFO if isinstance(error, Timeout) else FAIL, type(error).__name__)

    def _end(self, call: Call, outcome: str, error: str) -> None:
        operation, done = call.waiter
        operation.completed_ms, operation.outcome, operation.error = self.timeline.now_ms, outcome, error
        done(operation)

    def drop(self, node: str, why: str) -> None:
        pipe = self._pipes.get(node)
        if pipe is not None:
            self.timeline.after(0, pipe.connection.end, self)

    # -- an End ----------------------------------------------------------------------------------

    def accepts(self) -> str:
        return ""

    def opened(self, pipe: Pipe, purpose: str, node: str) -> None:
        self._pipes[node], self._names[pipe.number] = pipe, node
        clock_ms = EPOCH_MS + int(self.timeline.now_ms)
        self._write(
            node, encode(Hello(self.cluster, PROTOCOL, (), "", self.region, self.place, "", "client", clock_ms))
        )
        self.session.opened(node, self.timeline.now_ms)
        if not self._watch_node:
            self._go_on_watching()
        self._plan()

    def dial_failed(self, node: str, purpose: str) -> None:
        self.timeline.after(self._chance.uniform(0, REDIAL_MS), self._dial, node)

    def closed(self, number: int) -> None:
        node = self._names.pop(number, "")
        if not node:
            return
        del self._pipes[node]
        self.session.lost(node, self.timeline.now_ms, "the connection ended")
        if node == self._watch_node:
            self._watch_node = ""
            self._go_on_watching()
        self.timeline.after(self._chance.uniform(0, REDIAL_MS), self._dial, node)
        self._plan()

    def writable(self, number: int) -> None:
        pass

    def arrived(self, pipe: Pipe, bodies: list[bytes]) -> None:
        node = self._names.get(pipe.number, "")
        now = self.timeline.now_ms
        for body in bodies:
            pipe.taken(len(body) + 4)
            if not node:
                continue
            message = decode(body)
            self.session.heard(node, now)
            if isinstance(message, Replies):
                for reply in message.items:
                    if reply.number == self._watch_number and node == self._watch_node and reply.error:
                        self._watch_node = ""
                        self.timeline.after(REDIAL_MS, self._go_on_watching)
                    self.session.answered(node, reply, now)
            elif isinstance(message, Changes):
                self._changed(node, message)
            elif isinstance(message, Goodbye):
                self.drop(node, message.why)
        self._plan()
