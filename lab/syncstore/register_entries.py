"""What a node's registers keep on its disk: one small entry per thing that must not be forgotten.

Owns the entries' shapes and their bytes. Knows nothing of the log they lie in or of what they mean. Every
entry may be read twice or beside a later snapshot's: restoring takes the highest of what it finds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lab.syncstore.errors import Malformed
from lab.syncstore.paxos import Ballot, Copy, Mark, SeatName, State


class _Entry(msgspec.Struct, array_like=True, gc=False):
    pass


class Promised(_Entry, tag=1):
    """The seat's vote number `count`."""

    count: int
    bucket: str
    key: str
    ballot: Ballot


class Voted(_Entry, tag=2):
    """Accepted, and the following ballot promised."""

    count: int
    bucket: str
    key: str
    ballot: Ballot
    state: State


class Dropped(_Entry, tag=3):
    """A register that was forgotten at this ballot; floor: below it nothing unknown is voted for."""

    bucket: str
    key: str
    ballot: Ballot
    floor: Ballot


class Floor(_Entry, tag=4):
    floor: Ballot


class Seated(_Entry, tag=5):
    """A seat was taken. cleared: with nothing of what was here before; disk: what its contents are called."""

    seat: SeatName
    disk: str
    start: Mark
    cleared: bool


class Whole(_Entry, tag=6):
    """This seat votes from here on."""

    seat: SeatName
    founders: dict[str, str]


class Remembered(_Entry, tag=7):
    """How far another node's acceptor had got."""

    node: str
    mark: Mark


class Reached(_Entry, tag=8):
    """Of a snapshot: the own mark."""

    mark: Mark


class Held(_Entry, tag=9):
    """A register, of a snapshot or copied from another node."""

    copy: Copy


Entry = Promised | Voted | Dropped | Floor | Seated | Whole | Remembered | Reached | Held

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    return _encoder.encode(entry)


def decode(payload: bytes | bytearray | memoryview) -> Entry:
    """Raises Malformed."""
    try:
        found: Entry = _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(f"expected an entry of the registers, found {bytes(payload[:16]).hex()}…: {error}") from None
    return found
