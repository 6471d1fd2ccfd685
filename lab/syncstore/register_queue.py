"""The work on each register: queued, under way, done or given up; and what its client is told.

Owns the queues, deadlines, records and replies. Knows nothing of rounds but that one is begun and stopped:
pieces of work on one register wait for one another, so that a node never competes with itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from lab.syncstore.config import Limits
from lab.syncstore.paxos import Key, State
from lab.syncstore.ports import Moment
from lab.syncstore.register_change import Decision
from lab.syncstore.register_ports import RegistersPort
from lab.syncstore.register_round import Purpose, Round, Work
from lab.syncstore.register_timers import Timers
from lab.syncstore.version import NO_VERSION, Version
from lab.syncstore.wire import Reply, Request, Seen


class Line:
    """The work on one register, the first of it under way. round None: it backs off."""

    __slots__ = ("round", "works")

    def __init__(self) -> None:
        self.works: deque[Work] = deque()
        self.round: Round | None = None


class Runner(Protocol):
    def begin(self, now: Moment, line: Line, work: Work) -> None:
        """The first of a line is to be done now."""
        ...

    def stop(self, round_: Round) -> None: ...


class Queue:
    """left: told of a register that was tended in vain, or not at all. recorded: the version that the own table
    holds, or held when it forgot a delete: what a late reading shows below that must not come back."""

    def __init__(
        self,
        limits: Limits,
        port: RegistersPort,
        timers: Timers,
        runner: Runner,
        counts: Counter[str],
        left: Callable[[Moment, Key], None],
        recorded: Callable[[Key], Version],
    ) -> None:
        self.lines: dict[Key, Line] = {}
        self._limits, self._port, self._timers, self._runner = limits, port, timers, runner
        self._counts, self._left, self._recorded = counts, left, recorded

    def call(self, now: Moment, request: Request, reply: Callable[[Reply], None]) -> None:
        """A request without a token gets one of its own: rounds are run again, and it must happen once."""
        if not request.token and request.op != "get":
            token = self._port.bits().to_bytes(8, "big") + self._port.bits().to_bytes(8, "big")
            request = replace(request, token=token)
        timeout_ms = min(request.timeout_ms, self._limits.write_timeout_ms, self._limits.token_lives_ms)
        key = (request.bucket, request.key)
        self.submit(now, Work(Purpose.CALL, key, now.mono_ms + timeout_ms, request, reply))

    def tend(self, now: Moment, purpose: Purpose, key: Key) -> None:
        """Work that no client waits for; none is added to work that goes on."""
        if key in self.lines:
            self._left(now, key)
        else:
            self.submit(now, Work(purpose, key, now.mono_ms + self._limits.write_timeout_ms))

    def submit(self, now: Moment, work: Work) -> None:
        self._timers.at(work.deadline_ms, self.expire, work)
        line = self.lines.get(work.key)
        if line is None:
            line = self.lines[work.key] = Line()
        line.works.append(work)
        if len(line.works) == 1:
            self._runner.begin(now, line, work)

    def next(self, now: Moment, line: Line, key: Key) -> None:
        """The first of a line is done or given up."""
        if line.round is not None:
            self._runner.stop(line.round)
            line.round = None
        while line.works and line.works[0].over:
            line.works.popleft()
        if line.works:
            self._runner.begin(now, line, line.works[0])
        else:
            self.lines.pop(key, None)

    # -- done ------------------------------------------------------------------------------------------------

    def conclude(self, line: Line, work: Work, decision: Decision, state: State | None) -> None:
        """Decided: off the line; the record is written first, where one is due, then the client is told."""
        while line.works[0].over:
            line.works.popleft()
        line.works.popleft()
        if decision.recorded and state is not None and self._recorded(work.key) < state.version:
            self._record(work, decision, state)
        else:
            self._answer(work, decision, False)

    def _record(self, work: Work, decision: Decision, state: State) -> None:
        def done(degraded: bool) -> None:
            self._answer(work, decision, degraded)

        self._counts["records"] += 1
        self._port.write(*work.key, state.value, state.expires, state.version, done)

    def _answer(self, work: Work, decision: Decision, degraded: bool) -> None:
        if work.over:
            return
        work.over = True
        if work.reply is None:
            return
        reply = decision.reply
        reply.degraded = degraded
        if decision.shows != NO_VERSION:
            record = self._port.table_record(*work.key)
            held = record is not None and record.version == decision.shows
            reply.seen = Seen(*decision.shows, *((record.origin, record.sequence) if record and held else ("", 0)))
        work.reply(reply)

    # -- given up --------------------------------------------------------------------------------------------

    def expire(self, now: Moment, work: Work) -> None:
        if work.over:
            return
        self._fail(now, work)
        line = self.lines.get(work.key)
        if line is not None and line.works and line.works[0] is work:
            self.next(now, line, work.key)

    def give_up(self, now: Moment, line: Line, key: Key) -> None:
        """No quorum is connected: the clients had better ask another node."""
        for work in line.works:
            if not work.over:
                self._fail(now, work)
        self.next(now, line, key)

    def _fail(self, now: Moment, work: Work) -> None:
        work.over = True
        if work.reply is None or work.request is None:
            self._left(now, work.key)
            return
        if work.accept_sent and not work.only_reads:
            error, info = "Timeout", "No quorum of the region's nodes confirmed it in time; it may have happened."
        else:
            error, info = "Unavailable", "No quorum of the region's nodes answered in time; it did not happen."
        self._counts[error.lower()] += 1
        work.reply(Reply(work.request.number, error, info))
