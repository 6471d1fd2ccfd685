"""The words of a register's rounds (CASPaxos), and every message that travels for them in a region.

Owns ballots, states, marks and messages: their shapes, their bounds, and the one place where bytes become
messages. Knows nothing of what a message makes an acceptor or a proposer do. A message travels as the
body of a `wire.Paxos` frame.

A *ballot* names one round: (counter, node, incarnation). Accepting one promises the proposer its
*following* ballot as well, so that whoever won a register's last round needs no promise for the next.
A *seat* is an acceptor's memory since one start of its process; a *mark* is how many votes it has made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec

from lab.syncstore.errors import Malformed
from lab.syncstore.record import KEY_BYTES, REGISTER, VALUE_BYTES, bucket_parts
from lab.syncstore.version import LATEST_MS, Version, parts

Key = tuple[str, str]
"""(bucket, key) of a register."""
TOKENS = 8
"""Requests a register remembers with the version each one got."""
SPENT = 64
"""Requests before those, of which it only remembers that they happened."""
SPENT_BYTES = 4
"""What is remembered of each: a hash of its token."""

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
ROUNDS = 2**62
"""A ballot that is asked for is below this, so that the one following it is a ballot too."""
Name = Annotated[str, msgspec.Meta(max_length=256)]
SeatName = Annotated[str, msgspec.Meta(pattern=r"^(0[0-9a-f]{27})?\Z")]
Time = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
Counter = Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
Token = Annotated[bytes, msgspec.Meta(min_length=1, max_length=16)]


class Ballot(NamedTuple):
    """Orders rounds. The incarnation keeps a restarted proposer from using one of its ballots twice."""

    counter: Annotated[int, msgspec.Meta(ge=0, le=ROUNDS)]
    node: Name
    incarnation: Name


NO_BALLOT = Ballot(0, "", "")


def following(ballot: Ballot) -> Ballot:
    """The ballot whose promise is given with accepting this one."""
    return Ballot(ballot.counter + 1, ballot.node, ballot.incarnation)


class Mark(NamedTuple):
    """How far an acceptor had got: its seat, and how many votes it had made in it."""

    seat: SeatName
    votes: Count


class State(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a register is. value None: deleted. expires: Unix ms, 0 for never. time, counter, maker: its version.

    tokens: (token, time, counter, maker) of the last changes that carried one, newest last. spent: the
    hashes of those before them, SPENT_BYTES each.
    """

    value: Annotated[bytes, msgspec.Meta(max_length=VALUE_BYTES)] | None
    expires: Time
    time: Time
    counter: Counter
    maker: Name
    tokens: Annotated[list[tuple[Token, Time, Counter, Name]], msgspec.Meta(max_length=TOKENS)] = []
    spent: Annotated[bytes, msgspec.Meta(max_length=SPENT * SPENT_BYTES)] = b""

    @property
    def version(self) -> Version:
        return Version(self.time, self.counter, self.maker)


class Voter(msgspec.Struct, array_like=True, gc=False):
    """Whose vote it is. start: what this seat began with: an earlier seat's mark, or (seat, 0) when it
    copied everything from others. count: its votes up to this one. known: what it remembers of others."""

    seat: SeatName
    start: Mark
    count: Count
    known: Annotated[dict[Name, Mark], msgspec.Meta(max_length=64)]

    @property
    def mark(self) -> Mark:
        """What others remember of it: a seat without a vote adds nothing to what it began with."""
        return Mark(self.seat, self.count) if self.count else self.start

    def is_stale(self, mark: Mark | None) -> bool:
        """Whether `mark`, remembered of the same node, shows that this seat is not its newest memory."""
        return mark is not None and mark[0] != self.seat and mark > self.start


class _Message(msgspec.Struct, array_like=True, gc=False):
    pass


# -- a proposer asks; `number` is its own, and comes back with the answer ---------------------------


class Query(_Message, tag=1):
    """What have you accepted? have: the ballot whose state need not be sent, for I have it."""

    number: Count
    bucket: str
    key: str
    have: Ballot | None = None


class Prepare(_Message, tag=2):
    """Promise this ballot."""

    number: Count
    bucket: str
    key: str
    ballot: Ballot
    have: Ballot | None = None


class Accept(_Message, tag=3):
    """Accept this state; with it, promise the following ballot."""

    number: Count
    bucket: str
    key: str
    ballot: Ballot
    state: State


# -- an acceptor answers, once what it says is durable ---------------------------------------------


class Told(_Message, tag=4):
    """To a Query or a Prepare (then it is a promise): the ballot last accepted. state None: none, or you have it."""

    number: Count
    voter: Voter
    ballot: Ballot | None
    state: State | None


class Accepted(_Message, tag=5):
    number: Count
    voter: Voter


class Refused(_Message, tag=6):
    """Another ballot was promised: yours must be above it."""

    number: Count
    promised: Ballot


# -- who may vote ----------------------------------------------------------------------------------


class Greeting(_Message, tag=7):
    """What an acceptor is. disk: names its disk's contents from when they were new. whole: it votes.
    founders: node → disk of those that were all new together with it. ask: answer with yours."""

    voter: Voter
    disk: Name
    whole: bool
    founders: Annotated[dict[Name, Name], msgspec.Meta(max_length=64)]
    ask: bool


class CopyAsk(_Message, tag=8):
    """I am new: give me your registers from this index of your list on; 0 makes the list."""

    number: Count
    voter: Voter
    index: Count


class Copy(_Message, tag=9):
    """One register as an acceptor holds it."""

    bucket: str
    key: str
    promised: Ballot
    ballot: Ballot | None
    state: State | None


class CopyPart(_Message, tag=10):
    """Answers the CopyAsk of a seat: registers up to before `next` of `total`."""

    number: Count
    seat: SeatName
    voter: Voter
    next: Count
    total: Count
    floor: Ballot
    registers: list[Copy]


# -- forgetting what was deleted ---------------------------------------------------------------------

Holding = tuple[str, str, Ballot]
"""(bucket, key, the ballot of an accepted tombstone)."""
Holdings = Annotated[list[Holding], msgspec.Meta(max_length=4096)]


class Tally(_Message, tag=11):
    """Which of these do you hold, or have forgotten?"""

    number: Count
    holdings: Holdings


class Tallied(_Message, tag=12):
    """held: their places in the Tally."""

    number: Count
    voter: Voter
    held: list[Count]


class Forget(_Message, tag=13):
    """All nodes hold these: forget them."""

    number: Count
    holdings: Holdings


class Forgotten(_Message, tag=14):
    """gone: their places in the Forget."""

    number: Count
    gone: list[Count]


class Unknown(_Message, tag=0):
    """A message of a newer protocol: counted, ignored."""

    tag: int


Question = Query | Prepare | Accept
Answer = Told | Accepted | Refused
Body = (
    Query
    | Prepare
    | Accept
    | Told
    | Accepted
    | Refused
    | Greeting
    | CopyAsk
    | Copy
    | CopyPart
    | Tally
    | Tallied
    | Forget
    | Forgotten
    | Unknown
)
_TAGS = frozenset(range(1, 15))
_WRONG = (msgspec.MsgspecError, ValueError, RecursionError)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Body)
_head: msgspec.msgpack.Decoder[list[Any]] = msgspec.msgpack.Decoder(list)
_buckets: set[str] = set()
"""Bucket names that were found in order (bounded; names come back again and again)."""


def encode(body: Body) -> bytes:
    return _encoder.encode(body)


def decode(body: bytes | bytearray | memoryview | msgspec.Raw) -> Body:
    """Raises Malformed."""
    try:
        found: Body = _decoder.decode(body)
        _check(found)
    except _WRONG as error:
        return _not_known(bytes(body), error)
    return found


def _not_known(body: bytes, error: Exception) -> Unknown:
    try:
        head = _head.decode(body)
    except _WRONG:
        raise Malformed(f"expected a register's message, found {body[:16].hex()}…: {error}") from None
    if head and type(head[0]) is int and head[0] not in _TAGS and 0 < head[0] < 2**16:
        return Unknown(head[0])
    raise Malformed(f"expected a register's message that fits its tag: {error}") from None


def _check(body: Body) -> None:
    check = _CHECKS.get(type(body))
    if check is not None:
        check(body)


def _check_register(body: Query | Prepare | Accept | Copy) -> None:
    _check_key(body.bucket, body.key)
    if not isinstance(body, Query) and body.ballot is not None and body.ballot.counter >= ROUNDS:
        raise ValueError("a ballot is out of bounds")
    if isinstance(body, Accept | Copy) and body.state is not None:
        _check_state(body.state)


def _check_told(body: Told) -> None:
    if body.state is not None:
        _check_state(body.state)


def _check_part(body: CopyPart) -> None:
    for copy in body.registers:
        _check_register(copy)


def _check_holdings(body: Tally | Forget) -> None:
    for bucket, key, _ in body.holdings:
        _check_key(bucket, key)


def _check_key(bucket: str, key: str) -> None:
    if bucket not in _buckets:
        if bucket_parts(bucket)[1] != REGISTER:
            raise ValueError(f"bucket {bucket[:200]!r} holds no registers")
        if len(_buckets) < 65536:
            _buckets.add(bucket)
    if not key or len(key) > KEY_BYTES or (len(key) > KEY_BYTES // 4 and len(key.encode()) > KEY_BYTES):
        raise ValueError(f"a key is empty or longer than {KEY_BYTES} bytes")


def _check_state(state: State) -> None:
    parts(state.maker)
    for token in state.tokens:
        parts(token[3])


_CHECKS: dict[type[Body], Callable[[Any], None]] = {
    Query: _check_register,
    Prepare: _check_register,
    Accept: _check_register,
    Copy: _check_register,
    Told: _check_told,
    CopyPart: _check_part,
    Tally: _check_holdings,
    Forget: _check_holdings,
}
