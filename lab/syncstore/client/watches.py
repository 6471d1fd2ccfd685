"""A client's watches: on which node each goes on, and a sign of life from nodes that have nothing to tell.

Owns the way of every watch from node to node. What a watch shows is `watched`'s; who takes it, `watch`'s.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from lab.syncstore.answers import FINAL, error_of
from lab.syncstore.wire import Changes, Reply, Request

if TYPE_CHECKING:
    from lab.syncstore.client.runner import SessionRunner
    from lab.syncstore.client.watch import Watch

PULSE_S = 0.5
QUIET_MS = 1000.0
"""A watched node that has been quiet for so long is asked for a sign of life."""
AGAIN_S = 0.05
AGAIN_MAX_S = 5.0


class Watches:
    def __init__(self, runner: SessionRunner) -> None:
        self._runner = runner
        self._by_number: dict[int, Watch] = {}
        """Those that a node is asked for."""
        self._waiting: dict[Watch, asyncio.TimerHandle | None] = {}
        """Those without a node, and what wakes them besides a node that comes."""
        self._pulse: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_number) + len(self._waiting)

    def __contains__(self, watch: object) -> bool:
        return watch in self._waiting or watch in self._by_number.values()

    def add(self, watch: Watch) -> None:
        self._open(watch)
        if self._pulse is None:
            self._beat()

    def end(self, watch: Watch) -> None:
        if self._by_number.pop(watch.number, None) is watch:
            request = Request(self._runner.session.number(), "unwatch", watch.bucket, str(watch.number))
            self._runner.send_if_open(watch.node, request)
        timer = self._waiting.pop(watch, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        for watch in [*self._by_number.values(), *self._waiting]:
            self.end(watch)
            watch.close()

    # -- what happens ------------------------------------------------------------------------------

    def opened(self, node: str) -> None:
        for watch in [one for one, timer in self._waiting.items() if timer is None]:
            self._open(watch)

    def lost(self, node: str) -> None:
        for number, watch in list(self._by_number.items()):
            if watch.node == node:
                del self._by_number[number]
                self._again(watch)

    def changed(self, changes: Changes) -> None:
        watch = self._by_number.get(changes.number)
        if watch is not None:
            watch.failures = 0
            watch.watched.changed(changes)
            watch.wake()

    def replied(self, replies: list[Reply]) -> None:
        for reply in replies:
            watch = self._by_number.get(reply.number)
            if watch is None:
                continue
            if not reply.error:
                watch.watched.accepted()
                watch.wake()
                continue
            del self._by_number[reply.number]
            if reply.error in FINAL:
                watch.fail(error_of(watch.request, reply))
            else:
                self._runner.session.routes.did_badly(watch.node, time.monotonic() * 1000, reply.info or reply.error)
                self._again(watch)

    # -- from node to node -------------------------------------------------------------------------

    def _open(self, watch: Watch) -> None:
        self._waiting.pop(watch, None)
        session = self._runner.session
        node = session.routes.choose(time.monotonic() * 1000)
        if not node:
            self._waiting[watch] = None
            return
        watch.node, watch.number = node, session.number()
        watch.request = Request(watch.number, "watch", watch.bucket, watch.prefix, resume=watch.watched.reopen())
        self._by_number[watch.number] = watch
        self._runner.send(node, watch.request)

    def _again(self, watch: Watch) -> None:
        """At once after a good time, with full jitter after a bad one."""
        watch.failures += 1
        if watch.failures == 1:
            self._open(watch)
            return
        most_s = min(AGAIN_MAX_S, AGAIN_S * 2.0 ** min(watch.failures, 16))
        loop = asyncio.get_running_loop()
        self._waiting[watch] = loop.call_later(random.random() * most_s, self._open, watch)

    def _beat(self) -> None:
        self._pulse = None
        if not self:
            return
        now = time.monotonic() * 1000
        for node in {watch.node for watch in self._by_number.values()}:
            if self._runner.session.quiet_ms(node, now) >= QUIET_MS:
                self._runner.probe(node, now)
        self._pulse = asyncio.get_running_loop().call_later(PULSE_S, self._beat)
