"""Records: one order between any two of a key, and what a bucket's name says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.record import Record, bucket_name, bucket_parts, filled, later, same_version
from tests.syncstore.engines import origin_of, record

MAKERS = [origin_of(node, number) for node in "ab" for number in (1, 2)]
RECORDS = st.builds(
    lambda time, counter, maker, of: record("k", time=time, counter=counter, maker=maker, of=of),
    st.integers(1, 3),
    st.integers(0, 2),
    st.sampled_from(MAKERS),
    st.sampled_from(MAKERS),
)


@given(RECORDS, RECORDS, RECORDS)
def test_versions_order_records_totally(a: Record, b: Record, c: Record) -> None:
    assert [later(a, b), later(b, a), same_version(a, b)].count(True) == 1
    assert later(a, b) == (a.version > b.version)
    if later(a, b) and later(b, c):
        assert later(a, c)


@given(RECORDS, st.sampled_from(MAKERS), st.integers(1, 9))
def test_where_a_record_was_accepted_is_no_part_of_its_version(a: Record, of: str, sequence: int) -> None:
    again = Record(sequence, a.bucket, a.key, a.value, a.time, a.counter, 0, a.maker, of)
    assert same_version(a, again)
    assert not later(a, again)


def test_what_the_frame_says_is_put_back() -> None:
    mine, other = origin_of("a"), origin_of("b")
    bare = Record(1, "b", "k", b"v", 5, 0)
    made = Record(2, "b", "k", b"v", 5, 0, 0, other)
    one, two = filled([bare, made], mine)
    assert (one.maker, one.origin) == (mine, mine)
    assert (two.maker, two.origin) == (other, mine)
    assert one.version == (5, 0, mine)


def test_a_bucket_says_its_scope_and_kind() -> None:
    assert bucket_parts(bucket_name("global", "register", "a/b")) == ("global", "register", "a/b")


@pytest.mark.parametrize(
    "bucket",
    [
        "",
        "global",
        "global/lww",
        "global/lww/",
        "world/lww/x",
        "global/map/x",
        "GLOBAL/lww/x",
        "global/lww/" + "n" * 129,
    ],
)
def test_what_is_no_bucket_raises_a_sentence(bucket: str) -> None:
    with pytest.raises(ValueError, match="expected a bucket"):
        bucket_parts(bucket)
