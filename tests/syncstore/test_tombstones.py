"""Deletes and expiry: what ends when, and when nothing of it need be remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore import tombstones as module
from lab.syncstore.record import Record
from lab.syncstore.table import Table
from lab.syncstore.tombstones import Tombstones, absent, expired
from lab.syncstore.vector import Vector
from tests.syncstore.engines import LOCAL, LWW, TWO, WALL_MS, Net, origin_of, record

OF = origin_of("a")


class Shelf:
    """A table with the tombstones that go with it."""

    def __init__(self) -> None:
        self.table, self.tombstones, self.sequence = Table(), Tombstones(), 0

    def place(self, key: str, value: bytes | None, time: int, expires: int = 0) -> Record:
        self.sequence += 1
        made = record(key, value, time, of=OF, sequence=self.sequence, expires=expires)
        self.table.place(made)
        self.tombstones.note(made)
        return made

    def droppable(self, wall_ms: int, held: int, age_ms: float = 100, count: int = 100) -> list[str]:
        low = Vector({OF: held}, {})
        return [one.key for one in self.tombstones.droppable(self.table, wall_ms, age_ms, low, count)]


@pytest.mark.parametrize(
    ("expires", "wall_ms", "over"), [(0, 10, False), (10, 9, False), (10, 10, True), (10, 11, True)]
)
def test_a_record_ends_at_its_expiry(expires: int, wall_ms: int, over: bool) -> None:
    one = record("k", expires=expires)
    assert expired(one, wall_ms) == over
    assert absent(one, wall_ms) == over


def test_nothing_and_tombstones_are_absent() -> None:
    assert absent(None, 0)
    assert absent(record("k", None), 0)


def test_what_expires_is_told_once_and_loses_its_value_when_every_clock_is_past_it() -> None:
    shelf = Shelf()
    one = shelf.place("k", b"v", 1, expires=50)
    other = shelf.place("l", b"v", 1, expires=60)
    assert shelf.tombstones.next_ms() == 50
    assert shelf.tombstones.expire(shelf.table, 49, 10) == []
    assert shelf.tombstones.expire(shelf.table, 55, 10) == [one]
    assert shelf.tombstones.expire(shelf.table, 99, 10) == [other]
    assert shelf.tombstones.expire(shelf.table, 99, 10) == []
    assert shelf.tombstones.strip(shelf.table, 49, 10) == 0, "another node's clock is not there yet"
    assert shelf.tombstones.strip(shelf.table, 55, 10) == 1
    held = shelf.table.get(LWW, "k")
    assert held is not None
    assert (held.value, held.version, held.sequence, held.expires) == (None, one.version, one.sequence, 50)
    assert shelf.table.tombstones == 1


def test_what_was_written_again_does_not_expire() -> None:
    shelf = Shelf()
    shelf.place("k", b"v", 1, expires=50)
    shelf.place("k", b"w", 2)
    assert shelf.tombstones.expire(shelf.table, 99, 10) == []
    shelf.place("l", b"v", 1, expires=50)
    shelf.tombstones.expire(shelf.table, 99, 10)
    shelf.place("l", b"w", 2)
    assert shelf.tombstones.strip(shelf.table, 99, 10) == 0


@given(
    st.lists(st.tuples(st.integers(1, 300), st.sampled_from([0, 0, 150, 260])), max_size=12),
    st.integers(0, 500),
    st.integers(0, 12),
)
def test_a_tombstone_goes_when_it_is_old_and_all_hold_it(
    deletes: list[tuple[int, int]], wall_ms: int, held: int
) -> None:
    shelf = Shelf()
    for place, (time, expires) in enumerate(deletes):
        shelf.place(f"k{place}", None, time, expires)
    expected = {
        f"k{place}"
        for place, (time, expires) in enumerate(deletes)
        if max(time, expires) + 100 <= wall_ms and place + 1 <= held
    }
    assert set(shelf.droppable(wall_ms, held)) == expected
    assert shelf.droppable(wall_ms, held) == [], "each is handed out once"
    rest = shelf.droppable(10_000, 100)
    assert set(rest) == {f"k{place}" for place in range(len(deletes))} - expected, "one was forgotten"


def test_a_few_are_looked_at_and_all_have_their_turn() -> None:
    shelf = Shelf()
    for place in range(10):
        shelf.place(f"k{place}", None, 1)
    found: list[str] = []
    for _ in range(4):
        found += shelf.droppable(500, 10, count=3)
    assert len(set(found)) == 10


def test_what_is_no_longer_present_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", 4)
    shelf = Shelf()
    for place in range(200):
        shelf.place("k", None, place * 2 + 1)
        shelf.place("k", b"v", place * 2 + 2)
        shelf.place("lease", b"v", place + 1, expires=10**9)
        shelf.tombstones.tidy(shelf.table)
    assert len(shelf.tombstones._standing) <= 6
    assert len(shelf.tombstones._expiring) <= 8
    shelf.place("k", None, 1000)
    oldest = shelf.tombstones.oldest(shelf.table)
    assert oldest is not None
    assert oldest.time == 1000
    assert [one.key for one in shelf.tombstones.expire(shelf.table, 10**9, 100)] == ["lease"]


# -- in a running node ---------------------------------------------------------------------------------


def test_a_deleted_key_is_forgotten_by_all_once_all_hold_it_for_long_enough() -> None:
    net = Net(TWO, tombstone_age_ms=2000.0).ready()
    client = net.client("a")
    client.put("k")
    client.delete("k")
    net.run(1000)
    assert all(net.at(node, "k") is not None for node in net.engines), "dropped too early"
    took = net.until(lambda: all(net.at(node, "k") is None for node in net.engines))
    assert took > 500
    assert all(engine.replicas["global"].floor.vector.entries for engine in net.engines.values())
    assert net.counted("resets_sent") == 0
    client.put("k", b"again")
    net.run(500)
    assert set(net.values("k").values()) == {b"again"}


def test_nothing_is_forgotten_while_a_region_is_cut_off_and_everything_after() -> None:
    net = Net(TWO, tombstone_age_ms=500.0).ready()
    client = net.client("a")
    client.put("k")
    net.cut_region("s")
    client.delete("k")
    net.run(8000, 20)
    assert net.at("a", "k") is not None
    assert net.values("k")["x"] == b"v"
    net.heal()
    net.until(lambda: all(net.at(node, "k") is None for node in net.engines))
    net.run(1000)
    assert set(net.values("k").values()) == {None}


def test_the_own_region_s_tombstones_wait_for_no_other_region() -> None:
    net = Net(TWO, tombstone_age_ms=500.0).ready()
    net.cut_region("s")
    client = net.client("a")
    client.put("k", bucket=LOCAL)
    client.delete("k", bucket=LOCAL)
    net.until(lambda: net.at("a", "k", LOCAL) is None and net.at("b", "k", LOCAL) is None, 5000)


def test_a_key_with_an_expiry_reads_as_absent_and_its_watchers_are_told() -> None:
    net = Net(TWO).ready()
    client, far = net.client("a"), net.client("x")
    watch = far.watch()
    expires = net.moment("a").wall_ms + 500
    client.put("k", b"v", expires=expires)
    assert client.get("k").expires == expires
    net.run(200)
    assert far.get("k").present
    net.run(400)
    for one in (client, far):
        assert not one.get("k").present
        assert one.call("keys").keys == []
    assert far.shown(watch) == [("put", "k", b"v"), ("expired", "k", b"")]
    net.run(1000)
    assert set(net.values("k").values()) == {None}, "the value is kept after every clock passed its end"
    assert net.counted("divergence") == 0


def test_a_value_is_kept_until_the_slowest_clock_of_the_region_is_past_its_end() -> None:
    net = Net({"r": ("a", "b")})
    net.skew_ms["b"] = -3000
    net.ready()
    client = net.client("a")
    client.put("k", b"v", expires=WALL_MS + int(net.now_ms) + 300)
    net.run(1500)
    assert not client.get("k").present
    assert net.client("b").get("k").value == b"v"
    assert net.values("k") == {"a": b"v", "b": b"v"}
    net.run(3000)
    assert net.values("k") == {"a": None, "b": None}
