"""Linearizable registers among one region's nodes: what the engine talks to.

Owns the way between the parts: messages in and out, votes that wait for the disk, timers. Sans-IO: times
come in, everything goes out through `RegistersPort`.

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

from collections import Counter, deque
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

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
)
from lab.syncstore.ports import Moment
from lab.syncstore.proposer import Proposer
from lab.syncstore.record import Record
from lab.syncstore.register_agreement import Agreement
from lab.syncstore.register_copy import Copier, Source
from lab.syncstore.register_forget import Forgetter
from lab.syncstore.register_ports import RegistersPort
from lab.syncstore.register_round import Purpose
from lab.syncstore.register_seat import Seat
from lab.syncstore.register_seating import Seating
from lab.syncstore.register_timers import Outbox, Timers
from lab.syncstore.version import NO_VERSION, Version
from lab.syncstore.wire import Reply, Request


class Registers:
    def __init__(self, config: Config, incarnation: str, port: RegistersPort) -> None:
        self.next_wake_ms = inf
        self._config, self._node, self._incarnation, self._port = config, config.node, incarnation, port
        self._counts: Counter[str] = Counter()
        self._position = 0
        self._counts_at: deque[tuple[int, int]] = deque()
        """(position, the own votes up to there)."""
        self._inbox: deque[Body] = deque()
        """Messages of this node to itself: handled last, so that nothing is called from within itself."""
        self._peers: set[str] = set()
        self._outbox, self._timers = Outbox(), Timers()
        self._seat = Seat(config.node, config.members[config.region], self._persist)
        self._acceptor = Acceptor(self._seat, self._persist)
        self._handlers: dict[type[Body], Callable[[Moment, str, Any], None]] = {}
        self._build()

    def _build(self) -> None:
        seat, acceptor, limits = self._seat, self._acceptor, self._config.limits
        copier = Copier(seat, acceptor, self._persist)
        source = Source(seat, acceptor, limits.slice_records)
        self._seating = Seating(
            seat, acceptor, source, copier, self._outbox, self._timers, self._send, self._connected,
            lambda: self._position, self._port.bits, self._look_after_all, self._counts_at.clear,
        )  # fmt: skip
        self._dropped: dict[Key, Version] = {}
        """Registers whose delete the table has forgotten already."""
        self._proposer = Proposer(
            self._config, self._incarnation, seat, acceptor, self._port, self._timers, self._ask_all, self._send,
            lambda now, key: self._agreement.look_later(now, key), self._recorded,
        )  # fmt: skip
        self._agreement = Agreement(
            self._node, limits, acceptor, self._port, self._timers, self._proposer.tend,
            lambda: [self._node, *self._connected()],
        )  # fmt: skip
        self._forgetter = Forgetter(
            seat, acceptor, limits.register_forget_ms, limits.slice_records, self._recorded, self._tell_all,
            lambda now, key: self._proposer.tend(now, Purpose.REPEAT, key),
        )  # fmt: skip
        self._handlers = {
            Query: self._query,
            Prepare: self._prepare,
            Accept: self._accept,
            Told: self._told,
            Accepted: self._told,
            Refused: self._proposer.refused,
            Greeting: self._seating.greeted,
            CopyAsk: self._copy_asked,
            CopyPart: self._seating.copy_answered,
            Tally: self._tally,
            Tallied: self._tallied,
            Forget: self._forget,
            Forgotten: self._forgetter.gone,
        }

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
        self._look_after_all(now)
        self._seating.start(now)
        self._settle(now)

    def needs(self, tombstone: Record) -> bool:
        """Whether the table must keep it: an older value is accepted here, which the delete has yet to enter, or may
        be among what this acceptor is still to copy."""
        if not self._seat.whole:
            return True
        register = self._acceptor.registers.get((tombstone.bucket, tombstone.key))
        return register is not None and register.state is not None and register.state.version < tombstone.version

    def dropped(self, tombstone: Record) -> None:
        """The table forgot a delete that every node's table held: to this register it counts as recorded."""
        key = (tombstone.bucket, tombstone.key)
        if key in self._acceptor.registers:
            self._dropped[key] = tombstone.version

    def snapshot(self) -> Iterator[bytes]:
        """May be drawn from in slices while the registers go on: what changes meanwhile follows in the log."""
        yield from map(entries.encode, self._seat.snapshot())
        yield from map(entries.encode, self._acceptor.snapshot())

    def _look_after_all(self, now: Moment) -> None:
        for key, register in self._acceptor.registers.items():
            self._agreement.look_later(now, key)
            if register.state is not None:
                self._forgetter.noticed(key, register.state, now)

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
        self._outbox.durable = max(self._outbox.durable, position)
        while self._counts_at and self._counts_at[0][0] <= position:
            self._seat.durable_count = self._counts_at.popleft()[1]
        self._settle(now)

    def peer_up(self, now: Moment, node: str, same_members: bool) -> None:
        """same_members: its membership hash is ours; otherwise its votes mean something else."""
        if not same_members or node not in self._seat.others:
            self._counts["strangers"] += 1
            return
        self._peers.add(node)
        self._proposer.peer_up(node)
        self._seating.peer_up(node)
        self._settle(now)

    def peer_down(self, now: Moment, node: str) -> None:
        self._peers.discard(node)
        self._proposer.peer_down(node)
        self._seating.peer_down(node)

    def foreign(self, now: Moment, bucket: str, key: str) -> None:
        self._agreement.foreign(now, (bucket, key))
        self._settle(now)

    def wake(self, now: Moment) -> None:
        self._timers.run(now)
        self._forgetter.wake(now)
        self._agreement.wake(now)
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
            "unchecked": self._agreement.waiting,
            **self._counts,
            **self._seating.counts,
            **self._agreement.counts,
            **self._proposer.counts,
        }

    # -- messages ------------------------------------------------------------------------------------------

    def _handle(self, now: Moment, node: str, message: Body) -> None:
        handler = self._handlers.get(type(message))
        if handler is None:
            self._counts["unknown"] += 1
        else:
            handler(now, node, message)

    def _query(self, now: Moment, node: str, ask: Query) -> None:
        if self._seat.votes:
            answer, position = self._acceptor.query(ask)
            self._answer(node, position, answer)

    def _prepare(self, now: Moment, node: str, ask: Prepare) -> None:
        if self._seat.votes:
            answer, position = self._acceptor.prepare(ask)
            self._agreement.look_later(now, (ask.bucket, ask.key))
            self._answer(node, position, answer)

    def _accept(self, now: Moment, node: str, ask: Accept) -> None:
        if not self._seat.votes:
            return
        answer, position = self._acceptor.accept(ask, now.mono_ms)
        if isinstance(answer, Accepted):
            self._agreement.look_later(now, (ask.bucket, ask.key))
            self._forgetter.noticed((ask.bucket, ask.key), ask.state, now)
        self._answer(node, position, answer)

    def _told(self, now: Moment, node: str, answer: Told | Accepted) -> None:
        self._seating.look_at_self(now, answer.voter)
        self._proposer.answered(now, node, answer)

    def _copy_asked(self, now: Moment, node: str, ask: CopyAsk) -> None:
        part = self._seating.copy_asked(node, ask)
        if part is not None:
            self._answer(node, self._position, part)

    def _tally(self, now: Moment, node: str, ask: Tally) -> None:
        answer = self._forgetter.asked(ask)
        if answer is not None:  # durable with a later entry than whatever the table held just now
            self._answer(node, self._persist(entries.Floor(self._acceptor.floor)), answer)

    def _tallied(self, now: Moment, node: str, answer: Tallied) -> None:
        if self._seat.hear(node, answer.voter):
            self._forgetter.tallied(now, node, answer)

    def _forget(self, now: Moment, node: str, ask: Forget) -> None:
        answer = self._forgetter.told(ask)
        if answer is not None:
            self._answer(node, self._position, answer)

    def _recorded(self, key: Key) -> Version:
        record = self._port.table_record(*key)
        if record is not None:
            return record.version
        if key not in self._acceptor.registers:
            self._dropped.pop(key, None)
        return self._dropped.get(key, NO_VERSION)

    # -- the disk and the network ----------------------------------------------------------------------------

    def _persist(self, entry: entries.Entry) -> int:
        self._position = self._port.persist(entries.encode(entry))
        self._counts_at.append((self._position, self._seat.count))
        return self._position

    def _settle(self, now: Moment) -> None:
        """Do what the disk allows, handle what this node told itself, until nothing is left."""
        self._outbox.run(now)
        while self._inbox:
            self._handle(now, self._node, self._inbox.popleft())
            self._outbox.run(now)
        self.next_wake_ms = min(self._timers.next_ms, self._agreement.next_wake_ms, self._forgetter.next_wake_ms)

    def _answer(self, node: str, position: int, answer: Body) -> None:
        """A vote leaves once what it promises is on the disk."""
        if node == self._node:
            self._outbox.when(position, lambda now: self._inbox.append(answer))
        else:
            body = paxos.encode(answer)
            self._outbox.when(position, lambda now: self._port.send(node, body))

    def _send(self, node: str, message: Body) -> None:
        self._port.send(node, paxos.encode(message))

    def _ask_all(self, ask: Question) -> None:
        if isinstance(ask, Prepare | Accept) and ask.ballot.counter >= paxos.ROUNDS:
            return  # somebody stated a ballot that nobody comes to: none is left for this register
        body = paxos.encode(ask)
        for node in self._connected():
            self._port.send(node, body)
        self._inbox.append(ask)

    def _tell_all(self, ask: Tally | Forget) -> None:
        """Once what this node holds itself is durable."""
        body, position = paxos.encode(ask), self._persist(entries.Floor(self._acceptor.floor))

        def tell(now: Moment) -> None:
            for node in self._connected():
                self._port.send(node, body)

        self._outbox.when(position, tell)

    def _connected(self) -> list[str]:
        return [node for node in self._seat.others if node in self._peers]
