"""What stands in a node's log: frames as they travelled, and a few entries that never travel.

Owns the entries' shapes and their decoding. A delta's parts stand one by one and count only once
its `DeltaEnd` stands behind them: so a unit may be longer than an entry. The same goes for resets,
which are also what snapshots are made of.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lab.syncstore.errors import Malformed
from lab.syncstore.vector import Floor, Incarnation, Member
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, Stream


class _Entry(msgspec.Struct, array_like=True, gc=False):
    pass


class Started(_Entry, tag=64):
    """The node took this incarnation."""

    incarnation: Incarnation


class Dropped(_Entry, tag=65):
    """Tombstones of these (bucket, key) are gone; the floor is this now."""

    scope: str
    floor: Floor
    keys: list[tuple[str, str]]


class Closed(_Entry, tag=66):
    """Every incarnation of `member` below this one is closed."""

    scope: str
    member: Member
    incarnation: Incarnation


class Repaired(_Entry, tag=67):
    """A divergence was found: these records were taken although the vector covered them."""

    scope: str
    origin: str
    records: msgspec.Raw


class Voted(_Entry, tag=68):
    """What an acceptor must not forget: opaque here."""

    payload: bytes


Entry = Stream | Delta | DeltaEnd | Reset | ResetEnd | Started | Dropped | Closed | Repaired | Voted

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    return _encoder.encode(entry)


def decode(payload: bytes) -> Entry:
    """Raises Malformed."""
    try:
        return _decoder.decode(payload)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, ValueError, RecursionError, UnicodeDecodeError) as error:
        raise Malformed(f"expected an entry of a log, found {payload[:16].hex()}…: {error}") from None
