"""Linearizable registers among one region's nodes: what the engine talks to.

Owns the way between the parts: messages in and out, votes that wait for the disk, timers, and the check
that the table and a register agree. Sans-IO: times come in, everything goes out through `RegistersPort`.

    restore(payload)…          each persisted payload, in the log's order, a snapshot's first
    start(now)                 once, after those
    request(now, request, reply)
    received(now, node, body)  raises Malformed
    durable(now, position)     the log holds everything up to here
    peer_up(now, node, same_members), peer_down(now, node)
    foreign(now, bucket, key)  the table took a register's record that another region made; also once after
                               `start` for each such record that the table held already
    wake(now)                  a timer: call at `next_wake_ms`

What the engine keeps in mind: a process that stood still for longer than limits.token_lives_ms drops its
clients' connections before it reads from them, for their requests may have been tried elsewhere since.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from typing import Any

import xxhash

from lab.syncstore import paxos
from lab.syncstore import register_entries as entries
from lab.syncstore.acceptor import Acceptor
from lab.syncstore.config import Config
from lab.syncstore.paxos import (
    Accept,
    Accepted,
    Body,
    CopyAsk,
    CopyPart,
    Forget,
    Forgotten,
    Greeting,
    Key,
    Prepare,
    Query,
    Question,
    Refused,
    Tallied,
    Tally,
    Told,
    Voter,
)
from lab.syncstore.ports import Moment
from lab.syncstore.proposer import Proposer
from lab.syncstore.register_copy import Copier, Source
from lab.syncstore.register_forget import Forgetter
from lab.syncstore.register_ports import RegistersPort
from lab.syncstore.register_round import Purpose
from lab.syncstore.register_seat import Seat
from lab.syncstore.version import NO_VERSION
from lab.syncstore.wire import Reply, Request

GREET_MS = 1000.0
"""How often the others are told how far this acceptor got, when it got further."""
UNSEATED_GREET_MS = 200.0
"""The same while it does not vote: then it is waiting for others."""


class Registers:
    def __init__(self, config: Config, incarnation: str, port: RegistersPort) -> None:
        self.next_wake_ms = inf
        self._config, self._limits, self._node = config, config.limits, config.node
        self._incarnation, self._port = incarnation, port
        self._position = 0
        self._durable = 0
        """What was restored counts as durable; positions are above 0."""
        self._counts_at: deque[tuple[int, int]] = deque()
        """(position, the own votes up to there)."""
        self._counts: Counter[str] = Counter()
        self._ready: deque[Callable[[Moment], None]] = deque()
        self._waiting: deque[tuple[int, Callable[[Moment], None]]] = deque()
        """What is said or done once a position is durable."""
        self._inbox: deque[Body] = deque()
        """Messages of this node to itself: handled last, so that nothing is called from within itself."""
        self._timers: list[tuple[float, int, Callable[[Moment, Any], None], Any]] = []
        self._order = count()
        self._checks: deque[tuple[float, Key]] = deque()
        self._checked: set[Key] = set()
        self._greeted_count = -1
        self._peers: set[str] = set()
        self._seat = Seat(config.node, config.members[config.region], self._persist)
        self._acceptor = Acceptor(self._seat, self._persist)
        self._proposer = Proposer(
            config,
            incarnation,
            self._seat,
            self._acceptor,
            port,
            self._ask_all,
            self._send,
            self._at,
            self._check_later,
        )
        self._source = Source(self._seat, self._acceptor, config.limits.slice_records)
        self._copier = Copier(self._seat, self._acceptor, self._persist)
        self._forgetter = Forgetter(
            self._seat,
            self._acceptor,
            config.limits.register_forget_ms,
            config.limits.slice_records,
            self._tell_all,
            lambda now, key: self._proposer.tend(now, Purpose.REPEAT, key),
        )

    # -- start ---------------------------------------------------------------------------------------------

    def restore(self, payload: bytes) -> None:
        """Raises Malformed."""
        entry = entries.decode(payload)
        if self._seat.restore(entry):
            self._acceptor.clear()
        self._acceptor.restore(entry)

    def start(self, now: Moment) -> None:
        if self._seat.take(self._incarnation):
            self._acceptor.clear()
        for key, register in self._acceptor.registers.items():
            self._check_later(now, key)
            if register.state is not None:
                self._forgetter.noticed(key, register.state, now)
        self._at(now.mono_ms + UNSEATED_GREET_MS, self._greet_on, None)
        self._settle(now)

    def snapshot(self) -> Iterator[bytes]:
        """May be drawn from in slices while the registers go on: what changes meanwhile follows in the log."""
        yield from map(entries.encode, self._seat.snapshot())
        yield from map(entries.encode, self._acceptor.snapshot())

    # -- what the engine calls -------------------------------------------------------------------------------

    def request(self, now: Moment, request: Request, reply: Callable[[Reply], None]) -> None:
        """put, get, delete, create or update of a register. reply: called once, in the end."""
        self._proposer.call(now, request, reply)
        self._settle(now)

    def received(self, now: Moment, node: str, body: bytes) -> None:
        """Raises Malformed."""
        message = paxos.decode(body)
        if node in self._peers:
            self._handle(now, node, message)
            self._settle(now)
        else:
            self._counts["strangers"] += 1

    def durable(self, now: Moment, position: int) -> None:
        self._durable = max(self._durable, position)
        while self._counts_at and self._counts_at[0][0] <= self._durable:
            self._seat.durable_count = self._counts_at.popleft()[1]
        self._settle(now)

    def peer_up(self, now: Moment, node: str, same_members: bool) -> None:
        """same_members: its membership hash is ours; otherwise its votes mean something else."""
        if not same_members or node not in self._config.peers:
            self._counts["strangers"] += 1
            return
        self._peers.add(node)
        self._proposer.peer_up(node)
        self._send_when_durable(node, lambda: self._seat.greeting(ask=True))
        self._settle(now)

    def peer_down(self, now: Moment, node: str) -> None:
        self._peers.discard(node)
        self._proposer.peer_down(node)
        self._seat.lost(node)
        self._source.lost(node)
        self._copier.lost(node)

    def foreign(self, now: Moment, bucket: str, key: str) -> None:
        """One node lets it in at once, the others look a while later whether that was done."""
        self._at(now.mono_ms + self._rank((bucket, key)) * self._limits.finish_after_ms, self._check, (bucket, key))
        self._settle(now)

    def wake(self, now: Moment) -> None:
        while self._timers and self._timers[0][0] <= now.mono_ms:
            _, _, action, argument = heapq.heappop(self._timers)
            action(now, argument)
        self._forgetter.wake(now)
        room = self._limits.slice_records
        while room and self._checks and self._checks[0][0] <= now.mono_ms:
            _, key = self._checks.popleft()
            self._checked.discard(key)
            self._look_after(now, key)
            room -= 1
        self._settle(now)

    def stats(self) -> dict[str, Any]:
        seat = self._seat
        return {
            "registers": len(self._acceptor.registers),
            "votes": seat.votes,
            "retired": seat.retired,
            "seat": seat.seat,
            "floor": self._acceptor.floor.counter,
            "forgotten": self._forgetter.forgotten,
            "unchecked": len(self._checks),
            **self._counts,
            **self._proposer.counts,
        }

    # -- messages ------------------------------------------------------------------------------------------

    def _handle(self, now: Moment, node: str, message: Body) -> None:
        if isinstance(message, Query | Prepare | Accept):
            self._vote(now, node, message)
        elif isinstance(message, Told | Accepted):
            self._look_at_self(now, message.voter)
            self._proposer.answered(now, node, message)
        elif isinstance(message, Refused):
            self._proposer.refused(now, node, message)
        elif isinstance(message, Greeting):
            self._greeted(now, node, message)
        elif isinstance(message, CopyAsk):
            self._copy_asked(node, message)
        elif isinstance(message, CopyPart):
            self._copy_answered(now, node, message)
        else:
            self._handle_forgetting(now, node, message)

    def _handle_forgetting(self, now: Moment, node: str, message: Body) -> None:
        if isinstance(message, Tally):
            self._answer_when_durable(node, self._position, self._forgetter.asked(message))
        elif isinstance(message, Tallied):
            if self._seat.hear(node, message.voter):
                self._forgetter.tallied(now, node, message)
        elif isinstance(message, Forget):
            answer = self._forgetter.told(message)
            self._answer_when_durable(node, self._position, answer)
        elif isinstance(message, Forgotten):
            self._forgetter.gone(now, node, message)
        else:
            self._counts["unknown"] += 1

    def _vote(self, now: Moment, node: str, ask: Question) -> None:
        if not self._seat.votes:
            return
        answer: Told | Accepted | Refused
        if isinstance(ask, Query):
            answer, position = self._acceptor.query(ask)
        elif isinstance(ask, Prepare):
            answer, position = self._acceptor.prepare(ask)
        else:
            answer, position = self._acceptor.accept(ask, now.mono_ms)
            if not isinstance(answer, Refused):
                self._forgetter.noticed((ask.bucket, ask.key), ask.state, now)
        if position > self._durable:
            self._check_later(now, (ask.bucket, ask.key))
        self._answer_when_durable(node, position, answer)

    def _answer_when_durable(self, node: str, position: int, answer: Body | None) -> None:
        if answer is None:
            return
        if node == self._node:
            self._when_durable(position, lambda now: self._inbox.append(answer))
        else:
            body = paxos.encode(answer)
            self._when_durable(position, lambda now: self._port.send(node, body))

    # -- seats and copies ------------------------------------------------------------------------------------

    def _greeted(self, now: Moment, node: str, greeting: Greeting) -> None:
        self._look_at_self(now, greeting.voter)
        if self._seat.hear(node, greeting.voter):
            self._seat.greeted(node, greeting)
            if (position := self._seat.found()) is not None:
                self._when_durable(position, self._greet_all)
            self._copy_on(node)
        if greeting.ask:
            self._send_when_durable(node, lambda: self._seat.greeting(ask=False))

    def _look_at_self(self, now: Moment, voter: Voter) -> None:
        """Leave the seat when others remember a later one, or more votes than this disk holds."""
        mark = voter.known.get(self._node)
        if mark is not None and self._seat.must_leave(mark):
            self._counts["left seats"] += 1
            self._seat.leave(mark, now.wall_ms, self._port.bits())
            self._acceptor.clear()
            self._copier.restart()
            self._counts_at.clear()
            self._when_durable(self._position, self._greet_all)

    def _copy_on(self, node: str) -> None:
        ask = self._copier.ask(node)
        if ask is not None:
            self._when_durable(self._position, lambda now: self._send(node, ask))

    def _copy_asked(self, node: str, ask: CopyAsk) -> None:
        if self._seat.hear(node, ask.voter):
            self._answer_when_durable(node, self._position, self._source.asked(node, ask))
        else:
            self._send_when_durable(node, lambda: self._seat.greeting(ask=False))

    def _copy_answered(self, now: Moment, node: str, part: CopyPart) -> None:
        if not self._seat.hear(node, part.voter):
            return
        if not self._copier.answered(node, part):
            return
        if self._copier.is_enough():
            for key, register in self._acceptor.registers.items():
                self._check_later(now, key)
                if register.state is not None:
                    self._forgetter.noticed(key, register.state, now)
            self._when_durable(self._seat.copied(), self._greet_all)
        else:
            self._copy_on(node)

    def _greet_on(self, now: Moment, _: None) -> None:
        seat = self._seat
        self._at(now.mono_ms + (GREET_MS if seat.whole else UNSEATED_GREET_MS), self._greet_on, None)
        for node in self._connected():
            seat.note(node)
            self._copy_on(node)
        if not seat.whole or seat.durable_count != self._greeted_count:
            self._greeted_count = seat.durable_count
            self._greet_all(now)

    def _greet_all(self, now: Moment) -> None:
        for node in self._connected():
            self._send(node, self._seat.greeting(ask=not self._seat.whole))

    # -- the table and the registers agree ---------------------------------------------------------------------

    def _check_later(self, now: Moment, key: Key) -> None:
        if key not in self._checked:
            self._checked.add(key)
            self._checks.append((now.mono_ms + self._limits.finish_after_ms, key))

    def _look_after(self, now: Moment, key: Key) -> None:
        """A while after a vote: is all well, or is there something to see to?"""
        register = self._acceptor.registers.get(key)
        if register is not None and register.ballot is None:
            self._acceptor.fold(key)
        elif register is not None and now.mono_ms - register.accepted_ms < self._limits.finish_after_ms:
            self._check_later(now, key)
        elif self._missing(key) is not None:
            self._at(now.mono_ms + self._rank(key) * self._limits.finish_after_ms / 2, self._check, key)

    def _missing(self, key: Key) -> Purpose | None:
        """A value that was accepted has a record, a later record has entered: else, what is to be done."""
        register, record = self._acceptor.registers.get(key), self._port.table_record(*key)
        accepted = register.state.version if register is not None and register.state is not None else NO_VERSION
        recorded = record.version if record is not None else NO_VERSION
        if accepted == recorded or (accepted == NO_VERSION and record is not None and record.value is None):
            return None
        return Purpose.ENTER if accepted < recorded else Purpose.FINISH

    def _check(self, now: Moment, key: Key) -> None:
        purpose = self._missing(key)
        if purpose is not None:
            self._counts[purpose.value] += 1
            self._proposer.tend(now, purpose, key)
        if purpose is Purpose.FINISH:
            self._check_later(now, key)

    def _rank(self, key: Key) -> int:
        """This node's place among the connected ones when something is to be done about a register."""
        ranked = sorted(
            (self._node, *self._peers), key=lambda node: xxhash.xxh64_intdigest("/".join((node, *key)).encode())
        )
        return ranked.index(self._node)

    # -- the disk, timers, sending -------------------------------------------------------------------------------

    def _persist(self, entry: entries.Entry) -> int:
        self._position = self._port.persist(entries.encode(entry))
        self._counts_at.append((self._position, self._seat.count))
        return self._position

    def _when_durable(self, position: int, action: Callable[[Moment], None]) -> None:
        """An answer that waits for an earlier position than the one before it goes right after that one."""
        if position <= self._durable:
            self._ready.append(action)
        else:
            self._waiting.append((position, action))

    def _settle(self, now: Moment) -> None:
        """Do what the disk allows, handle what this node told itself, until nothing is left."""
        while True:
            while self._waiting and self._waiting[0][0] <= self._durable:
                self._waiting.popleft()[1](now)
            while self._ready:
                self._ready.popleft()(now)
            if not self._inbox:
                break
            self._handle(now, self._node, self._inbox.popleft())
        self._set_wake()

    def _set_wake(self) -> None:
        timer_ms = self._timers[0][0] if self._timers else inf
        check_ms = self._checks[0][0] if self._checks else inf
        self.next_wake_ms = min(timer_ms, check_ms, self._forgetter.next_wake_ms)

    def _at(self, when_ms: float, action: Callable[[Moment, Any], None], argument: Any) -> None:
        heapq.heappush(self._timers, (when_ms, next(self._order), action, argument))

    def _send_when_durable(self, node: str, make: Callable[[], Body]) -> None:
        self._when_durable(self._position, lambda now: self._send(node, make()))

    def _send(self, node: str, message: Body) -> None:
        self._port.send(node, paxos.encode(message))

    def _ask_all(self, ask: Question) -> None:
        body = paxos.encode(ask)
        for node in self._connected():
            self._port.send(node, body)
        self._inbox.append(ask)

    def _connected(self) -> list[str]:
        return [node for node in self._seat.others if node in self._peers]

    def _tell_all(self, ask: Tally | Forget) -> None:
        body = paxos.encode(ask)

        def tell(now: Moment) -> None:
            for node in self._connected():
                self._port.send(node, body)

        self._when_durable(self._position, tell)
