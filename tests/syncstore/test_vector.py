"""Version vectors: coverage, joins and meets agree with what a vector names, origin by origin."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.vector import UNKNOWN, WHOLE, Floor, Vector, joined, meet
from tests.syncstore.engines import incarnation, origin_of

MEMBERS = ("a", "b")
ORIGINS = [origin_of(node, number) for node in MEMBERS for number in (1, 2, 3)]


@st.composite
def vectors(draw: st.DrawFn) -> Vector:
    entries = draw(st.dictionaries(st.sampled_from(ORIGINS), st.integers(0, 4)))
    made = Vector(entries, {})
    for node in MEMBERS:
        if draw(st.booleans()):
            made.close_below(f"r/{node}", incarnation(draw(st.integers(1, 3))))
    return made


def held(vector: Vector) -> list[int]:
    """A known origin that wrote nothing holds what an unknown one does."""
    return [max(vector.get(one), 0) for one in ORIGINS]


@given(vectors(), vectors())
def test_a_join_holds_what_either_holds(one: Vector, other: Vector) -> None:
    both = one.copy()
    both.join(other)
    assert held(both) == [max(pair) for pair in zip(held(one), held(other), strict=True)]
    assert both.covers_all(one)
    assert both.covers_all(other)
    assert held(joined([other, one])) == held(both)


@given(vectors(), vectors(), vectors())
def test_a_meet_holds_what_all_hold(one: Vector, two: Vector, three: Vector) -> None:
    common = meet([one, two, three])
    for origin in ORIGINS:
        assert common.get(origin) == min(each.get(origin) for each in (one, two, three))
    for each in (one, two, three):
        assert held(joined([each, common])) == held(each)


@given(vectors(), vectors())
def test_covering_means_holding_at_least_as_much(one: Vector, other: Vector) -> None:
    more = all(mine >= theirs for mine, theirs in zip(held(one), held(other), strict=True))
    marks = all(one.closed.get(member, "") >= mark for member, mark in other.closed.items())
    assert one.covers_all(other) == (more and marks)
    for origin in one.beyond(other):
        assert one.get(origin) > other.get(origin)
        assert not other.covers_all(one)


def test_one_write_is_something_to_hold_and_none_is_nothing() -> None:
    assert not Vector({}, {}).covers_all(Vector({ORIGINS[0]: 1}, {}))
    assert Vector({}, {}).covers_all(Vector({ORIGINS[0]: 0}, {}))
    assert Vector({ORIGINS[0]: 0}, {}).beyond(Vector({}, {})) == []


@given(vectors(), st.sampled_from(ORIGINS), st.integers(0, 5))
def test_raising_never_lowers_and_touches_one(vector: Vector, origin: str, sequence: int) -> None:
    before = dict(zip(ORIGINS, held(vector), strict=True))
    vector.raise_to(origin, sequence)
    after = dict(zip(ORIGINS, held(vector), strict=True))
    assert after == before | {origin: max(before[origin], sequence)}


@given(vectors())
def test_a_copy_is_another_vector(vector: Vector) -> None:
    again = vector.copy()
    assert again == vector
    again.raise_to(ORIGINS[2], WHOLE - 1)
    again.close_below("r/b", incarnation(3))
    again.closed["x/y"] = incarnation(1)
    assert "x/y" not in vector.closed


def test_closing_takes_the_entries_below_and_covers_them_to_the_end() -> None:
    first, second, third = (origin_of("a", number) for number in (1, 2, 3))
    vector = Vector({first: 5, second: 7, third: 2}, {})
    vector.close_below("r/a", incarnation(3))
    assert vector.entries == {third: 2}
    assert vector.get(first) == WHOLE
    assert vector.covers(second, 10**9)
    vector.close_below("r/a", incarnation(2))
    assert vector.closed == {"r/a": incarnation(3)}, "a mark went back"
    vector.raise_to(first, 9)
    assert first not in vector.entries, "a closed incarnation came back"


def test_what_is_known_of_incarnations() -> None:
    vector = Vector({origin_of("a", 2): 0}, {})
    assert vector.get(origin_of("a", 1)) == UNKNOWN
    assert vector.knows_newer(origin_of("a", 1))
    assert not vector.knows_newer(origin_of("a", 2))
    assert vector.latest_incarnation("r", "a") == incarnation(2)
    assert vector.latest_incarnation("r", "b") == ""
    closed = Vector({}, {"r/a": incarnation(5)})
    assert closed.knows_newer(origin_of("a", 4))
    assert closed.latest_incarnation("r", "a") == incarnation(5)


def test_a_floor_joins_to_the_higher_of_both() -> None:
    one = Floor(Vector({ORIGINS[0]: 3}, {}), 5, 1, "m")
    one.join(Floor(Vector({ORIGINS[0]: 2, ORIGINS[1]: 4}, {}), 5, 2, "a"))
    assert one == Floor(Vector({ORIGINS[0]: 3, ORIGINS[1]: 4}, {}), 5, 2, "a")
    again = one.copy()
    again.vector.raise_to(ORIGINS[0], 9)
    assert one.vector.get(ORIGINS[0]) == 3


@pytest.mark.parametrize(
    "bad",
    [
        Vector({"r/a": 1}, {}),
        Vector({"": 1}, {}),
        Vector({f"r/a/{'g' * 28}": 1}, {}),
        Vector({origin_of("a") + "\n": 1}, {}),
        Vector({ORIGINS[0]: -1}, {}),
        Vector({ORIGINS[0]: WHOLE}, {}),
        Vector({ORIGINS[0]: 2**64 - 1}, {}),
        Vector({}, {"r": incarnation(1)}),
        Vector({}, {"r/a": "now"}),
        Vector({}, {"r/a/b": incarnation(1)}),
    ],
)
def test_bytes_that_are_no_vector_are_found_where_they_come_in(bad: Vector) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(bad), type=Vector)
