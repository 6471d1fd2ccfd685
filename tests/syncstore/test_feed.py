"""What a link is sent: streams where the ring reaches, else a delta, and never a queue."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.config import Limits
from lab.syncstore.feed import NOT_TAKEN, Feed
from lab.syncstore.record import Record
from lab.syncstore.replica import Applying, Replica
from lab.syncstore.vector import Vector
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, Stream, decode
from tests.syncstore.engines import LWW, incarnation, origin_of, record
from tests.syncstore.test_replica import stream

MINE, PEERS, FAR = origin_of("a"), origin_of("b"), origin_of("x", 1, "s")
LIMITS = Limits(third_region_after_ms=2000, wan_frame_bytes=1000)


def writer(ring_bytes: int = 10_000) -> Replica:
    made = Replica("global", ring_bytes)
    made.renew(MINE)
    return made


def write(replica: Replica, *keys: str) -> None:
    for key in keys:
        replica.write(Record(0, LWW, key, b"v" * 20, replica.sequence + 1, 0))
        replica.take_batch()


def feed(replica: Replica, stated: Vector | None = None, *, everything: bool = False, primary: str = MINE) -> Feed:
    numbers = count(1)
    made = Feed(
        replica,
        stated or Vector({}, {}),
        lambda origin: origin == primary,
        LIMITS,
        lambda: next(numbers),
        everything=everything,
    )
    made.open = True
    return made


def sent(one: Feed, now_ms: float = 0) -> list[object]:
    found = []
    while (body := one.next(now_ms)) is not None:
        found.append(decode(body))
        assert len(found) < 1000
    return found


def names(frames: list[object]) -> list[str]:
    return [type(frame).__name__ for frame in frames]


def test_a_stream_goes_on_from_what_the_peer_states() -> None:
    replica = writer()
    write(replica, "a", "b", "c")
    one = feed(replica, Vector({MINE: 1}, {}))
    frames = sent(one)
    assert [frame.first for frame in frames if isinstance(frame, Stream)] == [2, 3]
    assert sent(one) == []
    write(replica, "d")
    one.advanced(MINE)
    assert names(sent(one)) == ["Stream"]
    assert one.idle


def test_nothing_is_sent_while_one_side_lacks_what_the_other_forgot() -> None:
    replica = writer()
    write(replica, "a")
    one = feed(replica, everything=True)
    one.open = False
    assert one.idle
    assert sent(one) == []


def test_what_the_ring_no_longer_holds_goes_as_a_delta_and_then_streams_go_on() -> None:
    replica = writer(ring_bytes=400)
    write(replica, *(f"k{place}" for place in range(20)))
    one = feed(replica)
    frames = sent(one)
    assert set(names(frames)) == {"Delta", "DeltaEnd"}
    assert one.deltas == 1
    write(replica, "later")
    one.advanced(MINE)
    assert names(sent(one)) == ["Stream"]
    assert one.deltas == 1


def test_writes_during_a_delta_follow_it() -> None:
    replica = writer(ring_bytes=2000)
    write(replica, *(f"k{place}" for place in range(60)))
    one = feed(replica)
    first = one.next(0)
    assert first is not None
    assert isinstance(decode(first), Delta)
    write(replica, "later")
    one.advanced(MINE)
    frames = sent(one)
    assert names(frames)[-1] == "Stream"
    last = frames[-1]
    assert isinstance(last, Stream)
    assert last.first == 61


def test_what_a_delta_does_not_bring_goes_between_its_frames() -> None:
    replica = writer()
    write(replica, "mine")
    replica.take(*stream([record(f"k{place}", of=FAR, sequence=place) for place in range(1, 200)]))
    one = feed(replica, Vector({MINE: 1}, {}), everything=True)
    found = []
    for place in range(3):
        found.append(one.next(0))
        write(replica, f"meanwhile {place}")
        one.advanced(MINE)
    assert names([decode(body) for body in found if body]) == ["Delta", "Stream", "Delta"]
    assert names(sent(one))[:4] == ["Stream", "Delta", "Stream", "Delta"]
    assert one.deltas == 1


def test_going_back_begins_where_the_peer_says_it_is() -> None:
    replica = writer()
    write(replica, "a", "b", "c")
    one = feed(replica)
    assert len(sent(one)) == 3
    one.go_back(Vector({MINE: 2}, {}))
    frames = sent(one)
    assert [frame.first for frame in frames if isinstance(frame, Stream)] == [3]


def test_going_back_in_the_middle_of_a_delta_begins_another() -> None:
    replica = writer(ring_bytes=400)
    write(replica, *(f"k{place}" for place in range(60)))
    one = feed(replica)
    assert one.next(0) is not None
    one.go_back(Vector({}, {}))
    ends = [frame for frame in sent(one) if isinstance(frame, DeltaEnd)]
    assert len(ends) == 1
    assert one.deltas == 2


@pytest.mark.parametrize(("everything", "expected"), [(True, ["Delta", "DeltaEnd"]), (False, [])])
def test_others_writes_are_somebody_else_s_to_send_but_at_the_beginning(everything: bool, expected: list[str]) -> None:
    replica = writer()
    replica.take(*stream([record("k", of=FAR, sequence=1)]))
    assert names(sent(feed(replica, everything=everything))) == expected


def test_a_peer_that_lacks_nothing_is_sent_no_delta_to_begin_with() -> None:
    replica = writer()
    replica.take(*stream([record("k", of=FAR, sequence=1)]))
    assert sent(feed(replica, Vector({FAR: 1}, {}), everything=True)) == []


def test_whoever_stays_behind_on_another_s_writes_gets_them_after_a_while() -> None:
    replica = writer()
    replica.take(*stream([record("k", of=FAR, sequence=1), record("l", of=FAR, sequence=2)]))
    one = feed(replica)
    one.states(Vector({}, {}), 0)
    assert sent(one, 0) == []
    one.states(Vector({}, {}), 1999)
    assert sent(one, 1999) == []
    one.states(Vector({}, {}), 2000)
    assert names(sent(one, 2000)) == ["Delta", "DeltaEnd"]
    one.states(Vector({}, {}), 4500)
    one.states(Vector({}, {}), 7000)
    assert sent(one, 7000) == [], "the first one may still be on its way"
    one.states(Vector({}, {}), 2000 + 10_000)
    assert names(sent(one, 12_000)) == ["Delta", "DeltaEnd"]


def test_whoever_gets_on_is_left_to_its_own_source() -> None:
    replica = writer()
    records = [record(f"k{place}", of=FAR, sequence=place + 1) for place in range(50)]
    replica.take(*stream(records[:1]))
    one = feed(replica)
    for place in range(1, 50):
        replica.take(*stream(records[place : place + 1]))
        one.states(Vector({FAR: place}, {}), place * 500)
        assert sent(one, place * 500) == [], "it was one behind all the time, but never on the same one"


def test_what_came_by_another_way_is_streamed_once_this_one_is_the_way_for_it() -> None:
    """A gateway got it by a delta of a third region, and only then heard the region itself again, which is silent."""
    replica = writer()
    mine = {MINE}
    one = Feed(replica, Vector({}, {}), mine.__contains__, LIMITS, lambda: 1, everything=False)
    one.open = True
    replica.take(*stream([record("k", of=FAR, sequence=1)]))
    one.advanced(FAR)
    mine.add(FAR)
    assert sent(one) == []
    one.states(Vector({}, {}), 100)
    assert names(sent(one, 100)) == ["Stream"]
    one.states(Vector({}, {}), 200)
    assert sent(one, 200) == [], "it is on its way"


def test_a_mark_that_the_peer_lacks_is_sent() -> None:
    replica = writer()
    replica.close("s/x", incarnation(2))
    frames = sent(feed(replica, everything=True))
    assert names(frames) == ["DeltaEnd"]
    one = feed(replica)
    one.states(Vector({}, {}), 0)
    one.states(Vector({}, {}), 2000)
    assert names(sent(one, 2000)) == ["DeltaEnd"]


def test_a_reset_is_the_whole_state_and_goes_though_nothing_else_may() -> None:
    replica = writer()
    write(replica, "a", "b")
    one = feed(replica)
    one.open = False
    one.begin_reset()
    assert one.walking
    assert not one.idle
    frames = sent(one)
    assert isinstance(frames[0], Reset)
    assert isinstance(frames[-1], ResetEnd)
    assert frames[-1].vector == replica.vector


def test_no_delta_is_cut_from_half_of_another_one() -> None:
    replica = writer()
    replica.take(*stream([record("k", of=FAR, sequence=1)]))
    Applying(replica, [], DeltaEnd("global", 1, 0, Vector({}, {}), Vector({}, {}), replica.floor))
    one = feed(replica, everything=True)
    assert sent(one) == []
    replica.applying = None
    assert names(sent(one)) == ["Delta", "DeltaEnd"]


def test_a_stopped_delta_keeps_nothing() -> None:
    replica = writer(ring_bytes=100)
    write(replica, *(f"k{place}" for place in range(60)))
    one = feed(replica)
    assert one.next(0) is not None
    assert replica.table.watched == 1
    one.stop()
    assert replica.table.watched == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 3)),
            st.tuples(st.just("send"), st.integers(1, 6)),
            st.tuples(st.just("lose"), st.just(0)),
            st.tuples(st.just("beacon"), st.just(0)),
        ),
        max_size=60,
    ),
    st.sampled_from([150, 600, 10_000]),
)
def test_whatever_is_lost_on_the_way_the_receiver_gets_there(steps: list[tuple[str, int]], ring: int) -> None:
    source, target = writer(ring), Replica("global", 10_000)
    target.renew(PEERS)
    one, parts, now_ms = feed(source, everything=True), [], 0.0

    def receive(body: bytes) -> None:
        frame = decode(body)
        if isinstance(frame, Stream):
            if target.take(frame, body) is None:
                one.go_back(target.vector)
        elif isinstance(frame, Delta):
            parts.append((frame.origin, body))
        elif isinstance(frame, DeltaEnd):
            if len(parts) == frame.parts and target.covers_delta(frame):
                while not Applying(target, list(parts), frame).step(1000):
                    pass
            parts.clear()

    for what, number in steps:
        now_ms += 500
        if what == "write":
            write(source, *(f"k{(source.sequence + place) % 7}" for place in range(number)))
            one.advanced(MINE)
        elif what == "beacon":
            one.states(target.vector, now_ms)
        else:
            for _ in range(number or 2):
                body = one.next(now_ms)
                if body is not None and what == "send":
                    receive(body)
                elif body is not None:
                    parts.clear()
    for _ in range(3):
        one.go_back(target.vector)
        while (body := one.next(now_ms)) is not None:
            receive(body)
    assert target.vector.covers_all(source.vector)
    assert target.table.digest.whole() == source.table.digest.whole()


def test_what_was_sent_and_moved_nothing_for_long_is_sent_again() -> None:
    replica = writer()
    write(replica, "a", "b")
    one = feed(replica)
    first = sent(one)
    assert names(first) == ["Stream", "Stream"]
    longest_ms = NOT_TAKEN * LIMITS.third_region_after_ms
    for now_ms in (0, longest_ms - 1):
        one.states(Vector({}, {}), now_ms)
        assert sent(one) == []
    one.states(Vector({}, {}), longest_ms)
    assert sent(one) == first


def test_a_slow_peer_that_gets_on_is_sent_nothing_twice() -> None:
    replica = writer()
    write(replica, *"abcdef")
    one = feed(replica)
    sent(one)
    for held in range(6):
        one.states(Vector({MINE: held}, {}), held * (NOT_TAKEN * LIMITS.third_region_after_ms - 1))
        assert sent(one) == []
