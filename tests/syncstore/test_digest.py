"""Digests: equal tables have equal ones, however they came to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.digest import HASH_BUCKETS, Digest, fingerprint, hash_bucket
from lab.syncstore.record import Record
from tests.syncstore.engines import LOCAL, LWW, origin_of, record

RECORDS = st.lists(
    st.builds(record, st.text("abc", min_size=1, max_size=3), st.binary(max_size=3), st.integers(1, 9)),
    max_size=12,
    unique_by=lambda one: one.key,
)


def of(records: list[Record]) -> Digest:
    digest = Digest()
    for one in records:
        digest.toggle(one)
    return digest


@given(RECORDS, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_going_leaves_nothing(records: list[Record], chance: object) -> None:
    shuffled = list(records)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert of(shuffled).sums == of(records).sums
    assert of([*records, *shuffled]).sums == Digest().sums
    assert of(records).whole() == of(shuffled).whole()


def test_any_part_of_a_record_that_readers_see_changes_it() -> None:
    base = record("k", b"v", 5)
    others = [
        record("l", b"v", 5),
        record("k", b"w", 5),
        record("k", b"", 5),
        record("k", b"v", 6),
        record("k", b"v", 5, counter=1),
        record("k", b"v", 5, maker=origin_of("b")),
        record("k", b"v", 5, bucket=LOCAL),
        record("k", b"v", 5, bucket=LWW + "x"),
    ]
    assert len({fingerprint(one) for one in [base, *others]}) == 1 + len(others)


def test_where_it_stands_in_a_sequence_does_not() -> None:
    maker = origin_of("a")
    moved = record("k", b"v", 5, of=origin_of("b", 3), sequence=9, maker=maker)
    assert fingerprint(record("k", b"v", 5)) == fingerprint(moved)


def test_tombstones_and_what_expires_are_not_counted() -> None:
    assert of([record("k", None), record("l", b"v", expires=5)]).sums == Digest().sums


def test_swapped_buckets_are_told_apart() -> None:
    one, two = Digest(), Digest()
    one.sums[3], one.sums[4] = 7, 9
    two.sums[3], two.sums[4] = 9, 7
    assert one.whole() != two.whole()
    assert Digest().whole() != one.whole()


def test_keys_spread_over_the_buckets() -> None:
    used = {hash_bucket(record(f"key{place}")) for place in range(4000)}
    assert len(used) > HASH_BUCKETS * 0.9
