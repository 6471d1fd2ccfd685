"""Watches: never an older version after a newer one, and the last state of every key in the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore.record import Record
from lab.syncstore.watches import Watcher, Watches
from lab.syncstore.wire import Changes, encode
from tests.syncstore.engines import LWW, record

KEYS = ("a", "ab", "b")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from(KEYS), st.integers(1, 9)),
        st.tuples(st.just("next"), st.just(""), st.integers(1, 2)),
    ),
    max_size=50,
)


def watcher(prefix: str = "", *, secured: bool = True) -> Watcher:
    return Watcher(1, 5, LWW, prefix, lambda record: secured)


def drained(one: Watcher, token: dict[str, int] | None = None) -> list[Changes]:
    frames = []
    while (frame := one.next(0, token or {"o": 1})) is not None:
        frames.append(frame)
    return frames


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(KEYS), st.integers(1, 9)), STEPS, st.sampled_from(["", "a"]))
def test_the_last_state_is_shown_and_nothing_goes_back(
    held: dict[str, int], steps: list[tuple[str, str, int]], prefix: str
) -> None:
    watches, one = Watches(), watcher(prefix)
    state = {key: record(key, b"%d" % time, time) for key, time in held.items()}
    one.begin(iter([state[key] for key in sorted(state) if key.startswith(prefix)]), compacted=False)
    watches.add(one)
    frames: list[Changes] = []
    for what, key, number in steps:
        if what == "next":
            frames += [frame for frame in [one.next(0, {})] if frame is not None]
        elif key not in state or number > state[key].time:
            state[key] = record(key, b"%d" % number, number)
            watches.show(state[key], "put", False)
    frames += drained(one)
    shown: dict[str, int] = {}
    for frame in frames:
        for change in frame.items:
            assert change.seen.time >= shown.get(change.key, 0), "an older version after a newer one"
            shown[change.key] = change.seen.time
    assert shown == {key: one.time for key, one in state.items() if key.startswith(prefix)}
    assert [frame.whole for frame in frames].count(True) == 1
    assert all(frame.initial for frame in frames[: [frame.whole for frame in frames].index(True) + 1])
    assert frames[-1].token is not None


def test_a_slow_consumer_is_shown_each_key_once() -> None:
    one = watcher()
    one.begin(iter([]), compacted=False)
    drained(one)
    for time in range(1, 1000):
        one.show(record("k", b"%d" % time, time), "put", False)
    frames = drained(one)
    assert [change.value for frame in frames for change in frame.items] == [b"999"]


def test_long_snapshots_and_changes_go_in_frames_and_the_last_has_the_token() -> None:
    one = watcher()
    many = [record(f"k{place:03}", b"x" * 5000, 1) for place in range(100)]
    one.begin(iter(many), compacted=True)
    frames = drained(one)
    assert [frame.compacted for frame in frames] == [True] + [False] * (len(frames) - 1)
    for one_record in many:
        one.show(one_record, "put", False)
    frames += (later := drained(one))
    assert len(later) > 1
    assert all(len(encode(frame)) < 100_000 for frame in frames)
    assert [frame.token is not None for frame in later] == [False] * (len(later) - 1) + [True]
    assert sum(len(frame.items) for frame in later) == 100


def test_what_comes_late_hides_nothing_newer() -> None:
    one = watcher()
    one.show(record("k", b"new", 2), "put", False)
    one.show(record("k", b"old", 1), "put", False)
    assert [change.value for frame in drained(one) for change in frame.items] == [b"new"]
    one.show(record("k", b"new", 2), "put", False)
    one.show(record("k", b"new", 2), "expired", False)
    assert [(change.kind, change.seen.time) for frame in drained(one) for change in frame.items] == [("expired", 2)]


def test_a_token_is_given_only_with_nothing_left_to_show() -> None:
    one = watcher()
    one.begin(iter([record("a")]), compacted=False)
    one.show(record("b"), "put", False)
    assert [frame.token for frame in drained(one, {"o": 7})] == [None, {"o": 7}]


def test_what_is_absent_is_no_part_of_a_snapshot() -> None:
    one = watcher()
    one.begin(iter([record("a", None), record("b", b"v", expires=5), record("c")]), compacted=False)
    assert [change.key for frame in [one.next(10, {})] if frame for change in frame.items] == ["c"]


def test_what_no_second_node_holds_is_marked() -> None:
    one = watcher(secured=False)
    one.begin(iter([record("a")]), compacted=False)
    assert [change.degraded for frame in drained(one) for change in frame.items] == [True]
    one.go_on([record("b", None, 2), record("c", b"v", 3)], 0)
    found = [change for frame in drained(one) for change in frame.items]
    assert [(change.kind, change.key, change.value, change.degraded) for change in found] == [
        ("delete", "b", b"", True),
        ("put", "c", b"v", True),
    ]


def test_values_travel_with_puts_alone() -> None:
    one = watcher()
    for kind in ("put", "delete", "expired", "superseded"):
        one.show(record(kind, b"v"), kind, False)
    found = {change.kind: change.value for frame in drained(one) for change in frame.items}
    assert found == {"put": b"v", "delete": b"", "expired": b"", "superseded": b"v"}


def test_a_number_used_again_ends_what_it_named() -> None:
    watches, first, second = Watches(), watcher("a"), watcher("b")
    watches.add(first)
    watches.add(second)
    assert watches.of(LWW) == [second]
    assert list(watches.due) == [second]
    watches.end(1, 5)
    assert not watches
    assert watches.of(LWW) == []


def test_a_connection_s_watches_end_with_it() -> None:
    watches = Watches()
    for link, number in ((1, 1), (1, 2), (2, 1)):
        watches.add(Watcher(link, number, LWW, "", lambda record: True))
    watches.end_all(1)
    assert [(one.link, one.number) for one in watches.all()] == [(2, 1)]
    watches.end(7, 7)
    shown: Record = record("k")
    watches.due.clear()
    watches.show(shown, "put", False)
    assert [one.link for one in watches.due] == [2]


def test_what_a_snapshot_was_to_tell_of_the_next_one_tells() -> None:
    one = watcher()
    one.begin(iter([]), compacted=True, lost={"o": 13})
    one.begin(iter([]), compacted=True, lost={"p": 12})
    assert [frame.lost for frame in drained(one)] == [{"o": 13, "p": 12}]
    one.begin(iter([]), compacted=True)
    assert [frame.lost for frame in drained(one)] == [{}]
