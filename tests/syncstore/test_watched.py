"""What a watch shows: in order per key, on whichever node it goes on, and never short of the final state."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore.watched import Shown, Watched
from lab.syncstore.wire import Change, Changes, Seen

ORIGIN = "sg/a/0123456789ab0000000000000000"


def change(key: str, time: int, kind: str = "put") -> Change:
    value = f"{key}{time}".encode() if kind in ("put", "superseded") else b""
    return Change(kind, key, value, f"r{time}", Seen(time, 0, ORIGIN, ORIGIN, time))


def frame(*items: Change, **more: object) -> Changes:
    return Changes(1, list(items), **more)  # type: ignore[arg-type]


def snapshot(*items: Change, token: int = 1, **more: object) -> Changes:
    return frame(*items, initial=True, whole=True, token={"o": token}, **more)


def shown(watched: Watched) -> list[str]:
    """As `kind key revision`, "-" for the snapshot's end."""
    found: list[Shown] = []
    while (one := watched.take()) is not None:
        found.append(one)
    return ["-" if one.event is None else f"{one.event.kind} {one.event.key} {one.event.revision}" for one in found]


TABLE = {
    "a snapshot, its end, a change": (
        [snapshot(change("a", 1)), frame(change("a", 2))],
        ["put a r2", "-"],  # nothing was taken in between: the change stands in its entry's place
    ),
    "a snapshot of several parts": (
        [frame(change("a", 1), initial=True), snapshot(change("b", 2))],
        ["put a r1", "put b r2", "-"],
    ),
    "an older version is not shown": (
        [snapshot(change("a", 5)), frame(change("a", 4)), frame(change("a", 5))],
        ["put a r5", "-"],
    ),
    "an expiry has the version of what expired": (
        [snapshot(change("a", 5)), frame(change("a", 5, "expired"))],
        ["expired a r5", "-"],
    ),
    "what expired stays so, though a slower clock still shows it": (
        [snapshot(), frame(change("a", 5)), frame(change("a", 5, "expired")), frame(change("a", 5))],
        ["-", "expired a r5"],
    ),
    "a deletion of what was never shown is shown": (
        [snapshot(), frame(change("a", 3, "delete"))],
        ["-", "delete a r3"],
    ),
    "superseded brings what won": (
        [snapshot(change("a", 3)), frame(change("a", 7, "superseded"))],
        ["superseded a r7", "-"],
    ),
}


@pytest.mark.parametrize(("frames", "expected"), TABLE.values(), ids=TABLE.keys())
def test_what_is_shown(frames: list[Changes], expected: list[str]) -> None:
    watched = Watched()
    for one in frames:
        watched.changed(one)
    assert shown(watched) == expected


FRESH = {
    "gone from a fresh snapshot": ([snapshot(compacted=True)], ["delete a "]),
    "still there": ([snapshot(change("a", 5), compacted=True)], []),
    "older there: that node is behind": ([snapshot(change("a", 4), compacted=True)], []),
    "newer there": ([snapshot(change("a", 6), compacted=True)], ["put a r6"]),
    "gone, then back once the node has caught up": (
        [snapshot(compacted=True), frame(change("a", 5))],
        ["put a r5"],
    ),
    "gone, then an older one": ([snapshot(compacted=True), frame(change("a", 4))], ["delete a "]),
    "older there: what was shown is lost": (
        [snapshot(change("a", 4), compacted=True, lost={ORIGIN: 4})],
        ["put a r4"],
    ),
    "older there: what is lost was not shown": ([snapshot(change("a", 4), compacted=True, lost={ORIGIN: 5})], []),
    "gone and lost, then an older one": (
        [snapshot(compacted=True, lost={ORIGIN: 4}), frame(change("a", 4))],
        ["put a r4"],
    ),
    "gone, then its deletion comes": ([snapshot(compacted=True), frame(change("a", 7, "delete"))], ["delete a "]),
}


@pytest.mark.parametrize(("frames", "expected"), FRESH.values(), ids=FRESH.keys())
def test_a_fresh_snapshot_is_compared_with_what_was_shown(frames: list[Changes], expected: list[str]) -> None:
    watched = Watched()
    watched.changed(snapshot(change("a", 5)))
    shown(watched)
    assert watched.reopen() == {"o": 1}
    for one in frames:
        watched.changed(one)
    assert shown(watched) == expected


def test_a_deleted_key_stays_deleted_when_a_snapshot_from_behind_still_has_it() -> None:
    watched = Watched()
    watched.changed(snapshot(change("a", 5)))
    watched.changed(frame(change("a", 6, "delete")))
    shown(watched)
    watched.reopen()
    watched.changed(snapshot(change("a", 5), compacted=True))
    assert shown(watched) == []


def test_a_deleted_key_is_back_when_its_deletion_is_lost() -> None:
    watched = Watched()
    watched.changed(snapshot(change("a", 5), change("b", 6)))
    for key, time in (("a", 7), ("b", 8)):
        watched.changed(frame(change(key, time, "delete")))
    shown(watched)
    watched.reopen()
    watched.changed(snapshot(change("a", 5), change("b", 6), compacted=True, lost={ORIGIN: 7}))
    assert shown(watched) == ["put b r6"]


def test_a_token_is_handed_out_once_all_it_covers_was_taken() -> None:
    watched = Watched()
    watched.changed(snapshot(change("a", 1), token=1))
    assert watched.token is None
    watched.take()
    assert watched.token is None
    watched.take()
    assert watched.token == {"o": 1}
    watched.changed(frame(change("a", 2), token={"o": 2}))
    assert watched.token == {"o": 1}
    assert watched.reopen() == {"o": 2}
    watched.take()
    assert watched.token == {"o": 2}


def test_a_snapshot_that_broke_off_gives_no_token() -> None:
    watched = Watched()
    watched.changed(frame(change("a", 1), initial=True))
    watched.changed(frame(change("a", 2), token={"o": 9}))
    assert watched.reopen() is None
    shown(watched)
    assert watched.token is None


def test_a_snapshot_that_broke_off_says_nothing_of_what_is_there_later() -> None:
    watched = Watched()
    watched.changed(frame(change("a", 1), initial=True))
    watched.reopen()
    watched.changed(snapshot(change("b", 2)))
    assert shown(watched) == ["delete a ", "put b r2", "-"]


def test_a_resumed_watch_marks_where_the_new_begins() -> None:
    for first in (frame(change("a", 2)), None):
        watched = Watched({"o": 1})
        if first is not None:
            watched.changed(first)
        else:
            watched.accepted()
        assert shown(watched)[0] == "-"
        assert watched.resumed
    watched = Watched({"o": 1})
    watched.changed(snapshot(change("a", 2), compacted=True))
    watched.accepted()
    assert shown(watched) == ["put a r2", "-"]
    assert not watched.resumed


# -- random days -----------------------------------------------------------------------------------


@dataclass
class Node:
    """A replica of a few keys: what it holds of the history, and the one watch it serves."""

    held: set[int] = field(default_factory=set)
    records: dict[str, Change] = field(default_factory=dict)
    waiting: dict[str, Change] = field(default_factory=dict)
    serving: bool = False
    snapshot: list[str] | None = None
    compacted: bool = False

    def token(self) -> dict[str, int]:
        """Up to where the history is held without a gap."""
        last = 0
        while last + 1 in self.held:
            last += 1
        return {"o": last}

    def merge(self, record: Change) -> None:
        self.held.add(record.seen.sequence)
        old = self.records.get(record.key)
        if old is None or record.seen.time > old.seen.time:
            self.records[record.key] = record
            if self.serving:
                self.waiting[record.key] = record

    def open(self, resume: dict[str, int] | None) -> None:
        self.serving, self.waiting, self.snapshot, self.compacted = True, {}, None, False
        if resume is not None and self.token()["o"] >= resume["o"]:
            self.waiting = {key: one for key, one in self.records.items() if one.seen.sequence > resume["o"]}
        else:
            self.snapshot, self.compacted = sorted(self.records), resume is not None

    def next(self, count: int) -> Changes | None:
        if self.snapshot is not None:
            keys, self.snapshot = self.snapshot[:count], self.snapshot[count:] or None
            items = [self.records[key] for key in keys if self.records[key].kind == "put"]
            whole, compacted = self.snapshot is None, self.compacted
            self.compacted = False
            token = self.token() if whole and not self.waiting else None
            return frame(*items, initial=True, whole=whole, compacted=compacted, token=token)
        if not self.waiting:
            return None
        items = [self.waiting.pop(key) for key in list(self.waiting)[:count]]
        return frame(*items, token=None if self.waiting else self.token())


STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "merge", "merge", "merge", "serve", "serve", "take", "move"]),
              st.integers(0, 10**6)),
    max_size=150,
)  # fmt: skip


class Story:
    """Three replicas that hear of everything in their own time, and a watch that wanders among them."""

    def __init__(self) -> None:
        self.history: list[Change] = []
        self.nodes = [Node() for _ in range(3)]
        self.watched = Watched()
        self.taken: dict[str, int] = {}
        """Key → the highest version shown."""
        self.state: dict[str, bytes] = {}
        self.marks = 0
        self.at = self.nodes[0]
        self.at.open(None)

    def write(self, pick: int) -> None:
        time = len(self.history) + 1
        self.history.append(change(f"k{pick % 4}", time, "delete" if pick % 3 == 0 else "put"))
        self.nodes[pick % 7 % 3].merge(self.history[-1])

    def merge(self, pick: int) -> None:
        node = self.nodes[pick % 3]
        missing = [one for one in self.history if one.seen.sequence not in node.held]
        if missing:
            node.merge(missing[pick // 3 % len(missing)])

    def serve(self, pick: int) -> None:
        frame_ = self.at.next(1 + pick % 2)
        if frame_ is not None:
            self.watched.changed(frame_)

    def take(self, pick: int) -> None:
        for _ in range(1 + pick % 3):
            one = self.watched.take()
            if one is None:
                return
            if one.event is None:
                self.marks += 1
                continue
            key = one.event.key
            if one.seen is not None:
                assert one.seen.time >= self.taken.get(key, 0), "an older version after a newer one"
                self.taken[key] = one.seen.time
            if one.event.value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = one.event.value

    def move(self, pick: int) -> None:
        self.at.serving = False
        self.at = self.nodes[pick % 3]
        self.at.open(self.watched.reopen())

    def settle(self) -> None:
        for node in self.nodes:
            for one in self.history:
                if one.seen.sequence not in node.held:
                    node.merge(one)
        for _ in range(200):
            self.serve(1)
            self.take(2)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_the_final_state_is_shown_and_nothing_older_after_something_newer(steps: list[tuple[str, int]]) -> None:
    story = Story()
    for what, pick in steps:
        getattr(story, what)(pick)
    story.settle()
    truth: dict[str, Change] = {}
    for one in story.history:
        truth[one.key] = one
    assert story.state == {key: one.value for key, one in truth.items() if one.kind == "put"}
    assert story.marks == 1
