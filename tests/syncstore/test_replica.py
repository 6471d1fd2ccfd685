"""A replica is exactly the merge of what its vector names, whatever came in which order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lab.syncstore.delta import Cut
from lab.syncstore.errors import Malformed
from lab.syncstore.record import Record, later
from lab.syncstore.replica import Applying, Replica
from lab.syncstore.vector import UNKNOWN, Floor, Vector
from lab.syncstore.wire import Delta, DeltaEnd, Stream, decode, encode
from tests.syncstore.engines import LWW, incarnation, origin_of, raw, record

NODES = ("a", "b", "c")
KEYS = ("k", "l", "m")


def replica(node: str, number: int = 1) -> Replica:
    made = Replica("global", 10_000)
    made.renew(origin_of(node, number))
    return made


def stream(records: list[Record], first: int | None = None) -> tuple[Stream, bytes]:
    frame = Stream("global", records[0].origin, records[0].sequence if first is None else first, raw(*records))
    body = encode(frame)
    found = decode(body)
    assert isinstance(found, Stream)
    return found, body


def merged(log: dict[str, list[Record]], vector: Vector) -> dict[str, Record]:
    """The model: of all that the vector names, the latest of each key."""
    state: dict[str, Record] = {}
    for origin, records in log.items():
        for one in records[: max(vector.get(origin), 0)]:
            if one.key not in state or later(one, state[one.key]):
                state[one.key] = one
    return state


def parts_of(cut: Cut) -> tuple[list[tuple[str, bytes]], DeltaEnd]:
    *bodies, last = cut.bodies(400)
    end = decode(last)
    assert isinstance(end, DeltaEnd)
    parts = []
    for body in bodies:
        part = decode(body)
        assert isinstance(part, Delta)
        parts.append((part.origin, body))
    return parts, end


class Replicas(RuleBasedStateMachine):
    """Three writers; streams of any stretch of any origin to anybody; deltas from anybody to anybody,
    applied in steps while streams go on."""

    @initialize()
    def begin(self) -> None:
        self.replicas = {node: replica(node) for node in NODES}
        self.log: dict[str, list[Record]] = {origin_of(node): [] for node in NODES}
        self.applying: dict[str, Applying] = {}

    @rule(
        node=st.sampled_from(NODES),
        key=st.sampled_from(KEYS),
        time=st.integers(1, 4),
        value=st.sampled_from([b"v", b"w", None]),
    )
    def write(self, node: str, key: str, time: int, value: bytes | None) -> None:
        one = self.replicas[node]
        counter = one.sequence + 1  # no node makes a version twice
        made = Record(0, LWW, key, value, time, counter)
        one.write(made)
        self.log[one.origin].append(made)

    @rule(node=st.sampled_from(NODES), of=st.sampled_from(NODES), first=st.integers(1, 9), count=st.integers(1, 6))
    def stream(self, node: str, of: str, first: int, count: int) -> None:
        records = self.log[origin_of(of)][first - 1 : first - 1 + count]
        if node == of or not records:
            return
        one = self.replicas[node]
        entry = max(one.vector.get(origin_of(of)), 0)
        took = one.take(*stream(records))
        if first > entry + 1:
            assert took is None
            assert max(one.vector.get(origin_of(of)), 0) == entry
        else:
            assert took == (records[-1].sequence, records[-1].sequence > entry)

    @rule(node=st.sampled_from(NODES), of=st.sampled_from(NODES), stale=st.booleans())
    def delta(self, node: str, of: str, stale: bool) -> None:
        if node == of or node in self.applying:
            return
        receiver = self.replicas[node]
        base = Vector({}, {}) if stale else receiver.vector
        cut = self.replicas[of].cut(1, base)
        if of in self.applying:
            assert cut is None, "half a delta is no state to be cut"
            return
        assert cut is not None
        parts, end = parts_of(cut)
        assert receiver.covers_delta(end)
        self.applying[node] = Applying(receiver, parts, end)

    @precondition(lambda self: self.applying)
    @rule(data=st.data(), count=st.integers(1, 4))
    def apply(self, data: st.DataObject, count: int) -> None:
        node = data.draw(st.sampled_from(sorted(self.applying)))
        if self.applying[node].step(count):
            end = self.applying.pop(node).end
            assert self.replicas[node].vector.covers_all(end.vector)
            assert self.replicas[node].applying is None

    @invariant()
    def is_what_the_vector_names(self) -> None:
        for node, one in self.replicas.items():
            if node not in self.applying:
                self.same(one, merged(self.log, one.vector))

    def same(self, one: Replica, model: dict[str, Record]) -> None:
        found = {record.key: (record.version, record.value) for record in one.table.records()}
        assert found == {key: (record.version, record.value) for key, record in model.items()}

    def teardown(self) -> None:
        if not hasattr(self, "replicas"):
            return
        for node in list(self.applying):
            while not self.applying[node].step(3):
                pass
            del self.applying[node]
        for _ in range(2):
            for node in NODES:
                for of in NODES:
                    cut = self.replicas[of].cut(2, self.replicas[node].vector)
                    assert cut is not None
                    applying = Applying(self.replicas[node], *parts_of(cut))
                    while not applying.step(100):
                        pass
        assert len({one.table.digest.whole() for one in self.replicas.values()}) == 1
        whole = Vector({origin: len(records) for origin, records in self.log.items()}, {})
        for one in self.replicas.values():
            assert one.vector.covers_all(whole)
            self.same(one, merged(self.log, whole))


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.binary(max_size=5)), min_size=1, max_size=10), st.data())
def test_own_writes_leave_as_the_frames_they_are_kept_in(writes: list[tuple[str, bytes]], data: st.DataObject) -> None:
    one, other = replica("a"), replica("b")
    for place, (key, value) in enumerate(writes):
        one.write(Record(0, LWW, key, value, 1, place))
        if data.draw(st.booleans()):
            one.take_batch()
    one.take_batch()
    assert one.take_batch() is None
    sequence = 1
    while (chunk := one.ring.find(one.origin, sequence)) is not None:
        frame = decode(chunk.body)
        assert isinstance(frame, Stream)
        assert (frame.origin, frame.first) == (one.origin, chunk.first)
        assert other.take(frame, chunk.body) == (chunk.last, True)
        sequence = chunk.last + 1
    assert sequence == len(writes) + 1
    assert other.table.digest.whole() == one.table.digest.whole()
    assert other.ring.find(one.origin, 1) is not None, "what came by stream is passed on as it came"


def test_a_gap_is_told_and_changes_nothing() -> None:
    one = replica("a")
    of = origin_of("b")
    assert one.take(*stream([record("k", of=of, sequence=2)])) is None
    assert one.vector.get(of) == UNKNOWN
    assert one.table.count == 0


@pytest.mark.parametrize("first", [1, 0, -5])
def test_records_out_of_their_sequence_are_malformed(first: int) -> None:
    of = origin_of("b")
    with pytest.raises(Malformed):
        replica("a").take(*stream([record("k", of=of, sequence=1), record("l", of=of, sequence=3)], first))


def test_an_empty_stream_is_malformed() -> None:
    with pytest.raises(Malformed):
        replica("a").take(Stream("global", origin_of("b"), 1, raw()), b"")


def test_what_is_covered_is_never_merged_again() -> None:
    """Else a tombstone that was dropped would let the record come back."""
    one, of = replica("a"), origin_of("b")
    one.take(*stream([record("k", b"old", of=of, sequence=1)]))
    one.take(*stream([record("k", None, 2, of=of, sequence=2)]))
    present = one.table.get(LWW, "k")
    assert present is not None
    one.drop([present])
    assert one.take(*stream([record("k", b"old", of=of, sequence=1)])) == (1, False)
    overlapping = [record("k", b"old", of=of, sequence=1), record("k", None, 2, of=of, sequence=2)]
    assert one.take(*stream([*overlapping, record("l", None, 3, of=of, sequence=3)])) == (3, True)
    assert one.table.get(LWW, "k") is None
    one.drop(list(one.table.records()))
    parts = [(of, encode(Delta("global", 1, 0, of, raw(record("k", b"old", of=of, sequence=1)))))]
    end = DeltaEnd("global", 1, 1, Vector({}, {}), Vector({of: 2}, {}), Floor())
    assert Applying(one, parts, end).step(10)
    assert one.table.count == 0


def test_a_closed_incarnation_is_covered_to_its_end() -> None:
    one, of = replica("a"), origin_of("b", 1)
    one.take(*stream([record("k", of=of, sequence=1)]))
    one.close("r/b", incarnation(2))
    assert of not in one.vector.entries
    assert one.ring.find(of, 1) is None
    assert one.take(*stream([record("k", b"late", 9, of=of, sequence=2)])) == (2, False)
    present = one.table.get(LWW, "k")
    assert present is not None
    assert present.value == b"v"


def test_a_closed_incarnation_s_records_still_travel_by_delta() -> None:
    one, other, of = replica("a"), replica("c"), origin_of("b", 1)
    one.take(*stream([record("k", of=of, sequence=1), record("l", of=of, sequence=2)]))
    one.close("r/b", incarnation(2))
    cut = one.cut(1, other.vector)
    assert cut is not None
    applying = Applying(other, *parts_of(cut))
    assert applying.step(100)
    assert other.vector.closed == {"r/b": incarnation(2)}
    assert {record.key for record in other.table.records()} == {"k", "l"}


@pytest.mark.parametrize(
    ("base", "their_floor", "cut", "taken"),
    [
        ({}, {}, {"b": 3}, True),
        ({"b": 2}, {}, {"b": 3}, False),  # begins beyond what is here
        ({}, {"b": 1}, {"b": 3}, False),  # they forgot a delete that was never seen here
        ({}, {}, {}, True),
    ],
)
def test_whose_delta_may_be_taken(
    base: dict[str, int], their_floor: dict[str, int], cut: dict[str, int], taken: bool
) -> None:
    def vector(of: dict[str, int]) -> Vector:
        return Vector({origin_of(node): entry for node, entry in of.items()}, {})

    end = DeltaEnd("global", 1, 0, vector(base), vector(cut), Floor(vector(their_floor)))
    assert replica("a").covers_delta(end) == taken


def test_nothing_is_taken_from_one_that_never_saw_what_was_forgotten_here() -> None:
    one, of = replica("a"), origin_of("b")
    one.take(*stream([record("k", None, of=of, sequence=1)]))
    one.drop(list(one.table.records()))
    assert not one.covers_delta(DeltaEnd("global", 1, 0, Vector({}, {}), Vector({}, {}), Floor()))
    assert one.covers_delta(DeltaEnd("global", 1, 0, Vector({}, {}), Vector({of: 1}, {}), Floor()))


def test_dropping_raises_the_floor_to_the_highest_dropped() -> None:
    one, of = replica("a"), origin_of("b")
    one.take(*stream([record("k", None, 5, of=of, sequence=1), record("l", None, 9, of=of, sequence=2)]))
    one.drop(list(one.table.records()))
    assert one.floor.vector.entries == {of: 2}
    assert (one.floor.time, one.floor.counter, one.floor.maker) == (9, 0, of)
    assert one.table.count == 0
    assert one.vector.get(of) == 2


def test_a_new_incarnation_begins_at_one_and_keeps_the_old_one_s_entry() -> None:
    one = replica("a")
    one.write(record("k"))
    one.take_batch()
    one.renew(origin_of("a", 2))
    assert one.vector.entries == {origin_of("a", 1): 1, origin_of("a", 2): 0}
    one.write(record("l"))
    chunk = one.take_batch()
    assert chunk is not None
    assert (chunk.first, chunk.last) == (1, 1)


def test_what_a_peer_no_longer_holds_is_held_by_a_second_node_no_more() -> None:
    one = Replica("global", 10_000)
    one.peer_holds("b", Vector({"o": 5, "p": 7}, {}))
    one.peer_holds("c", Vector({"o": 3}, {}), greeting=True)
    one.peer_holds("b", Vector({"o": 4}, {}))
    assert one.second == Vector({"o": 5, "p": 7}, {}), "an older beacon takes nothing back"
    one.peer_holds("b", Vector({"p": 7, "q": 1}, {}), greeting=True)
    assert one.second == Vector({"o": 3, "p": 7, "q": 1}, {})
