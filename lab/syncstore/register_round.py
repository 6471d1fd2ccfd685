"""A piece of work on one register, and the round that is run for it.

Owns their data and how answers are counted. Knows nothing of queues, timers or the table.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from math import inf

from lab.syncstore.paxos import NO_BALLOT, Accept, Accepted, Ballot, Key, Prepare, Query, State, Told
from lab.syncstore.register_change import Decision
from lab.syncstore.register_seat import Seat
from lab.syncstore.wire import Reply, Request


class Purpose(Enum):
    CALL = "call"
    """A client's request."""
    ENTER = "enter"
    """The table's record, of another region, is later than the register: let it in."""
    FINISH = "finish"
    """What was accepted has no record: see to it."""
    REPEAT = "repeat"
    """Some node did not accept what the register is: offer it to all once more."""


class Work:
    """request, reply: of a CALL. accept_sent: an accept with its change may have left, so it may happen any time."""

    __slots__ = ("accept_sent", "deadline_ms", "key", "over", "purpose", "reply", "request", "tries")

    def __init__(
        self,
        purpose: Purpose,
        key: Key,
        deadline_ms: float,
        request: Request | None = None,
        reply: Callable[[Reply], None] | None = None,
    ) -> None:
        self.purpose, self.key, self.deadline_ms = purpose, key, deadline_ms
        self.request, self.reply = request, reply
        self.accept_sent = self.over = False
        self.tries = 0

    @property
    def only_reads(self) -> bool:
        return self.request is not None and self.request.op == "get"


class Phase(Enum):
    READ = "read"
    PREPARE = "prepare"
    ACCEPT = "accept"


class Round:
    """number: ours alone. mine: (ballot, state) of the own acceptor, which others need not send.
    shared: gets that are answered by the same reading. until_ms: given up then, for it looks lost."""

    __slots__ = (
        "answers",
        "decision",
        "message",
        "mine",
        "number",
        "phase",
        "refusals",
        "shared",
        "started_ms",
        "until_ms",
        "work",
    )

    def __init__(self, work: Work, phase: Phase, message: Query | Prepare | Accept, started_ms: float) -> None:
        self.work, self.phase, self.message = work, phase, message
        self.number = message.number
        self.started_ms = started_ms
        self.mine: tuple[Ballot | None, State | None] = (None, None)
        self.decision: Decision | None = None
        self.answers: dict[str, Told | Accepted] = {}
        self.refusals: set[str] = set()
        self.shared: deque[Work] = deque((work,))
        self.until_ms = inf

    def counted(self, seat: Seat) -> list[Told | Accepted]:
        """The answers that count beside one another."""
        if len(self.answers) < seat.quorum:
            return []
        voters = {node: answer.voter for node, answer in self.answers.items()}
        return [self.answers[node] for node in seat.agree(voters)]

    def state_of(self, told: Told) -> State | None:
        """What was accepted at the ballot that an answer names."""
        return self.mine[1] if told.ballot == self.mine[0] else told.state


def chosen(answers: list[Told], quorum: int) -> Told | None:
    """One of a quorum that tell of the same accepted ballot: then that is what the register is, and nothing
    later was when the first of them was asked."""
    ballot, count = Counter(told.ballot for told in answers).most_common(1)[0]
    return next(told for told in answers if told.ballot == ballot) if count >= quorum else None


def is_chosen(told: Told, answers: list[Told], quorum: int) -> bool:
    """Whether a quorum accepted what this one tells of, or nothing was accepted at all."""
    return told.ballot is None or sum(one.ballot == told.ballot for one in answers) >= quorum


def latest(answers: list[Told]) -> Told:
    """The one with the highest accepted ballot."""
    return max(answers, key=lambda told: told.ballot or NO_BALLOT)
