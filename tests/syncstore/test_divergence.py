"""A difference that should not be is found in three rounds, told, and repaired on both sides."""

from __future__ import annotations

import pytest

from lab.syncstore import divergence
from lab.syncstore.digest import HASH_BUCKETS, hash_bucket
from lab.syncstore.divergence import ROUNDS, Watchman, taken
from lab.syncstore.entries import Repaired, decode
from lab.syncstore.record import Record
from lab.syncstore.replica import Applying, Replica
from lab.syncstore.vector import Floor, Vector
from lab.syncstore.wire import DeltaEnd
from tests.syncstore.engines import LWW, TWO, Net, origin_of, record
from tests.syncstore.test_replica import stream

OF = origin_of("b")


def holding(*records: Record) -> Replica:
    made = Replica("global", 1000)
    made.renew(origin_of("a"))
    if records:
        made.take(*stream(list(records)))
    return made


def two(*, differ: bool = True) -> tuple[Replica, Replica]:
    """Equal vectors; the second lacks a record if they differ."""
    both = [record("k", of=OF, sequence=1), record("l", of=OF, sequence=2)]
    one, other = holding(*both), holding(*both)
    other.vector.entries = dict(one.vector.entries)
    if differ:
        present = other.table.get(LWW, "k")
        assert present is not None
        other.table.remove(present)
    return one, other


def all_digests(replica: Replica) -> dict[int, int]:
    return dict(enumerate(replica.table.digest.sums))


def test_all_buckets_are_stated_in_turn() -> None:
    watchman = Watchman(holding())
    stated: list[int] = []
    for _ in range(HASH_BUCKETS // divergence.BUCKETS_A_BEACON):
        stated += watchman.to_state()
    assert sorted(stated) == list(range(HASH_BUCKETS))


def test_equal_tables_never_differ() -> None:
    one, other = two(differ=False)
    watchman = Watchman(other)
    assert all(watchman.compare("b", one.vector, all_digests(one)) == [] for _ in range(10))


def test_a_difference_is_found_in_the_third_round() -> None:
    one, other = two()
    watchman = Watchman(other)
    place = hash_bucket(record("k"))
    rounds = [watchman.compare("b", one.vector, all_digests(one)) for _ in range(ROUNDS)]
    assert rounds == [[], [], [place]]
    assert watchman.found == 1


def test_a_round_that_agrees_begins_the_count_anew_and_every_peer_has_its_own() -> None:
    one, other = two()
    watchman = Watchman(other)
    for _ in range(ROUNDS - 1):
        assert watchman.compare("b", one.vector, all_digests(one)) == []
    assert watchman.compare("c", one.vector, all_digests(one)) == []
    assert watchman.compare("b", one.vector, all_digests(other)) == []
    assert watchman.compare("b", one.vector, all_digests(one)) == []


def test_a_bucket_with_something_beyond_the_stated_vector_is_not_compared() -> None:
    one, other = two()
    stated, digests = one.vector.copy(), all_digests(one)
    other.take(*stream([record("k", b"new", 9, of=OF, sequence=3)]))
    watchman = Watchman(other)
    assert all(watchman.compare("b", stated, digests) == [] for _ in range(10))


def test_whoever_is_behind_does_not_compare() -> None:
    one, other = two()
    stated = one.vector.copy()
    stated.raise_to(OF, 3)
    watchman = Watchman(other)
    assert all(watchman.compare("b", stated, all_digests(one)) == [] for _ in range(10))


def test_half_a_delta_is_neither_stated_nor_compared() -> None:
    one, other = two()
    Applying(other, [], DeltaEnd("global", 1, 0, Vector({}, {}), Vector({}, {}), Floor()))
    watchman = Watchman(other)
    assert watchman.to_state() == {}
    assert all(watchman.compare("b", one.vector, all_digests(one)) == [] for _ in range(10))


def test_too_much_beyond_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "BEYOND_AT_MOST", 3)
    one, other = two()
    more = [record(f"m{place}", of=OF, sequence=3 + place) for place in range(10)]
    other.take(*stream(more))
    watchman = Watchman(other)
    assert all(watchman.compare("b", one.vector, all_digests(one)) == [] for _ in range(10))


def test_digests_of_no_bucket_are_passed_over() -> None:
    one, other = two()
    watchman = Watchman(other)
    wrong = {-1: 5, HASH_BUCKETS: 5, 2**63: 5}
    assert all(watchman.compare("b", one.vector, wrong) == [] for _ in range(10))


@pytest.mark.parametrize(
    ("held", "offered", "winner"),
    [
        (None, record("k", b"new", 5), b"new"),
        (record("k", b"old", 4), record("k", b"new", 5), b"new"),
        (record("k", b"old", 6), record("k", b"new", 5), b"old"),
        (record("k", None, 6), record("k", b"new", 5), None),
        (record("k", b"old", 4), record("k", None, 5), None),
        (record("k", b"same", 5), record("k", b"other", 5), b"same"),
    ],
)
def test_later_wins_and_present_beats_absent_unless_a_tombstone_is_held(
    held: Record | None, offered: Record, winner: bytes | None
) -> None:
    replica = holding()
    if held is not None:
        replica.table.place(held)
    took = taken(replica, [offered])
    present = replica.table.get(LWW, "k")
    assert present is not None
    assert present.value == winner
    assert took == ([offered] if present is offered else [])


def test_a_bucket_s_records_by_origin() -> None:
    watchman = Watchman(holding(record("k", of=OF, sequence=1), record("l", None, of=OF, sequence=2)))
    assert [one.key for one in watchman.records(hash_bucket(record("l")))[OF]] == ["l"]


# -- between engines -----------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divergence, "BUCKETS_A_BEACON", HASH_BUCKETS)


def lose(net: Net, node: str, key: str) -> None:
    held = net.at(node, key)
    assert held is not None
    net.engines[node].replicas["global"].table.remove(held)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("node", ["a", "b", "x", "y"])
def test_a_lost_record_is_found_and_comes_back_wherever_it_was_lost(node: str) -> None:
    net = Net(TWO).ready()
    client = net.client("a")
    for place in range(20):
        client.put(f"k{place}", b"%d" % place)
    net.run(1000)
    lose(net, node, "k7")
    assert not net.equal()
    net.until(net.equal)
    assert net.values("k7")[node] == b"7"
    assert net.counted("divergence") > 0
    assert net.counted("repairs") == 1
    assert any("divergence" in sentence for sentence in net.told)
    assert any(isinstance(decode(entry), Repaired) for entry in net.disks[node].entries)
    again = net.restart(node)
    held = again.replicas["global"].table.get(LWW, "k7")
    assert held is not None
    assert held.value == b"7"


@pytest.mark.usefixtures("quick")
def test_two_values_of_one_place_become_the_later_one_on_both_sides() -> None:
    net = Net(TWO).ready()
    net.client("a").put("k", b"first")
    net.run(500)
    for node, time in (("b", 5), ("x", 9)):
        held = net.at(node, "k")
        assert held is not None
        made = record("k", node.encode(), held.time + time, of=held.origin, sequence=held.sequence)
        net.engines[node].replicas["global"].table.place(made)
    net.until(net.equal)
    assert set(net.values("k").values()) == {b"x"}


def test_work_as_usual_is_no_divergence() -> None:
    net = Net(TWO).ready()
    for round_ in range(30):
        for node in net.engines:
            client = net.client(node)
            client.ask("put", f"k{round_ % 5}", node.encode())
            client.ask("delete" if round_ % 3 else "put", f"k{(round_ + 1) % 5}")
        net.run(100, 10)
    net.run(7000, 20)
    assert net.equal()
    assert net.counted("divergence") == 0
