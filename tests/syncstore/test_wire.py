"""Frames and entries: what is encoded is decoded, limits hold, and what fits nothing is told apart."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore import entries, wire
from lab.syncstore.errors import Malformed
from lab.syncstore.record import KEY_BYTES, VALUE_BYTES, Record, later
from lab.syncstore.vector import Floor, Incarnation, Member, Origin, Sequence, Vector
from lab.syncstore.version import COUNTER_LIMIT, LATEST_MS
from tests.syncstore.engines import LOCAL, LWW, incarnation, origin_of, raw, record

ORIGINS = st.builds(origin_of, st.sampled_from("abc"), st.integers(1, 5), st.sampled_from("rs"))
SEQUENCES = st.integers(0, 2**62 - 1)
INCARNATIONS = st.builds(incarnation, st.integers(0, 2**107))
MEMBERS = st.sampled_from(["r/a", "r/b", "s/x"])
VECTORS = st.builds(
    Vector, st.dictionaries(ORIGINS, SEQUENCES, max_size=3), st.dictionaries(MEMBERS, INCARNATIONS, max_size=2)
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
RAWS = st.builds(msgspec.msgpack.encode, st.lists(st.integers(-9, 99) | TEXTS, max_size=3)).map(msgspec.Raw)
BASIC: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-(2**63), 2**64 - 1),
    bool: st.booleans(),
    bytes: st.binary(max_size=8),
    type(None): st.none(),
    Origin: ORIGINS,
    Sequence: SEQUENCES,
    Incarnation: INCARNATIONS,
    Member: MEMBERS,
    Vector: VECTORS,
    msgspec.Raw: RAWS,
}


def made(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation, as the frames use them."""
    if kind in BASIC:
        return BASIC[kind]
    of, inner = typing.get_origin(kind), typing.get_args(kind)
    if of is typing.Annotated:
        bounds = kind.__metadata__[0]
        if bounds.max_length is not None:
            return TEXTS
        return st.integers(bounds.ge, bounds.le if bounds.le is not None else bounds.lt - 1)
    if of is dict:
        return st.dictionaries(made(inner[0]), made(inner[1]), max_size=2)
    if of is list:
        return st.lists(made(inner[0]), max_size=2)
    if of is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(made(inner[0]), max_size=2).map(tuple)
        return st.tuples(*map(made, inner))
    if inner:  # a union
        return st.one_of(*map(made, inner))
    hints = typing.get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{name: made(hint) for name, hint in hints.items() if not name.startswith("__")})


FRAMES = [one for one in typing.get_args(wire.Message) if one is not wire.Unknown]
ENTRIES = list(typing.get_args(entries.Entry))


def bare(value: Any) -> Any:
    """For comparing: Raw has no equality of its own."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


@pytest.mark.parametrize("kind", FRAMES, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(st.data())
def test_every_frame_comes_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    frame = data.draw(made(kind))
    again = wire.decode(wire.encode(frame))
    assert type(again) is kind
    assert bare(again) == bare(frame)


@pytest.mark.parametrize("kind", ENTRIES, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(st.data())
def test_every_entry_comes_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    entry = data.draw(made(kind))
    again = entries.decode(entries.encode(entry))
    assert type(again) is kind
    assert bare(again) == bare(entry)


def test_every_tag_is_one_frame_s_or_entry_s() -> None:
    tags = [one.__struct_config__.tag for one in [*FRAMES, *ENTRIES]]
    shared = {wire.Stream, wire.Delta, wire.DeltaEnd, wire.Reset, wire.ResetEnd}
    assert len(tags) - len(shared) == len(set(tags))
    assert {one.__struct_config__.tag for one in FRAMES} == wire._TAGS


@pytest.mark.parametrize("body", [[16], [16, 1, {"a": None}], [31, "x"], [36], [65535, []], [0, 77]])
def test_a_tag_nobody_knows_is_a_newer_protocol_s(body: list[Any]) -> None:
    assert isinstance(wire.decode(msgspec.msgpack.encode(body)), wire.Unknown)


def test_a_field_more_is_a_newer_protocol_s_too() -> None:
    assert wire.decode(msgspec.msgpack.encode([12, "global", "new", 3])) == wire.ResetAsk("global")


DEEP = b"\x91" * 100_000 + b"\x90"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x80",
        b"\xa1x",
        b"\x91\xa1x",
        b"\x91\xc0",
        b"\x92\xff\x01",  # tag −1
        b"\x92\xce\x00\x01\x00\x00\x01",  # tag 65536
        b"\x92\xcb\x40\x08\x00\x00\x00\x00\x00\x00\x01",  # tag 3.0
        b"\x92\x07\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # a credit of NaN
        b"\x92\x0c\xa4\xff\xfe\xfd\xfc",  # a scope that is no UTF-8
        b"\x92\x0c\xa3\xed\xa0\x80",  # half of a surrogate
        b"\xdd\xff\xff\xff\xff",
        b"\x92\x20\xdd\xff\xff\xff\xff",
        b"\x92\x0f" + DEEP,
        b"\x92\x10" + DEEP,
        DEEP,
        wire.encode(wire.ResetAsk("global"))[:-1],
        wire.encode(wire.ResetAsk("global")) + b"\x00",
        msgspec.msgpack.encode([2, "global", "r/a/x", 1, []]),
        msgspec.msgpack.encode([5, "global", {origin_of("a"): -1}]),
        msgspec.msgpack.encode([6, "global", [{"x": 1}, {}]]),
        msgspec.msgpack.encode([7]),
    ],
    ids=lambda body: body[:12].hex() or "empty",
)
def test_what_is_no_frame_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="expected"):
        wire.decode(body)
    with pytest.raises(Malformed, match="expected"):
        entries.decode(body)


@given(st.binary(max_size=60))
def test_bytes_are_a_frame_or_malformed(body: bytes) -> None:
    for decode in (wire.decode, entries.decode):
        try:
            decode(body)
        except Malformed as error:
            assert len(str(error)) < 400


def test_a_frame_s_length_goes_before_it_and_has_a_limit() -> None:
    assert wire.framed(b"abc") == b"\x00\x00\x00\x03abc"
    assert len(wire.framed(b"x" * wire.FRAME_BYTES)) == wire.FRAME_BYTES + 4
    with pytest.raises(ValueError, match="above"):
        wire.framed(b"x" * (wire.FRAME_BYTES + 1))


# -- records in frames ---------------------------------------------------------------------------------

RECORDS = st.builds(
    record,
    TEXTS.filter(bool),
    st.none() | st.binary(max_size=9),
    st.integers(0, LATEST_MS),
    of=ORIGINS,
    sequence=st.integers(1, 2**62 - 1),
    counter=st.integers(0, COUNTER_LIMIT - 1),
    expires=st.integers(0, LATEST_MS),
    maker=ORIGINS,
)


@given(st.lists(RECORDS, max_size=20), ORIGINS)
def test_records_leave_out_what_their_frame_says_and_get_it_back(records: list[Record], origin: str) -> None:
    for one in records:
        one.origin = origin
    encoded = [wire.encode_record(one) for one in records]
    assert all(one.origin == origin and one.maker for one in records), "encoding changed the record"
    assert wire.records_of(wire.array_of(encoded), origin, "global") == records


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_arrays_of_every_length_are_msgpack(count: int) -> None:
    assert msgspec.msgpack.decode(wire.array_of([b"\x07"] * count)) == [7] * count


MALFORMED = {
    "another scope's bucket": record("k", bucket=LOCAL),
    "no bucket": record("k", bucket="x"),
    "a bucket's name too long": record("k", bucket=LWW + "x" * 200),
    "no key": record(""),
    "a long key": record("k" * (KEY_BYTES + 1)),
    "a key of long letters": record("ä" * (KEY_BYTES // 2 + 1)),
    "a long value": record("k", b"v" * (VALUE_BYTES + 1)),
    "no sequence": record("k", sequence=0),
    "a negative sequence": record("k", sequence=-1),
    "a huge sequence": record("k", sequence=2**62),
    "a time after 2200": record("k", time=LATEST_MS + 1),
    "a negative time": record("k", time=-1),
    "a huge counter": record("k", counter=COUNTER_LIMIT),
    "a negative counter": record("k", counter=-1),
    "an expiry after 2200": record("k", expires=LATEST_MS + 1),
    "a negative expiry": record("k", expires=-1),
    "a maker that is none": record("k", maker="somebody"),
    "a maker of a wrong incarnation": record("k", maker="r/a/" + "x" * 28),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_record_beyond_a_limit_is_malformed(what: str) -> None:
    with pytest.raises(Malformed, match="expected records of"):
        wire.records_of(raw(MALFORMED[what]), origin_of("a"), "global")


@pytest.mark.parametrize(
    "value",
    [
        [3],
        [[]],
        [None],
        [[1, LWW, "k", "text", 1, 0]],
        [[1, LWW, "k", b"v", 1]],
        {"a": 1},
        [[1.5, LWW, "k", b"v", 1, 0]],
    ],
)
def test_what_is_no_list_of_records_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        wire.records_of(msgspec.msgpack.encode(value), origin_of("a"), "global")


def test_records_at_the_limits_pass() -> None:
    limits = record("k" * KEY_BYTES, b"v" * VALUE_BYTES, LATEST_MS, sequence=2**62 - 1, counter=COUNTER_LIMIT - 1)
    [found] = wire.records_of(raw(limits), origin_of("a"), "global")
    assert found == limits
    assert not later(found, limits)


@pytest.mark.parametrize("origin", ["", "r/a", "r/a/b/c", "x" * 400])
def test_records_of_nobody_are_malformed(origin: str) -> None:
    with pytest.raises(Malformed):
        wire.records_of(raw(), origin, "global")


def test_the_longest_record_fits_a_frame() -> None:
    longest = record("ä" * (KEY_BYTES // 2), b"v" * VALUE_BYTES, maker=origin_of("b" * 100))
    body = wire.encode(wire.Delta("global", 2**63, 2**31, origin_of("a" * 100), raw(longest)))
    assert len(wire.framed(body)) < wire.FRAME_BYTES
    assert isinstance(wire.decode(body), wire.Delta)
    assert wire.decode(wire.encode(wire.ResetEnd("global", 0, Vector({}, {}), Floor())))
