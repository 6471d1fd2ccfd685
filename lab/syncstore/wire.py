"""Every frame that travels: between nodes, and between a client and a node.

Owns the frames' shapes, their limits, and the one place where bytes become frames. Knows nothing of
sockets or of what a frame makes a node do. A frame is 4 bytes of length (big endian, without
themselves), then one msgpack array whose first element is the frame's tag. A tag nobody knows is
`Unknown`, to be counted and ignored; anything else that doesn't fit is `Malformed`, which costs its
connection and nothing more.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from lab.syncstore.errors import Malformed
from lab.syncstore.record import KEY_BYTES, VALUE_BYTES, Record, bucket_parts, filled
from lab.syncstore.vector import Floor, Origin, Sequence, Vector
from lab.syncstore.version import COUNTER_LIMIT, LATEST_MS, parts

FRAME_BYTES: Final = 1024 * 1024
WAN_FRAME_BYTES: Final = 64 * 1024
LENGTH_BYTES: Final = 4
PROTOCOL: Final = (1, 1)
"""The lowest and the highest version of this protocol spoken here."""
FEATURES: Final = ("resume",)
"""Features that only some nodes of a rolling upgrade speak: what needs one is written once all do."""


class _Frame(msgspec.Struct, array_like=True, gc=False):
    pass


# -- between nodes -------------------------------------------------------------------------------


class Hello(_Frame, tag=1):
    """The first frame of both sides. purpose: peer (same region), wan (dialled by the receiving region),
    client, admin. vectors, floors: by scope, of nodes only. log_position: how far this disk's log goes.
    """

    cluster: str
    protocol: tuple[int, int]
    features: tuple[str, ...]
    members: str
    region: str
    node: str
    incarnation: str
    purpose: str
    clock_ms: int
    vectors: dict[str, Vector] = {}
    floors: dict[str, Floor] = {}
    log_position: int = 0
    blank: bool = False
    resume: dict[str, tuple[int, int, str, Sequence]] = {}
    """Scope → a delta that this node sent before and that did not come through: its cut's number, the parts
    that came, the last one's origin and highest sequence."""


class Stream(_Frame, tag=2):
    """An origin's writes as accepted, in sequence from `first`; records: a msgpack array of Record."""

    scope: str
    origin: Origin
    first: int
    records: msgspec.Raw


class Delta(_Frame, tag=3):
    """Part `number` (from 0) of a delta: records of one origin, by sequence."""

    scope: str
    cut: int
    number: int
    origin: Origin
    records: msgspec.Raw


class DeltaEnd(_Frame, tag=4):
    """The delta is whole: `parts` of them, for whoever covers `base` and `floor`; then it holds `vector`."""

    scope: str
    cut: int
    parts: int
    base: Vector
    vector: Vector
    floor: Floor


class Held(_Frame, tag=5):
    """Merged in memory and handed to the operating system here, not yet synced: origin → sequence."""

    scope: str
    entries: dict[Origin, Sequence]


class Want(_Frame, tag=6):
    """What came did not begin where I am: go on from this vector."""

    scope: str
    vector: Vector


class Credit(_Frame, tag=7):
    """So many bytes more may be sent to me."""

    bytes_: int


class Beacon(_Frame, tag=8):
    """What a node tells all the time. By scope: vector (held), durable, low and high of region reports
    (region → what all of its nodes hold durably, what any of them holds), digests (hash bucket → digest at
    `vectors`). hears: the foreign regions whose stream is live here (in-region only). log_position: what peers
    should remember of my log. clocks: region → Unix ms that every clock of it has shown."""

    clock_ms: int
    vectors: dict[str, Vector]
    durable: dict[str, Vector]
    lows: dict[str, dict[str, Vector]] = {}
    highs: dict[str, dict[str, Vector]] = {}
    digests: dict[str, dict[int, int]] = {}
    hears: list[str] = []
    floors: dict[str, Floor] = {}
    log_position: int = 0
    ready: bool = False
    written: bool = True
    """Whether all that `vectors` names was handed to the operating system here: a failing disk takes nothing."""
    clocks: dict[str, int] = {}
    away: str = ""
    """EVICTED: the receiver's region is; RETURNING: it is let in again, and this node has yet to take its reset."""


class Exchange(_Frame, tag=9):
    """Every record of a hash bucket that differed three times; answered once with one's own."""

    scope: str
    bucket: int
    answer: bool
    records: list[tuple[Origin, msgspec.Raw]]
    """(origin, a msgpack array of its records)."""


class Reset(_Frame, tag=10):
    """Part of the state that is to replace the receiver's own."""

    scope: str
    number: int
    origin: Origin
    records: msgspec.Raw


class ResetEnd(_Frame, tag=11):
    """The snapshot is whole."""

    scope: str
    parts: int
    vector: Vector
    floor: Floor


class ResetAsk(_Frame, tag=12):
    """I am blank or below your floor: send me a reset of this scope."""

    scope: str


class Fetch(_Frame, tag=13):
    """A session has seen more of this key than I hold: what do you hold?"""

    number: int
    bucket: str
    key: str


class Fetched(_Frame, tag=14):
    """records: an array of none or one."""

    number: int
    origin: str
    records: msgspec.Raw
    vector: Vector


class Paxos(_Frame, tag=15):
    """A register's round, in the region only: `body` is one of `paxos.Body`, encoded."""

    body: msgspec.Raw


# -- between clients and nodes -------------------------------------------------------------------


class Seen(_Frame):
    """What a session last saw of a key: the record's version, origin and sequence."""

    time: int
    counter: int
    maker: str
    origin: str
    sequence: int


class Request(_Frame):
    """One call. op: put get delete create update keys watch unwatch status drain evict.

    number: the client's own, unique on its connection. expires: Unix ms, 0 for never. revision: as the
    reply gave it. token: 16 bytes that make a create, update or register put safe to repeat. seen: what
    the session saw of this key. stale_ok: a register is read from this node's table. resume: what a watch
    that goes on elsewhere had seen. timeout_ms: the client gives up then.
    """

    number: int
    op: str
    bucket: str = ""
    key: str = ""
    value: bytes = b""
    expires: int = 0
    revision: str = ""
    token: bytes = b""
    seen: Seen | None = None
    stale_ok: bool = False
    resume: dict[str, int] | None = None
    timeout_ms: int = 2000


class Requests(_Frame, tag=32):
    items: list[Request]


class Reply(_Frame):
    """error: "" or the name of an error in `errors`. present False: no such key. seen: for the session.

    info: a sentence with an error; data of `status`. keys: of `keys`. revision: of what was written or read.
    """

    number: int
    error: str = ""
    info: str = ""
    present: bool = False
    value: bytes = b""
    revision: str = ""
    seen: Seen | None = None
    degraded: bool = False
    keys: list[str] | None = None
    expires: int = 0


class Replies(_Frame, tag=33):
    items: list[Reply]


class Change(_Frame):
    """What a watch tells. kind: put delete expired superseded. degraded: no second node holds it yet."""

    kind: str
    key: str
    value: bytes
    revision: str
    seen: Seen
    degraded: bool = False


class Changes(_Frame, tag=34):
    """Of the watch a request `number` opened. initial: part of the snapshot; whole: the snapshot ends here.
    compacted: the resume token was of no use, a fresh snapshot follows. token: resume from here. lost, beside
    compacted: origin → the last sequence that is left of it; what was shown beyond that is no more."""

    number: int
    items: list[Change]
    initial: bool = False
    whole: bool = False
    compacted: bool = False
    token: dict[str, int] | None = None
    lost: dict[str, int] = {}


class Goodbye(_Frame, tag=35):
    """Why this connection ends: a sentence."""

    why: str


class Unknown(_Frame, tag=0):
    """A frame of a protocol newer than this one."""

    tag: int


Message = (
    Hello
    | Stream
    | Delta
    | DeltaEnd
    | Held
    | Want
    | Credit
    | Beacon
    | Exchange
    | Reset
    | ResetEnd
    | ResetAsk
    | Fetch
    | Fetched
    | Paxos
    | Requests
    | Replies
    | Changes
    | Goodbye
    | Unknown
)
_TAGS = frozenset((*range(1, 16), 32, 33, 34, 35))

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Message)
_records: msgspec.msgpack.Decoder[list[Record]] = msgspec.msgpack.Decoder(list[Record])
_tag: msgspec.msgpack.Decoder[list[Any]] = msgspec.msgpack.Decoder(list)


def encode(message: Message) -> bytes:
    """The frame's body, without its length."""
    return _encoder.encode(message)


def framed(body: bytes) -> bytes:
    """What goes on the socket. Raises ValueError above FRAME_BYTES: our own error, never the peer's."""
    if len(body) > FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is above {FRAME_BYTES}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes | bytearray | memoryview) -> Message:
    """Raises Malformed."""
    try:
        return _decoder.decode(body)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, ValueError, RecursionError, UnicodeDecodeError) as error:
        return _not_known(body, error)


def _not_known(body: bytes | bytearray | memoryview, error: Exception) -> Unknown:
    try:
        head = _tag.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError, UnicodeDecodeError):
        raise Malformed(f"expected a frame, found {bytes(body[:16]).hex()}…: {error}") from None
    if head and isinstance(head[0], int) and head[0] not in _TAGS and 0 < head[0] < 2**16:
        return Unknown(head[0])
    raise Malformed(f"expected a frame that fits its tag: {error}") from None


def encode_record(record: Record) -> bytes:
    """One record as it stands in a frame of its own origin: what the frame says is left out."""
    maker, origin = record.maker, record.origin
    record.origin = ""
    if maker == origin:
        record.maker = None
    try:
        return _encoder.encode(record)
    finally:
        record.maker, record.origin = maker, origin


def array_of(encoded: list[bytes]) -> msgspec.Raw:
    """A msgpack array of what is already encoded."""
    count = len(encoded)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return msgspec.Raw(head + b"".join(encoded))


def records_of(raw: msgspec.Raw | bytes, origin: str, scope: str) -> list[Record]:
    """The records of a frame of one origin and scope, made whole and checked. Raises Malformed."""
    try:
        parts(origin)
        records = filled(_records.decode(raw), origin)
        for record in records:
            _check(record, scope)
    except (msgspec.MsgspecError, ValueError, RecursionError, UnicodeError) as error:
        raise Malformed(f"expected records of {origin[:120]!r}: {error}") from None
    return records


_buckets: dict[str, str] = {}
"""Bucket names that were found in order → their scope (bounded; names come back again and again)."""


def _check(record: Record, scope: str) -> None:
    if _buckets.get(record.bucket) != scope:
        if bucket_parts(record.bucket)[0] != scope:
            raise ValueError(f"bucket {record.bucket!r} is not of scope {scope}")
        if len(_buckets) < 65536:
            _buckets[record.bucket] = scope
    if (
        not 0 <= record.time <= LATEST_MS
        or not 0 <= record.counter < COUNTER_LIMIT
        or not 0 <= record.expires <= LATEST_MS
    ):
        raise ValueError(f"a version's time, counter or expiry is out of bounds: {record.time}, {record.counter}")
    if record.sequence < 1 or record.sequence >= 2**62 or not record.key:
        raise ValueError("a record needs a sequence and a key")
    if len(record.key) > KEY_BYTES // 4 and len(record.key.encode()) > KEY_BYTES:
        raise ValueError(f"a key is longer than {KEY_BYTES} bytes")
    if record.value is not None and len(record.value) > VALUE_BYTES:
        raise ValueError(f"a value is longer than {VALUE_BYTES} bytes")
    if record.maker is not record.origin:
        parts(record.maker or "")
