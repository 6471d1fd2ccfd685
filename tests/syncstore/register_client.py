"""A client of a world of registers: what it asks, when it tries again, and what it notes."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from lab.syncstore.version import NO_VERSION, Version, version_of
from lab.syncstore.wire import Reply, Request, Seen
from tests.syncstore.register_node import Node
from tests.syncstore.register_profiles import BUCKET

if TYPE_CHECKING:
    from tests.syncstore.register_world import World


class Client:
    """One operation at a time; an indefinite one that carries a token is tried again elsewhere."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.random = world.stream(f"client {name}")
        self.revisions: dict[str, str] = {}
        self.seen: dict[str, Version] = {}
        self.node = self.random.choice(list(world.nodes))
        self.stopped = False
        self._numbers = count(1)
        self._waits_for = 0

    def next(self) -> None:
        if self.stopped:
            return
        weights = self.world.profile.weights
        op = self.random.choices(list(weights), list(weights.values()))[0]
        self.key = self.random.choice(self.world.keys)
        if op == "update" and self.key not in self.revisions:
            op = "get"
        self.op, self.called_ms = op, self.world.now_ms
        self.value = f"v{next(self.world.values)}" if op in ("put", "create", "update") else ""
        self.revision = self.revisions.get(self.key, "") if op == "update" else ""
        has_token = op != "get" and self.random.random() < self.world.profile.tokens
        self.token = self.random.getrandbits(128).to_bytes(16, "big") if has_token else b""
        self.doubt = False
        if self.random.random() < 0.15:
            self._look_at_a_table()
        self._try()

    def _look_at_a_table(self) -> None:
        """A stale read: from now on this session's reads and writes are above what it saw."""
        node = self.world.nodes[self.node]
        if node.alive:
            self.seen[self.key] = max(self.seen.get(self.key, NO_VERSION), node.version_of(self.key))

    def stop(self) -> None:
        """What is under way now may still happen, at any time."""
        if not self.stopped and self._waits_for:
            self._end("indefinite")
        self.stopped = True

    def _try(self) -> None:
        world = self.world
        if self.random.random() > world.profile.sticky:
            self.node = self.random.choice(list(world.nodes))
        node, number, timeout_ms = world.nodes[self.node], next(self._numbers), self.random.randint(100, 400)
        self._waits_for = number
        seen = self.seen.get(self.key)
        request = Request(
            number, self.op, BUCKET, self.key, self.value.encode(), 0, self.revision, self.token,
            Seen(*seen, "", 0) if seen else None, timeout_ms=timeout_ms,
        )  # fmt: skip
        epoch = node.epoch
        first = not self.doubt
        there = lambda: node.run(lambda: self._arrive(node, request, first), epoch, is_request=True)  # noqa: E731
        world.at(self.random.uniform(0.1, 1), there)
        if node.alive:
            world.at(timeout_ms, lambda: self._no_answer(number))
        else:
            world.at(5, lambda: self._answered(Reply(number, "Unavailable")))

    def _arrive(self, node: Node, request: Request, first: bool) -> None:
        before, epoch = node.version_of(request.key), node.epoch

        def reply(answer: Reply) -> None:
            self._look_at(node, request, answer, before, first)
            self.world.at(self.random.uniform(0.1, 1), lambda: self._answered(answer) if node.epoch == epoch else None)

        node.registers.request(node.now, request, reply)

    def _look_at(self, node: Node, request: Request, answer: Reply, before: Version, first: bool) -> None:
        """What must hold when a write is acknowledged, or a value shown."""
        if answer.error or not answer.revision:
            return
        version = version_of(answer.revision)
        seen = Version(request.seen.time, request.seen.counter, request.seen.maker) if request.seen else NO_VERSION
        first = first and request.number == self._waits_for
        if first and (version <= seen if request.op != "get" else version < seen):
            self.world.breaks(f"{node.name} answered {request.op} with {version} to a session that saw {seen}")
        if request.op == "get":
            return
        if node.version_of(request.key) < version:
            self.world.breaks(f"{node.name} acknowledged {request.op} {version} before its table held it")
        if first and version <= before:
            self.world.breaks(f"{node.name} gave {request.op} {version}, not above its table's {before}")

    def _no_answer(self, number: int) -> None:
        if self._waits_for == number:
            self._again(doubt=True)

    def _again(self, doubt: bool) -> None:
        self.doubt |= doubt and self.op != "get"
        left = self.world.now_ms - self.called_ms < self.world.profile.limits.token_lives_ms - 200
        if self.stopped or not left or (self.doubt and not self.token):
            self._end("indefinite" if self.doubt else "none")
        else:
            self._waits_for = 0
            self.world.at(self.random.uniform(1, 50), self._try)

    def _answered(self, reply: Reply) -> None:
        if reply.number != self._waits_for:
            return
        if reply.error in ("Unavailable", "Timeout", "Behind"):
            self._again(doubt=reply.error == "Timeout")
            return
        if reply.error not in ("", "WrongRevision"):
            self.world.breaks(f"unexpected reply {reply}")
        if reply.seen is not None and not reply.error:
            version = Version(reply.seen.time, reply.seen.counter, reply.seen.maker)
            self.seen[self.key] = max(self.seen.get(self.key, NO_VERSION), version)
        if reply.revision and not reply.error and self.op != "delete":
            self.revisions[self.key] = reply.revision
        if reply.error and self.doubt:  # an earlier try may still be under way
            self._end("indefinite")
        else:
            self._end("wrong" if reply.error else "ok", reply)

    def _end(self, result: str, reply: Reply | None = None) -> None:
        self._waits_for = 0
        more: dict[str, Any] = {"op": self.op}
        if self.value:
            more["value"] = self.value
        if self.op == "update":
            more["expected"] = self.revision
        if self.op == "get" and reply is not None:
            more["present"] = reply.present
            more["value"] = reply.value.decode()
        if reply is not None and result == "ok":
            more["revision"] = reply.revision
        if result != "none" and not (self.op == "get" and result == "indefinite"):
            self.world.note(process=self.name, key=self.key, call=self.called_ms, result=result, **more)
        if not self.stopped:
            self.world.at(self.random.expovariate(1 / self.world.profile.think_ms), self.next)

    def read_once(self, node: Node, key: str) -> Reply | None:
        """A get at this node, its answer waited for; noted as any other."""
        replies: list[Reply] = []
        self.op, self.key, self.called_ms, self.value = "get", key, self.world.now_ms, ""
        self.stopped = True
        node.run(lambda: node.registers.request(node.now, Request(1, "get", BUCKET, key), replies.append), node.epoch)
        end_ms = self.world.now_ms + 2500
        while not replies and self.world.now_ms < end_ms:
            self.world._until(self.world.now_ms + 5)
        if replies and not replies[0].error:
            self._end("ok", replies[0])
        return replies[0] if replies else None
