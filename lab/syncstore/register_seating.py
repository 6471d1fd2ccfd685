"""How nodes tell one another who votes: greetings, and the talk in which a new acceptor copies the others.

Owns what is said when. Knows nothing of votes; `register_seat` and `register_copy` decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lab.syncstore.acceptor import Acceptor
from lab.syncstore.paxos import Body, CopyAsk, CopyPart, Greeting, Voter
from lab.syncstore.ports import Moment
from lab.syncstore.register_copy import Copier, Source
from lab.syncstore.register_seat import Seat
from lab.syncstore.register_timers import Outbox, Timers

GREET_MS = 1000.0
"""How often the others are told how far this acceptor got, when it got further."""
UNSEATED_GREET_MS = 200.0
"""The same while it does not vote yet: then it is waiting for others."""


class Seating:
    """send: to a connected node. connected: the other nodes. last: the position of the log's last entry.
    filled: told when the acceptor got what others held. left: told before a seat's memory is given up."""

    def __init__(
        self,
        seat: Seat,
        acceptor: Acceptor,
        source: Source,
        copier: Copier,
        outbox: Outbox,
        timers: Timers,
        send: Callable[[str, Body], None],
        connected: Callable[[], list[str]],
        last: Callable[[], int],
        bits: Callable[[], int],
        filled: Callable[[Moment], None],
        left: Callable[[], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._seat, self._acceptor, self._source, self._copier = seat, acceptor, source, copier
        self._outbox, self._timers = outbox, timers
        self._send, self._connected, self._last, self._bits = send, connected, last, bits
        self._filled, self._left = filled, left
        self._greeted_count = -1

    def start(self, now: Moment) -> None:
        self._timers.at(now.mono_ms + UNSEATED_GREET_MS, self._greet_on, None)

    def peer_up(self, node: str) -> None:
        self._greet(node, ask=True)

    def peer_down(self, node: str) -> None:
        self._seat.lost(node)
        self._source.lost(node)
        self._copier.lost(node)

    def greeted(self, now: Moment, node: str, greeting: Greeting) -> None:
        self.look_at_self(now, greeting.voter)
        if self._seat.hear(node, greeting.voter):
            self._seat.greeted(node, greeting)
            if greeting.whole:
                self._seat.confirm(node, greeting.voter.known.get(self._seat.node))
            if (position := self._seat.found()) is not None:
                self._outbox.when(position, self._greet_all)
            self._copy_on(node)
        if greeting.ask:
            self._greet(node, ask=False)

    def look_at_self(self, now: Moment, voter: Voter) -> None:
        """Leave the seat when others remember a later one, or more votes than this disk holds."""
        mark = voter.known.get(self._seat.node)
        if mark is not None and self._seat.must_leave(mark):
            self.counts["left seats"] += 1
            self._left()
            self._seat.leave(mark, now.wall_ms, self._bits())
            self._acceptor.clear()
            self._copier.restart()
            self._outbox.when(self._last(), self._greet_all)

    def copy_asked(self, node: str, ask: CopyAsk) -> CopyPart | None:
        """The answer, to be sent once all that was persisted is durable: the copier's seat among it."""
        if self._seat.hear(node, ask.voter):
            return self._source.asked(node, ask)
        self._greet(node, ask=False)
        return None

    def copy_answered(self, now: Moment, node: str, part: CopyPart) -> None:
        if not self._seat.hear(node, part.voter) or not self._copier.answered(node, part):
            return
        self._seat.confirm(node, part.voter.known.get(self._seat.node))
        if self._copier.is_enough():
            self._filled(now)
            self._outbox.when(self._seat.copied(), self._greet_all)
        else:
            self._copy_on(node)

    def _copy_on(self, node: str) -> None:
        ask = self._copier.ask(node)
        if ask is not None:
            self._outbox.when(self._last(), lambda now: self._send(node, ask))

    def _greet_on(self, now: Moment, _: None) -> None:
        seat = self._seat
        seated = seat.whole and seat.is_confirmed
        self._timers.at(now.mono_ms + (GREET_MS if seated else UNSEATED_GREET_MS), self._greet_on, None)
        for node in self._connected():
            seat.note(node)
            self._copy_on(node)
        if not seated or seat.durable_count != self._greeted_count:
            self._greeted_count = seat.durable_count
            self._greet_all(now)

    def _greet_all(self, now: Moment) -> None:
        for node in self._connected():
            self._send(node, self._seat.greeting(ask=not (self._seat.whole and self._seat.is_confirmed)))

    def _greet(self, node: str, *, ask: bool) -> None:
        self._outbox.when(self._last(), lambda now: self._send(node, self._seat.greeting(ask=ask)))
