"""When a write is acknowledged, and when what came from elsewhere is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.acks import Acks, Waiting
from lab.syncstore.record import Record
from lab.syncstore.replica import Replica
from tests.syncstore.engines import LWW, origin_of

MINE, THEIRS = origin_of("a"), origin_of("x", 1, "s")


def made(*, alone: bool = False) -> tuple[Replica, Acks]:
    replica = Replica("global", 1000)
    replica.renew(MINE)
    return replica, Acks(replica, alone=alone, degraded_after_ms=50)


def write(replica: Replica, acks: Acks, now_ms: float, link: int = 1) -> Record:
    record = Record(0, LWW, f"k{replica.sequence}", b"v", replica.sequence + 1, 0)
    replica.write(record)
    acks.add(Waiting(record, now_ms, link, replica.sequence))
    return record


@given(
    st.lists(st.tuples(st.sampled_from(["write", "durable", "second", "wait"]), st.integers(1, 4)), max_size=40),
    st.booleans(),
)
def test_a_write_is_answered_once_in_order_when_durable_and_held_twice_or_late(
    steps: list[tuple[str, int]], alone: bool
) -> None:
    replica, acks = made(alone=alone)
    now_ms, since, answered = 0.0, [], 0
    for what, count in steps:
        if what == "write":
            write(replica, acks, now_ms)
            since.append(now_ms)
        elif what == "wait":
            now_ms += 20 * count
        else:
            vector = replica.durable if what == "durable" else replica.second
            vector.raise_to(MINE, min(replica.sequence, max(vector.get(MINE), 0) + count))
        for waiting, degraded in acks.settled(now_ms):
            answered += 1
            sequence = waiting.record.sequence
            assert sequence == answered
            assert replica.durable.covers(MINE, sequence), "acknowledged before it was on the disk"
            held = alone or replica.second.covers(MINE, sequence)
            assert degraded == (not held)
            assert held or now_ms - since[sequence - 1] >= 50
        for sequence in range(answered + 1, replica.sequence + 1):
            held = alone or replica.second.covers(MINE, sequence) or now_ms - since[sequence - 1] >= 50
            first = sequence == answered + 1
            assert not (first and replica.durable.covers(MINE, sequence) and held), "one that is done still waits"
        assert acks.next_ms() == (since[answered] + 50 if answered < len(since) else float("inf"))


def test_what_another_region_wrote_waits_for_a_second_node_alone() -> None:
    replica, acks = made()
    record = Record(7, LWW, "k", b"v", 1, 0, 0, THEIRS, THEIRS)
    acks.add_foreign(record, 100)
    assert acks.settled(149) == []
    assert acks.settled(150) == [(Waiting(record, 100), True)]
    acks.add_foreign(record, 200)
    replica.second.raise_to(THEIRS, 7)
    assert acks.settled(201) == [(Waiting(record, 200), False)]
    assert acks.next_ms() == float("inf")


def test_a_disk_that_does_not_answer_is_told_once_and_the_write_stays_to_be_shown() -> None:
    replica, acks = made()
    first = write(replica, acks, 0)
    write(replica, acks, 1500)
    assert [one.record for one in acks.overdue(2000, 2000)] == [first]
    assert acks.overdue(2100, 2000) == []
    replica.durable.raise_to(MINE, 2)
    replica.second.raise_to(MINE, 2)
    found = acks.settled(2200)
    assert [(one.record.sequence, one.link) for one, _ in found] == [(1, 0), (2, 1)]


def test_what_is_shown_ends_before_the_first_that_waits_of_each_origin() -> None:
    replica, acks = made()
    write(replica, acks, 0)
    assert acks.shown() == {MINE: 0}
    replica.durable.raise_to(MINE, 1)
    replica.second.raise_to(MINE, 1)
    acks.settled(0)
    write(replica, acks, 0)
    replica.vector.raise_to(THEIRS, 9)
    acks.add_foreign(Record(8, LWW, "k", b"v", 1, 0, 0, THEIRS, THEIRS), 0)
    assert acks.shown() == {MINE: 1, THEIRS: 7}
    replica.take_batch()
    later = origin_of("a", 2)
    replica.renew(later)
    write(replica, acks, 0)
    assert acks.shown() == {MINE: 1, THEIRS: 7, later: 0}, "a write of the new incarnation waits too"


def test_giving_up_hands_back_every_own_write() -> None:
    replica, acks = made()
    one = write(replica, acks, 0)
    assert [waiting.record for waiting in acks.give_up()] == [one]
    assert acks.settled(10_000) == []


def test_what_is_secured() -> None:
    replica, acks = made()
    own = write(replica, acks, 0)
    theirs = Record(3, LWW, "k", b"v", 1, 0, 0, THEIRS, THEIRS)
    assert not acks.secured(own)
    replica.second.raise_to(MINE, 1)
    assert not acks.secured(own), "not on this disk yet"
    replica.durable.raise_to(MINE, 1)
    assert acks.secured(own)
    assert not acks.secured(theirs)
    replica.second.raise_to(THEIRS, 3)
    assert acks.secured(theirs)
    replica, acks = made(alone=True)
    assert acks.secured(theirs)
