"""When a deleted register may be forgotten: old enough, its tombstone accepted and recorded by every node.

Owns the candidates and the tally over them. Knows nothing of the log or of sockets.

One node tallies: the first by name, and each next one only after as much time again, should the first
have forgotten alone. It asks all nodes; what all hold they all drop, itself last, so that whoever is
missed is asked again. Who lags is made to accept the tombstone once more (`repeat`). A table that lacked the
tombstone would still hold what was deleted, and let it into the forgotten register as a later record.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf

from lab.syncstore.acceptor import Acceptor, Register
from lab.syncstore.paxos import Ballot, Forget, Forgotten, Holding, Key, State, Tallied, Tally, Voter
from lab.syncstore.ports import Moment
from lab.syncstore.register_seat import Seat
from lab.syncstore.version import Version

PATIENCE_MS = 2000.0
"""A tally that not everyone answered is given up after this."""


class Forgetter:
    """recorded: the version the own table holds. send: to all other nodes. repeat: has a register accepted
    once more, by all."""

    def __init__(
        self,
        seat: Seat,
        acceptor: Acceptor,
        age_ms: float,
        piece: int,
        recorded: Callable[[Key], Version],
        send: Callable[[Tally | Forget], None],
        repeat: Callable[[Moment, Key], None],
    ) -> None:
        self._seat, self._acceptor, self._age_ms, self._piece = seat, acceptor, age_ms, piece
        self._recorded, self._send, self._repeat = recorded, send, repeat
        self._rank = sum(one < seat.node for one in seat.others)
        self._since: dict[Key, tuple[Version, float]] = {}
        """Since when each was seen deleted, at which version."""
        self._due: list[tuple[float, Key]] = []
        self._queued: set[Key] = set()
        self._number = 0
        self._open: list[Holding] = []
        self._until_ms = inf
        self._answers: dict[str, set[int]] = {}
        self._voters: dict[str, Voter] = {}
        self._forgetting = False
        self.forgotten = 0

    @property
    def next_wake_ms(self) -> float:
        if self._open:
            return self._until_ms
        return self._due[0][0] if self._due else inf

    def noticed(self, key: Key, state: State, now: Moment) -> None:
        """This state was accepted here. One with an expiry is a candidate once that is past."""
        if state.value is not None and not state.expires:
            self._since.pop(key, None)
            return
        known = self._since.get(key)
        if known is not None and known[0] == state.version:
            return
        left_ms = max(0, state.expires - now.wall_ms) if state.value is not None else 0
        self._since[key] = (state.version, now.mono_ms + left_ms)
        self._again(key, now.mono_ms + left_ms + self._age_ms * (1 + self._rank))

    def wake(self, now: Moment) -> None:
        if self._open and now.mono_ms >= self._until_ms:
            self._give_up(now)
        if self._open or not self._due or self._due[0][0] > now.mono_ms:
            return
        while self._due and self._due[0][0] <= now.mono_ms and len(self._open) < self._piece:
            _, key = heapq.heappop(self._due)
            self._queued.discard(key)
            if (ballot := self._candidate(key, now)) is not None:
                self._open.append((*key, ballot))
        if self._open:
            self._number += 1
            self._until_ms, self._forgetting = now.mono_ms + PATIENCE_MS, False
            self._answers, self._voters = {}, {}
            self._send(Tally(self._number, self._open))
            self._look(now)

    def _candidate(self, key: Key, now: Moment) -> Ballot | None:
        since, register = self._since.get(key), self._acceptor.registers.get(key)
        if since is None or register is None or register.state is None or register.state.version != since[0]:
            self._since.pop(key, None)
            return None
        due_ms = since[1] + self._age_ms * (1 + self._rank)
        gone = register.state.value is None or register.state.expires <= now.wall_ms
        if now.mono_ms < due_ms or not gone or not self._seat.votes or not self._is_recorded(key, register):
            self._again(key, max(due_ms, now.mono_ms + self._age_ms / 4))
            return None
        return register.ballot

    def _again(self, key: Key, at_ms: float) -> None:
        if key not in self._queued:
            self._queued.add(key)
            heapq.heappush(self._due, (at_ms, key))

    # -- as the one that is asked ------------------------------------------------------------------------

    def asked(self, ask: Tally) -> Tallied | None:
        """To be sent once all that is held is durable, in the log and in the table."""
        if not self._seat.votes:
            return None
        held = [at for at, (bucket, key, ballot) in enumerate(ask.holdings) if self._holds((bucket, key), ballot)]
        return Tallied(ask.number, self._seat.voter(), held)

    def _holds(self, key: Key, ballot: Ballot) -> bool:
        register = self._acceptor.registers.get(key)
        return self._acceptor.holds(key, ballot) and (register is None or self._is_recorded(key, register))

    def _is_recorded(self, key: Key, register: Register) -> bool:
        return register.state is not None and self._recorded(key) >= register.state.version

    def told(self, ask: Forget) -> Forgotten | None:
        if not self._seat.votes:
            return None
        return Forgotten(ask.number, [at for at, holding in enumerate(ask.holdings) if self._forget(holding)])

    def _forget(self, holding: Holding) -> bool:
        bucket, key, ballot = holding
        if not self._acceptor.forget((bucket, key), ballot):
            return False
        self._since.pop((bucket, key), None)
        self.forgotten += 1
        return True

    # -- as the one that asks ----------------------------------------------------------------------------

    def tallied(self, now: Moment, node: str, answer: Tallied) -> None:
        if answer.number == self._number and self._open and not self._forgetting:
            self._answers[node], self._voters[node] = set(answer.held), answer.voter
            self._look(now)

    def gone(self, now: Moment, node: str, answer: Forgotten) -> None:
        if answer.number == self._number and self._open and self._forgetting:
            self._answers[node] = set(answer.gone)
            self._look(now)

    def _look(self, now: Moment) -> None:
        if not all(node in self._answers for node in self._seat.others):
            return
        named = set(range(len(self._open))).intersection(*self._answers.values())
        if self._forgetting:
            self._drop(now, named)
        elif self._all_count():
            self._have_all_drop(now, named)
        else:
            self._give_up(now)

    def _all_count(self) -> bool:
        """Whether every answer stands beside the others: none is of a memory that was lost since."""
        voters = {**self._voters, self._seat.node: self._seat.voter()}
        return self._seat.votes and len(self._seat.agree(voters)) == len(voters)

    def _have_all_drop(self, now: Moment, held: set[int]) -> None:
        for at, (bucket, key, _) in enumerate(self._open):
            if at not in held:
                self._again((bucket, key), now.mono_ms + self._age_ms / 4)
                self._repeat(now, (bucket, key))
        self._open = [holding for at, holding in enumerate(self._open) if at in held]
        self._answers, self._forgetting = {}, True
        if self._open:
            self._send(Forget(self._number, self._open))
            self._look(now)

    def _drop(self, now: Moment, gone: set[int]) -> None:
        for at, (bucket, key, ballot) in enumerate(self._open):
            if at not in gone or not self._forget((bucket, key, ballot)):
                self._again((bucket, key), now.mono_ms + self._age_ms / 4)
        self._open = []

    def _give_up(self, now: Moment) -> None:
        for bucket, key, _ in self._open:
            self._again((bucket, key), now.mono_ms + self._age_ms / 4)
        self._open = []
