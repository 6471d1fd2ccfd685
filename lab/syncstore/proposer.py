"""Runs rounds: brings the work on this region's registers to a decision, one piece at a time for each.

Owns the queue of every register, its running round, ballots, back-off and deadlines. Knows nothing of
seats' reasons, of the log, or of what makes work necessary. CASPaxos: no leader; any node's proposer may
decide, and two that meet delay one another but never disagree.

    read      ask all what they accepted; a quorum with one ballot: that is the register
    prepare   ask all for a promise; the highest accepted ballot among a quorum's is what we go on from
    accept    have a quorum accept what the work makes of it; then the record is written, then replied

Whoever won a register's last round begins with `accept`: its ballot was promised with that round.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec.structs import replace

from lab.syncstore import register_change
from lab.syncstore.acceptor import Acceptor, Register
from lab.syncstore.config import Config
from lab.syncstore.paxos import (
    Accept,
    Accepted,
    Ballot,
    Key,
    Prepare,
    Query,
    Question,
    Refused,
    State,
    Told,
    following,
)
from lab.syncstore.ports import Moment
from lab.syncstore.register_change import Decision, with_later
from lab.syncstore.register_ports import RegistersPort
from lab.syncstore.register_round import Phase, Purpose, Round, Work, chosen, is_chosen, latest
from lab.syncstore.register_seat import Seat
from lab.syncstore.version import NO_VERSION, Version
from lab.syncstore.wire import Reply, Request, Seen

RESEND_MS = 200.0
"""Who has not answered is asked again after this; without a quorum connected, work is given up then."""
PATIENCE_MS = 10.0
"""After a first refusal or disagreement the others' answers are waited for so long."""
BACKOFF_MS = 4.0
BACKOFF_MOST_MS = 200.0
READINGS = 2
"""So often what is only read is read; then a round is run, which disturbs whoever is writing."""

At = Callable[[float, Callable[[Moment, Any], None], Any], None]


class Line:
    """The work on one register, the first of it under way. round None: backing off."""

    __slots__ = ("round", "works")

    def __init__(self) -> None:
        self.works: deque[Work] = deque()
        self.round: Round | None = None


class Proposer:
    """ask: sends to all connected nodes, this one too. ask_one: to another one. at: calls later.
    left: told of a register that was tended in vain."""

    def __init__(
        self,
        config: Config,
        incarnation: str,
        seat: Seat,
        acceptor: Acceptor,
        port: RegistersPort,
        ask: Callable[[Question], None],
        ask_one: Callable[[str, Question], None],
        at: At,
        left: Callable[[Moment, Key], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.connected: set[str] = set()
        self._node, self._incarnation, self._limits = config.node, incarnation, config.limits
        self._seat, self._acceptor, self._port = seat, acceptor, port
        self._ask, self._ask_one, self._at, self._left = ask, ask_one, at, left
        self._lines: dict[Key, Line] = {}
        self._rounds: dict[int, Round] = {}
        self._numbers = count(port.bits() >> 4 & (2**60 - 1))
        self._counter = 0

    # -- work in and out -------------------------------------------------------------------------------

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
        if key in self._lines:
            self._left(now, key)
        else:
            self.submit(now, Work(purpose, key, now.mono_ms + self._limits.write_timeout_ms))

    def submit(self, now: Moment, work: Work) -> None:
        self._at(work.deadline_ms, self._expire, work)
        line = self._lines.get(work.key)
        if line is None:
            line = self._lines[work.key] = Line()
        line.works.append(work)
        if len(line.works) == 1:
            self._begin(now, line, work)

    def _conclude(self, now: Moment, line: Line, work: Work, decision: Decision, state: State | None) -> None:
        """Decided: off the queue; the record is written first, where one is due."""
        line.works.popleft()
        if decision.recorded and state is not None and self._recorded(work.key) < state.version:
            self._record(work, decision, state)
        else:
            self._answer(work, decision, False)

    def _record(self, work: Work, decision: Decision, state: State) -> None:
        def done(degraded: bool) -> None:
            self._answer(work, decision, degraded)

        self.counts["records"] += 1
        self._port.write(*work.key, state.value, state.expires, state.version, done)

    def _recorded(self, key: Key) -> Version:
        record = self._port.table_record(*key)
        return record.version if record is not None else NO_VERSION

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

    def _expire(self, now: Moment, work: Work) -> None:
        if work.over:
            return
        self._fail(now, work)
        line = self._lines.get(work.key)
        if line is not None and line.works and line.works[0] is work:
            self._next(now, line, work.key)

    def _fail(self, now: Moment, work: Work) -> None:
        work.over = True
        if work.reply is None or work.request is None:
            self._left(now, work.key)
            return
        if work.accept_sent and not work.only_reads:
            error, info = "Timeout", "No quorum of the region's nodes confirmed it in time; it may have happened."
        else:
            error, info = "Unavailable", "No quorum of the region's nodes answered in time; it did not happen."
        self.counts[error.lower()] += 1
        work.reply(Reply(work.request.number, error, info))

    def _next(self, now: Moment, line: Line, key: Key) -> None:
        if line.round is not None:
            self._rounds.pop(line.round.number, None)
            line.round = None
        while line.works and line.works[0].over:
            line.works.popleft()
        if line.works:
            self._begin(now, line, line.works[0])
        else:
            self._lines.pop(key, None)

    # -- rounds ------------------------------------------------------------------------------------------

    def _begin(self, now: Moment, line: Line, work: Work) -> None:
        work.tries += 1
        register = self._acceptor.registers.get(work.key)
        if work.tries <= READINGS and _reads_first(work, register):
            self._read(now, line, work, register)
        elif register is not None and _leads(register):
            decision = self._decide(now, work, register.state)
            if decision.state is not None:
                self.counts["shortcuts"] += 1
                self._accept(now, line, work, register.promised, decision, decision.state)
            elif work.tries <= READINGS:
                self._read(now, line, work, register)
            else:
                self._prepare(now, line, work, register)
        else:
            self._prepare(now, line, work, register)

    def _read(self, now: Moment, line: Line, work: Work, register: Register | None) -> None:
        have = register.ballot if register is not None else None
        round_ = Round(work, Phase.READ, Query(next(self._numbers), *work.key, have), now.mono_ms)
        if work.only_reads:
            for other in list(line.works)[1:]:
                if not other.only_reads:
                    break
                round_.shared.append(other)
        self._run(now, line, round_, register)

    def _prepare(self, now: Moment, line: Line, work: Work, register: Register | None) -> None:
        promised = register.promised if register is not None else self._acceptor.floor
        self._counter = max(self._counter, promised.counter) + 1
        ballot = Ballot(self._counter, self._node, self._incarnation)
        have = register.ballot if register is not None else None
        message = Prepare(next(self._numbers), *work.key, ballot, have)
        self._run(now, line, Round(work, Phase.PREPARE, message, now.mono_ms), register)

    def _accept(self, now: Moment, line: Line, work: Work, ballot: Ballot, decision: Decision, state: State) -> None:
        register = self._acceptor.registers.get(work.key)
        if register is not None:
            register.won = False
        self._counter = max(self._counter, ballot.counter + 1)
        work.accept_sent = work.accept_sent or decision.state is not None
        message = Accept(next(self._numbers), *work.key, ballot, state)
        round_ = Round(work, Phase.ACCEPT, message, now.mono_ms)
        round_.decision = decision
        self._run(now, line, round_, None)

    def _run(self, now: Moment, line: Line, round_: Round, register: Register | None) -> None:
        if line.round is not None:
            self._rounds.pop(line.round.number, None)
        if register is not None:
            round_.mine = (register.ballot, register.state)
        line.round = self._rounds[round_.number] = round_
        self.counts["rounds"] += 1
        self._at(now.mono_ms + RESEND_MS, self._tick, round_)
        self._ask(round_.message)

    def _decide(self, now: Moment, work: Work, state: State | None) -> Decision:
        record = self._port.table_record(*work.key)
        if work.request is not None:
            return register_change.decide(
                work.request, state, record, now.wall_ms, lambda above: self._port.version(now, above)
            )
        if work.purpose is Purpose.ENTER:
            entered = with_later(state, record)
            return Decision(None if entered is state else entered, Reply(0), recorded=True)
        return Decision(state if work.purpose is Purpose.REPEAT else None, Reply(0), recorded=True)

    # -- answers -----------------------------------------------------------------------------------------

    def answered(self, now: Moment, node: str, answer: Told | Accepted) -> None:
        round_ = self._rounds.get(answer.number)
        if round_ is None or isinstance(answer, Accepted) is not (round_.phase is Phase.ACCEPT):
            return
        if node != self._node and not self._seat.hear(node, answer.voter):
            self.counts["stale votes"] += 1
            return
        round_.answers[node] = answer
        line = self._lines[round_.work.key]
        if now.mono_ms >= round_.work.deadline_ms:  # this process stood still: the client may have gone elsewhere
            self._expire(now, round_.work)
            return
        counted = round_.counted(self._seat)
        if round_.phase is Phase.ACCEPT:
            if len(counted) >= self._seat.quorum:
                self._decided(now, line, round_)
            return
        told = [one for one in counted if isinstance(one, Told)]
        if len(told) < self._seat.quorum:
            self._wait_or_retry(now, line, round_)
        elif round_.phase is Phase.PREPARE:
            self._promised(now, line, round_, told)
        elif (agreed := chosen(told, self._seat.quorum)) is not None:
            self._agreed(now, line, round_, round_.state_of(agreed))
        else:
            self._wait_or_retry(now, line, round_)

    def _agreed(self, now: Moment, line: Line, round_: Round, state: State | None) -> None:
        """A quorum told the same: whoever asks for nothing else has its answer."""
        for work in round_.shared:
            if work.over:
                continue
            while line.works[0].over:
                line.works.popleft()
            decision = self._decide(now, work, state)
            if decision.state is not None:
                self._prepare(now, line, work, self._acceptor.registers.get(work.key))
                return
            self._conclude(now, line, work, decision, state)
        self._next(now, line, round_.work.key)

    def _promised(self, now: Moment, line: Line, round_: Round, told: list[Told]) -> None:
        """A quorum promised: go on from the latest of what they accepted."""
        highest = latest(told)
        state, message = round_.state_of(highest), round_.message
        if not isinstance(message, Prepare) or (state is None and highest.ballot is not None):
            return
        decision = self._decide(now, round_.work, state)
        if decision.state is not None:
            self._accept(now, line, round_.work, message.ballot, decision, decision.state)
        elif state is None or is_chosen(highest, told, self._seat.quorum):
            self._conclude(now, line, round_.work, decision, state)
            self._next(now, line, round_.work.key)
        else:  # it may be that only a minority accepted this: what a reply says must be the register
            self._accept(now, line, round_.work, message.ballot, decision, state)

    def _decided(self, now: Moment, line: Line, round_: Round) -> None:
        message, decision, work = round_.message, round_.decision, round_.work
        if not isinstance(message, Accept) or decision is None:
            return
        register = self._acceptor.registers.get(work.key)
        if register is not None and register.ballot == message.ballot:
            register.won = True
        self._conclude(now, line, work, decision, message.state)
        self._next(now, line, work.key)

    def refused(self, now: Moment, node: str, answer: Refused) -> None:
        self._counter = max(self._counter, answer.promised.counter)
        round_ = self._rounds.get(answer.number)
        if round_ is None or node in round_.answers:
            return
        round_.refusals.add(node)
        line = self._lines[round_.work.key]
        if len(round_.refusals) >= self._seat.copies_needed:  # too few are left for a quorum
            self._retry(now, line, round_)
        else:
            self._wait_or_retry(now, line, round_)

    # -- trying again ------------------------------------------------------------------------------------

    def _wait_or_retry(self, now: Moment, line: Line, round_: Round) -> None:
        """Some answers don't help: wait a little for the rest of them."""
        left = len(self._seat.others) + 1 - len(round_.answers) - len(round_.refusals)
        if not left:
            self._retry(now, line, round_)
        elif len(round_.answers) + len(round_.refusals) >= self._seat.quorum or round_.refusals:
            until_ms = now.mono_ms + PATIENCE_MS
            if until_ms < round_.until_ms:
                round_.until_ms = until_ms
                self._at(until_ms, self._tick, round_)

    def _retry(self, now: Moment, line: Line, round_: Round) -> None:
        """Exponential back-off with full jitter: who met another proposer gives it time to end."""
        self.counts["retries"] += 1
        self._rounds.pop(round_.number, None)
        line.round = None
        most_ms = min(BACKOFF_MOST_MS, BACKOFF_MS * 2 ** min(round_.work.tries, 10))
        delay_ms = most_ms * (self._port.bits() & 0xFFFFFF) / 2**24
        self._at(now.mono_ms + delay_ms, self._again, round_.work)

    def _again(self, now: Moment, work: Work) -> None:
        line = self._lines.get(work.key)
        if work.over or line is None or line.round is not None or line.works[0] is not work:
            return
        if now.mono_ms >= work.deadline_ms:
            self._expire(now, work)
        else:
            self._begin(now, line, work)

    def _tick(self, now: Moment, round_: Round) -> None:
        if self._rounds.get(round_.number) is not round_:
            return
        line = self._lines[round_.work.key]
        if now.mono_ms >= round_.until_ms:
            self._retry(now, line, round_)
        elif len(self.connected) + 1 < self._seat.quorum and not round_.work.accept_sent:
            self._give_up(now, line, round_.work.key)
        else:
            self._at(now.mono_ms + RESEND_MS, self._tick, round_)
            for node in self._seat.others:
                if node in self.connected and node not in round_.answers and node not in round_.refusals:
                    self._ask_one(node, round_.message)

    def _give_up(self, now: Moment, line: Line, key: Key) -> None:
        """No quorum is connected: the client had better ask another node."""
        for work in line.works:
            if not work.over:
                self._fail(now, work)
        self._next(now, line, key)

    def peer_up(self, node: str) -> None:
        self.connected.add(node)
        for round_ in self._rounds.values():
            if node not in round_.answers:
                self._ask_one(node, round_.message)

    def peer_down(self, node: str) -> None:
        self.connected.discard(node)


def _reads_first(work: Work, register: Register | None) -> bool:
    """Whether a reading is likely to do. What updates a register unknown here likely finds none, and a promise
    would leave a trace of it."""
    if work.request is None:
        return work.purpose is not Purpose.REPEAT
    return work.only_reads or (work.request.op == "update" and (register is None or register.state is None))


def _leads(register: Register) -> bool:
    """Whether a quorum promised the next ballot to this node, which has promised nothing to others since."""
    return register.won and register.ballot is not None and register.promised == following(register.ballot)
