"""Runs rounds: brings the work on this region's registers to a decision, one piece at a time for each.

Owns the running rounds, ballots and back-off. Knows nothing of seats' reasons, of the log, or of what makes
work necessary. CASPaxos: no leader; any node's proposer may decide, and two that meet delay one another but
never disagree.

    read      ask all what they accepted; a quorum with one ballot: that is the register
    prepare   ask all for a promise; the highest accepted ballot among a quorum's is what we go on from
    accept    have a quorum accept what the work makes of it; then the record is written, then replied

Whoever won a register's last round begins with `accept`: its ballot was promised with that round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count, islice, takewhile

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
from lab.syncstore.register_queue import Line, Queue
from lab.syncstore.register_round import Phase, Purpose, Round, Work, chosen, is_chosen, latest
from lab.syncstore.register_seat import Seat
from lab.syncstore.register_timers import Timers
from lab.syncstore.version import Version, region_of
from lab.syncstore.wire import Reply

RESEND_MS = 200.0
"""Who has not answered is asked again after this; without a quorum connected, work is given up then."""
PATIENCE_MS = 10.0
"""After a first refusal or disagreement the others' answers are waited for so long."""
BACKOFF_MS = 4.0
BACKOFF_MOST_MS = 200.0
READINGS = 2
"""So often what is only read is read; then a round is run, which disturbs whoever is writing."""


class Proposer:
    """ask: sends to all connected nodes, this one too. ask_one: to another one. left: told of a register that
    was tended in vain. recorded: the version that the own table holds, or held when it forgot a delete."""

    def __init__(
        self,
        config: Config,
        incarnation: str,
        seat: Seat,
        acceptor: Acceptor,
        port: RegistersPort,
        timers: Timers,
        ask: Callable[[Question], None],
        ask_one: Callable[[str, Question], None],
        left: Callable[[Moment, Key], None],
        recorded: Callable[[Key], Version],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.connected: set[str] = set()
        self._region, self._node, self._incarnation = config.region, config.node, incarnation
        self._seat, self._acceptor, self._port, self._timers = seat, acceptor, port, timers
        self._ask, self._ask_one = ask, ask_one
        self._queue = Queue(config.limits, port, timers, self, self.counts, left, recorded)
        self.call, self.tend = self._queue.call, self._queue.tend
        self._rounds: dict[int, Round] = {}
        self._numbers = count(port.bits() >> 4 & (2**60 - 1))
        self._counter = 0

    # -- rounds ----------------------------------------------------------------------------------------------

    def begin(self, now: Moment, line: Line, work: Work) -> None:
        work.tries += 1
        register = self._acceptor.registers.get(work.key)
        if work.tries <= READINGS and self._reads_first(work, register):
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
            round_.shared.extend(takewhile(lambda other: other.only_reads, islice(line.works, 1, None)))
        self._run(now, line, round_, register)

    def _reads_first(self, work: Work, register: Register | None) -> bool:
        """Whether a reading is likely to do. What updates a register unknown here likely finds none, and a promise
        would leave a trace of it. What another region made was let in by nobody yet, as far as is known here."""
        if work.purpose is Purpose.ENTER:
            record = self._port.table_record(*work.key)
            return record is None or region_of(record.version.maker) == self._region
        if work.request is None:
            return work.purpose is Purpose.FINISH
        return work.only_reads or (work.request.op == "update" and (register is None or register.state is None))

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
            self.stop(line.round)
        if register is not None:
            round_.mine = (register.ballot, register.state)
        line.round = self._rounds[round_.number] = round_
        self.counts["rounds"] += 1
        self._timers.at(now.mono_ms + RESEND_MS, self._tick, round_)
        self._ask(round_.message)

    def stop(self, round_: Round) -> None:
        self._rounds.pop(round_.number, None)

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
        if node != self._node and not self._seat.hear(node, answer.voter):
            self.counts["stale votes"] += 1
            return
        round_ = self._rounds.get(answer.number)
        if round_ is None or isinstance(answer, Accepted) is not (round_.phase is Phase.ACCEPT):
            return
        round_.answers[node] = answer
        line = self._queue.lines[round_.work.key]
        if now.mono_ms >= round_.work.deadline_ms:  # this process stood still: the client may have gone elsewhere
            self._queue.expire(now, round_.work)
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
            decision = self._decide(now, work, state)
            if decision.state is not None:
                while line.works[0].over:
                    line.works.popleft()
                self._prepare(now, line, work, self._acceptor.registers.get(work.key))
                return
            self._queue.conclude(line, work, decision, state)
        self._queue.next(now, line, round_.work.key)

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
            self._queue.conclude(line, round_.work, decision, state)
            self._queue.next(now, line, round_.work.key)
        else:  # it may be that only a minority accepted this: what a reply says must be the register
            self._accept(now, line, round_.work, message.ballot, decision, state)

    def _decided(self, now: Moment, line: Line, round_: Round) -> None:
        message, decision, work = round_.message, round_.decision, round_.work
        if not isinstance(message, Accept) or decision is None:
            return
        register = self._acceptor.registers.get(work.key)
        if register is not None and register.ballot == message.ballot:
            register.won = True
        self._queue.conclude(line, work, decision, message.state)
        self._queue.next(now, line, work.key)

    def refused(self, now: Moment, node: str, answer: Refused) -> None:
        self._counter = max(self._counter, answer.promised.counter)
        round_ = self._rounds.get(answer.number)
        if round_ is None or node in round_.answers:
            return
        round_.refusals.add(node)
        line = self._queue.lines[round_.work.key]
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
                self._timers.at(until_ms, self._tick, round_)

    def _retry(self, now: Moment, line: Line, round_: Round) -> None:
        """Exponential back-off with full jitter: who met another proposer gives it time to end."""
        self.counts["retries"] += 1
        self.stop(round_)
        line.round = None
        most_ms = min(BACKOFF_MOST_MS, BACKOFF_MS * 2 ** min(round_.work.tries, 10))
        delay_ms = most_ms * (self._port.bits() & 0xFFFFFF) / 2**24
        self._timers.at(now.mono_ms + delay_ms, self._again, round_.work)

    def _again(self, now: Moment, work: Work) -> None:
        line = self._queue.lines.get(work.key)
        if work.over or line is None or line.round is not None or line.works[0] is not work:
            return
        if now.mono_ms >= work.deadline_ms:
            self._queue.expire(now, work)
        else:
            self.begin(now, line, work)

    def _tick(self, now: Moment, round_: Round) -> None:
        if self._rounds.get(round_.number) is not round_:
            return
        line = self._queue.lines[round_.work.key]
        if now.mono_ms >= round_.until_ms:
            self._retry(now, line, round_)
        elif len(self.connected) + 1 < self._seat.quorum and not round_.work.accept_sent:
            self._queue.give_up(now, line, round_.work.key)
        else:
            self._timers.at(now.mono_ms + RESEND_MS, self._tick, round_)
            for node in self._seat.others:
                if node in self.connected and node not in round_.answers and node not in round_.refusals:
                    self._ask_one(node, round_.message)

    def peer_up(self, node: str) -> None:
        self.connected.add(node)
        for round_ in self._rounds.values():
            if node not in round_.answers:
                self._ask_one(node, round_.message)

    def peer_down(self, node: str) -> None:
        self.connected.discard(node)


def _leads(register: Register) -> bool:
    """Whether a quorum promised the next ballot to this node, which has promised nothing to others since."""
    return register.won and register.ballot is not None and register.promised == following(register.ballot)
