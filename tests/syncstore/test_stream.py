"""The ring: what it finds continues from where it was asked, and it stays within its bytes."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from lab.syncstore.stream import Chunk, Ring

STEPS = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from(["next", "next", "next", "overlap", "gap", "forget"]), st.integers(1, 4)
    ),
    max_size=60,
)


def chunk(first: int, last: int) -> Chunk:
    return Chunk(first, last, b"x" * 10 * (last - first + 1))


@example([("a", "next", 1), ("b", "next", 2), ("a", "gap", 4)], 50)
@given(STEPS, st.sampled_from([50, 200, 10_000]))
def test_what_is_found_holds_the_sequence_and_the_bytes_are_bounded(
    steps: list[tuple[str, str, int]], limit: int
) -> None:
    ring, last = Ring(limit), {"a": 0, "b": 0}
    for origin, how, count in steps:
        if how == "forget":
            ring.forget(origin)
            continue
        first = last[origin] + 1
        if how == "gap":
            first += 2
        elif how == "overlap":
            first = max(1, first - 2)
        added = chunk(first, first + count - 1)
        if added.last <= last[origin]:
            continue
        last[origin] = added.last
        ring.add(origin, added)
        assert ring.size <= limit
        if len(added.body) <= limit:
            assert ring.find(origin, added.last) == added, "the newest is missing"
        reached = False
        for sequence in range(1, last[origin] + 1):
            found = ring.find(origin, sequence)
            if found is not None:
                assert found.first <= sequence <= found.last
            elif reached and how != "overlap":
                raise AssertionError("a hole within what is kept")
            reached = reached or found is not None
        assert ring.find(origin, last[origin] + 1) is None
    for origin in "ab":
        ring.forget(origin)
    assert ring.size == 0, "bytes of what is gone are still counted"


def test_everything_below_the_limit_is_kept_for_every_origin() -> None:
    ring = Ring(10_000)
    for place in range(40):
        ring.add("a", chunk(place * 2 + 1, place * 2 + 2))
        ring.add("b", chunk(place + 1, place + 1))
    for place in range(40):
        found = ring.find("a", place * 2 + 2)
        assert found is not None
        assert found.first == place * 2 + 1
        assert ring.find("b", place + 1) == chunk(place + 1, place + 1)
    assert ring.find("c", 1) is None
    assert ring.find("a", 0) is None


def test_the_oldest_go_first_whosever_they_are() -> None:
    ring = Ring(100)
    ring.add("a", chunk(1, 5))
    ring.add("b", chunk(1, 5))
    ring.add("a", chunk(6, 6))
    assert ring.find("a", 3) is None
    assert ring.find("b", 3) is not None
    assert ring.find("a", 6) is not None


def test_a_gap_starts_anew() -> None:
    ring = Ring(1000)
    ring.add("a", chunk(1, 5))
    ring.add("a", chunk(8, 9))
    assert ring.find("a", 5) is None
    assert ring.find("a", 8) == chunk(8, 9)
    assert ring.size == 20


def test_beginning_anew_again_and_again_stays_small() -> None:
    ring = Ring(10_000)
    for place in range(1, 20_000):
        ring.add("a", chunk(3 * place, 3 * place))
    assert len(ring._order) < 2000
    assert ring.size == 10


def test_a_long_life_stays_small() -> None:
    ring = Ring(500)
    for place in range(1, 20_000):
        ring.add("a", chunk(place, place))
    assert len(ring._lines["a"].chunks) < 3000
    assert ring.find("a", 19_999) is not None
    assert len(ring._order) <= 50
