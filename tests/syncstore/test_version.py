"""Versions and origins: their order, their texts, and a clock that no other clock moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.version import (
    COUNTER_LIMIT,
    LAST_MS,
    LATEST_MS,
    Version,
    VersionClock,
    incarnation,
    origin,
    parts,
    version_of,
)

TIMES = st.integers(0, LATEST_MS)
COUNTERS = st.integers(0, COUNTER_LIMIT - 1)
PAIRS = st.tuples(TIMES, COUNTERS)


@given(TIMES, COUNTERS, st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_version_is_read_back_from_its_text(time: int, counter: int, maker: str) -> None:
    version = Version(time, counter, maker)
    assert version_of(str(version)) == version


@pytest.mark.parametrize("text", ["", "1", "1.2", "x.0.r", "1.y.r", "..", "é.0.r"])
def test_what_is_no_version_raises(text: str) -> None:
    with pytest.raises(ValueError):
        version_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "r",
        "r/a",
        "//" + "0" * 28,
        "r//" + "0" * 28,
        "r/a/" + "0" * 27,
        "r/a/" + "0" * 29,
        "r/a/" + "0" * 27 + "g",
        "r/a/" + "0" * 27 + "A",
        "r/a/" + "f" * 28,
        "r/a/b/" + "0" * 28,
        "r/a/" + "0" * 28 + "\n",
        "r/" + "a" * 129 + "/" + "0" * 28,
    ],
)
def test_what_is_no_origin_raises(text: str) -> None:
    with pytest.raises(ValueError, match="region/node/incarnation"):
        parts(text)


@given(st.integers(0, LATEST_MS), st.integers(0, 2**64 - 1), st.integers(0, LATEST_MS), st.integers(0, 2**64 - 1))
def test_an_incarnation_is_above_the_one_before_whatever_the_clock_says(
    first_ms: int, first_bits: int, second_ms: int, second_bits: int
) -> None:
    first = incarnation(first_ms, first_bits)
    second = incarnation(second_ms, second_bits, first)
    assert second > first
    assert parts(origin("r", "a", second)) == ("r", "a", second)


def test_an_incarnation_nobody_can_have_taken_is_still_passed() -> None:
    stated = f"{LAST_MS:012x}" + "0" * 16
    assert stated < incarnation(1, 7, stated) < "1"
    assert len(incarnation(1, 7, stated)) == 28


@given(st.lists(st.tuples(TIMES, st.lists(PAIRS, max_size=3)), max_size=20))
def test_a_new_version_is_above_all_it_must_pass(steps: list[tuple[int, list[tuple[int, int]]]]) -> None:
    clock, last = VersionClock(), (0, -1)
    for wall_ms, above in steps:
        alone = VersionClock()
        alone.time, alone.counter = clock.time, clock.counter
        made = clock.next(wall_ms, *above)
        own = alone.next(wall_ms)
        assert made >= own > last
        assert made[0] >= wall_ms
        assert all(made > one for one in above)
        assert made[1] < COUNTER_LIMIT
        last = own
        assert (clock.time, clock.counter) == own, "a version that was passed by moved the clock"


def test_a_version_from_the_future_is_passed_by_for_its_key_alone() -> None:
    clock = VersionClock()
    assert clock.next(1000, (9000, 5)) == (9000, 6)
    assert clock.next(1001) == (1001, 0)


def test_a_full_counter_goes_on_with_the_next_millisecond() -> None:
    assert VersionClock().next(5, (10, COUNTER_LIMIT - 1)) == (11, 0)


def test_raise_to_never_lowers() -> None:
    clock = VersionClock()
    clock.raise_to(50, 3)
    clock.raise_to(50, 1)
    clock.raise_to(40, 9)
    assert clock.next(10) == (50, 4)


def test_the_own_counter_never_leaves_its_bounds() -> None:
    clock = VersionClock()
    clock.raise_to(50, COUNTER_LIMIT - 1)
    assert clock.next(10) == (51, 0)
    assert clock.next(10) == (51, 1)
