"""A client's session: what it remembers, which node it asks, and what it does when no answer comes.

Owns the numbering of requests, what was seen of each key, the calls in flight with their deadlines,
and every decision to try again. Knows no clock, socket or task: whoever runs it (`client/`, or a
simulated client) hands in the time, and is told what to do through `calls.Runner`.

    session.opened(node, now)            a connection to a node stands
    session.lost(node, now, why, …)      it is gone
    session.start(op, …, now)            a call: sends its request, or keeps it until a node is there
    session.heard(node, now)             bytes came from a node
    session.answered(node, reply, now)   one answer
    session.wake(now)                    call at `next_wake_ms`, or a little later
    session.close(why)                   fails whatever is open

Times are ms of a clock that never jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any

from msgspec.structs import replace

from lab.syncstore.answers import DEFINITE, FINAL, ONCE, error_of, in_all, named, no_answer
from lab.syncstore.calls import Call, Runner
from lab.syncstore.config import Limits
from lab.syncstore.errors import Refused, SyncStoreError, Unavailable
from lab.syncstore.recent import Seen
from lab.syncstore.retries import Budget, backoff_ms, is_safe, needs_token
from lab.syncstore.routes import Routes
from lab.syncstore.silence import Silence
from lab.syncstore.wire import Reply, Request

KEYS_REMEMBERED = 65_536
IN_FLIGHT_MAX = 10_000
SILENT_MS = 500.0
"""A node that owes an answer and has sent nothing for so long is passed over, and its calls tried elsewhere."""
LOOK_MS = 100.0
"""How often silence is looked for while calls are open."""
TICK_MS = 5.0
"""Deadlines are kept to within this: one look at all calls serves every deadline that has passed."""
STALLED_MS = 250.0
"""Woken later than this, it was we who stood still: answers may lie unread, so they are read first."""
PROBED = ("region/lww/_probe", "_")
"""Bucket and key of a question whose only purpose is an answer."""


class Session:
    def __init__(
        self,
        nodes: Sequence[str],
        runner: Runner,
        bits: Callable[[], int],
        *,
        retry: bool = True,
        limits: Limits | None = None,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> None:
        """nodes: of one region, in order of preference. bits: gives 64 random bits. retry False: a call is
        tried once, and fails at once when no node is connected or the connection breaks."""
        self.routes = Routes(nodes)
        self.budget = Budget()
        self.seen = Seen(KEYS_REMEMBERED)
        self.operations = 0
        self.next_wake_ms = inf
        self._runner, self._bits, self._retry = runner, bits, retry
        self._limits = limits or Limits()
        self._in_flight_max = in_flight_max
        self._number = 0
        self._token_head = (bits() & (2**64 - 1)).to_bytes(8, "big")
        self._calls: dict[int, Call] = {}
        """By the number of the present try, or of the next one of a call that waits."""
        self._silence = Silence()
        self._was_stalled = False

    # -- what is asked of it -----------------------------------------------------------------------

    def start(
        self,
        op: str,
        bucket: str,
        key: str,
        now: float,
        *,
        value: bytes = b"",
        expires: int = 0,
        revision: str = "",
        stale_ok: bool = False,
        timeout_ms: float = 2000.0,
        waiter: Any = None,
    ) -> Call:
        """expires: Unix ms, 0 for never. Raises Unavailable: nothing was begun, and nothing will be sent."""
        node = self.routes.choose(now)
        if len(self._calls) >= self._in_flight_max or not (node or self._retry):
            raise self._why_not(node)
        self.operations += 1
        number = self._number = self._number + 1
        token = self._token_head + number.to_bytes(8, "big") if needs_token(op, bucket) else b""
        seen = self.seen.get((bucket, key))
        limit_ms = int(min(timeout_ms, self._limits.token_lives_ms))
        request = Request(number, op, bucket, key, value, expires, revision, token, seen, stale_ok, None, limit_ms)
        deadline = now + timeout_ms
        call = self._calls[number] = Call(request, waiter, now, deadline, node, now, now)
        if deadline < self.next_wake_ms or now + LOOK_MS < self.next_wake_ms:
            self.next_wake_ms = min(deadline, now + LOOK_MS)
        if node:
            self._runner.send(node, request)
        return call

    def probe(self, node: str, now: float) -> None:
        """Ask a node for a sign of life, whatever it is; silence ends its connection."""
        if self._silence.probed(node, now):
            self.next_wake_ms = min(self.next_wake_ms, now + LOOK_MS)
            self._runner.send(node, Request(self.number(), "get", *PROBED, stale_ok=True))

    def number(self) -> int:
        """A request's number, never given before: for a watch, which is no call."""
        self._number += 1
        return self._number

    @property
    def in_flight(self) -> int:
        return len(self._calls)

    def close(self, why: str) -> None:
        calls, self._calls = self._calls, {}
        for call in calls.values():
            error = no_answer(call.request, why) if call.node else Unavailable(why)
            self._runner.failed(call, in_all(call.request, error, call.in_doubt))

    # -- what happens ------------------------------------------------------------------------------

    def opened(self, node: str, now: float) -> None:
        self.routes.opened(node, now)
        self._silence.heard(node, now)
        for number, call in list(self._calls.items()):
            if not call.node and call.again_ms <= now:
                self._send(number, call, now)

    def heard(self, node: str, now: float) -> None:
        self._silence.heard(node, now)

    def quiet_ms(self, node: str, now: float) -> float:
        """How long nothing was heard from a connected node."""
        return self._silence.quiet_ms(node, now)

    def answered(self, node: str, reply: Reply, now: float) -> None:
        number = reply.number
        call = self._calls.get(number)
        if call is None or call.node != node:
            return  # too late, its caller was told something else; or not this node's to answer
        del self._calls[number]
        if reply.error:
            self._refused(call, reply, now)
            return
        if reply.seen is not None:
            self.seen.learn(call.request.bucket, call.request.key, reply.seen)
        self._runner.done(call, reply)

    def lost(self, node: str, now: float, why: str, unsent: Collection[int] = (), *, alive: bool = False) -> None:
        """unsent: numbers of requests that certainly never left. alive: it was not the node that ended the
        connection, so it may still read what was sent."""
        self.routes.lost(node, now, why)
        self._silence.lost(node)
        for number, call in list(self._calls.items()):
            if call.node == node:
                del self._calls[number]
                if number in unsent:
                    self._not_sent(call, now, why)
                else:
                    self._unanswered(call, now, why, alive)

    def unsendable(self, number: int, why: str) -> None:
        """A request that can't be made bytes: it never left, and never will."""
        if (call := self._calls.pop(number, None)) is not None:
            self._fail(call, Refused(f"{named(call.request)}: {why}"))

    def wake(self, now: float) -> None:
        """Deadlines, tries that are due, and nodes that have fallen silent."""
        if now > self.next_wake_ms + STALLED_MS and not self._was_stalled:
            self._was_stalled = True
            self._silence.forgive(now)
            self.next_wake_ms = now + 2 * TICK_MS
            return
        self._was_stalled = False
        asked_ms: dict[str, float] = {}
        for number, call in list(self._calls.items()):
            if call.deadline_ms <= now:
                self._expire(number, call, now)
            elif not call.node:
                if call.again_ms <= now:
                    self._send(number, call, now)
            elif call.sent_ms < asked_ms.get(call.node, inf):
                asked_ms[call.node] = call.sent_ms
        for node, silent_ms in self._silence.spans(asked_ms, now):
            self._look_at(node, silent_ms, now)
        self._plan_wake(now)

    # -- when it goes wrong ------------------------------------------------------------------------

    def _why_not(self, node: str) -> Unavailable:
        if not node and not self._retry:
            return Unavailable(f"no node is connected, so nothing was sent ({self.routes.why()})")
        return Unavailable(
            f"{self._in_flight_max} calls are in flight already, so this one was not sent: wait for some of them"
        )

    def _refused(self, call: Call, reply: Reply, now: float) -> None:
        """The present try got an error."""
        error = error_of(call.request, reply)
        if reply.error in FINAL:
            self._fail(call, error)
            return
        if reply.error in ONCE:
            call.refused_by = (*call.refused_by, call.node)
        if reply.error != "Behind":
            self.routes.did_badly(call.node, now, reply.info or reply.error)
        self._again(call, now, error, doubt=reply.error not in DEFINITE)

    def _unanswered(self, call: Call, now: float, why: str, alive: bool) -> None:
        """The present try left, and will never be answered."""
        self._again(call, now, no_answer(call.request, f"{call.node}: {why}"), doubt=True, beside=alive)

    def _not_sent(self, call: Call, now: float, why: str) -> None:
        """Going elsewhere with what has never left is no retry."""
        if self._retry:
            self._wait(call, now)
            self._send(call.request.number, call, now)
        else:
            self._fail(call, Unavailable(f"{named(call.request)}: {call.node}: {why}, before anything was sent"))

    def _again(self, call: Call, now: float, error: SyncStoreError, doubt: bool, beside: bool = False) -> None:
        """Another try, or the end. The call is in no list here."""
        if not self._may_retry(call, now, beside):
            self._fail(call, error)
            return
        call.last, call.in_doubt = error, call.in_doubt or doubt
        call.tries += 1
        elsewhere = self.routes.choose(now, (call.node, *call.refused_by)) != ""
        at_once = elsewhere and (call.tries == 1 or bool(call.refused_by))
        self._wait(call, now if at_once else now + backoff_ms(call.tries, self._bits()))
        if call.again_ms <= now:
            self._send(call.request.number, call, now)

    def _may_retry(self, call: Call, now: float, beside: bool) -> bool:
        return (
            self._retry
            and now < call.deadline_ms
            and now - call.first_ms < self._limits.token_lives_ms
            and is_safe(call.request, beside=beside)
            and (not call.refused_by or self.routes.choose(now, call.refused_by) != "")
            and self.budget.take(self.operations)
        )

    def _wait(self, call: Call, until_ms: float) -> None:
        call.node, call.again_ms = "", until_ms
        call.request = replace(call.request, number=self.number())
        self._calls[call.request.number] = call
        self.next_wake_ms = min(self.next_wake_ms, until_ms)

    def _send(self, number: int, call: Call, now: float) -> None:
        """To the best node, or wait for one. What a node must know is as new as it can be."""
        node = self.routes.choose(now, call.refused_by)
        if not node:
            call.again_ms = 0.0
            return
        if not call.tries:
            call.first_ms = now
        until_ms = min(call.deadline_ms, call.first_ms + self._limits.token_lives_ms)
        if now >= until_ms:
            del self._calls[number]
            self._fail(call, call.last or Unavailable(f"{named(call.request)}: it waited too long for a node"))
            return
        call.request.seen = self.seen.get((call.request.bucket, call.request.key))
        call.request.timeout_ms = max(1, int(until_ms - now))
        call.node, call.sent_ms = node, now
        self._runner.send(node, call.request)

    def _expire(self, number: int, call: Call, now: float) -> None:
        del self._calls[number]
        waited = f"within {now - call.started_ms:.0f} ms"
        if call.node:
            self.probe(call.node, now)  # it may have had its reasons, or be gone
            error: SyncStoreError = no_answer(call.request, f"{call.node} said nothing {waited}")
        else:
            error = call.last or Unavailable(
                f"{named(call.request)}: no node was connected {waited}, so nothing was sent ({self.routes.why()})"
            )
        self._fail(call, error)

    def _fail(self, call: Call, error: SyncStoreError) -> None:
        self._runner.failed(call, in_all(call.request, error, call.in_doubt))

    def _look_at(self, node: str, silent_ms: float, now: float) -> None:
        """A node owes an answer, and has said nothing for so long."""
        why = f"silent for {silent_ms:.0f} ms"
        if silent_ms >= self._limits.silent_ms:
            self._runner.drop(node, why)
        elif silent_ms >= SILENT_MS:
            self.routes.did_badly(node, now, why)
            for number, call in list(self._calls.items()):
                if call.node == node and now - call.sent_ms >= SILENT_MS:
                    self._try_elsewhere(number, call, now, why)

    def _try_elsewhere(self, number: int, call: Call, now: float, why: str) -> None:
        """Where that can't be, the silent node may still answer until the deadline."""
        if self.routes.choose(now, (call.node, *call.refused_by)) == "" or not self._may_retry(call, now, True):
            return
        del self._calls[number]
        self.probe(call.node, now)
        call.last, call.in_doubt = no_answer(call.request, f"{call.node}: {why}"), True
        call.tries += 1
        self._wait(call, now)
        self._send(call.request.number, call, now)

    def _plan_wake(self, now: float) -> None:
        """The next deadline or try, and at most LOOK_MS away while any answer is owed."""
        soonest = now + LOOK_MS if self._calls or self._silence else inf
        for call in self._calls.values():
            at_ms = call.deadline_ms if call.node or not call.again_ms else min(call.again_ms, call.deadline_ms)
            if at_ms < soonest:
                soonest = at_ms
        self.next_wake_ms = max(soonest, now + TICK_MS)
