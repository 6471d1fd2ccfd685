"""A cut yields the table exactly as it was, whatever becomes of the table meanwhile; staging takes it whole."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore import table as module
from lab.syncstore.delta import Cut, Position, Staging
from lab.syncstore.record import Record
from lab.syncstore.table import Table
from lab.syncstore.tombstones import stripped
from lab.syncstore.vector import Floor, Vector
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, decode, records_of
from tests.syncstore.engines import LWW, origin_of, record

ORIGINS = [origin_of("a"), origin_of("b"), origin_of("c")]
KEYS = [f"k{place}" for place in range(8)]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "delete", "drop", "strip", "repair", "walk", "walk"]),
        st.sampled_from(KEYS),
        st.sampled_from(ORIGINS),
    ),
    max_size=80,
)


@pytest.fixture(autouse=True)
def small_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", 1)


class World:
    """A table, changed in every way there is."""

    def __init__(self) -> None:
        self.table = Table()
        self.vector = Vector(dict.fromkeys(ORIGINS, 0), {})
        self.gone: list[Record] = []
        self.time = 0

    def change(self, how: str, key: str, of: str) -> None:
        present = self.table.get(LWW, key)
        if how in ("put", "delete"):
            self.time += 1
            self.vector.entries[of] += 1
            value = b"%d" % self.time if how == "put" else None
            made = record(key, value, self.time, of=of, sequence=self.vector.entries[of])
            old = self.table.place(made)
            self.gone += [old] if old is not None else []
        elif how == "drop" and present is not None and present.value is None:
            self.table.remove(present)
        elif how == "strip" and present is not None and present.value is not None:
            self.table.swap(present, stripped(present))
        elif how == "repair" and present is None:
            again = next((one for one in self.gone if one.key == key), None)
            if again is not None:
                self.table.place(again)

    def held(self, base: Vector) -> dict[tuple[str, int], Record]:
        return {
            (one.origin, one.sequence): one
            for one in self.table.records()
            if base.get(one.origin) < one.sequence <= self.vector.get(one.origin)
        }

    def cut(self, base: Vector) -> Cut:
        return Cut(7, "global", self.table, base, self.vector, Floor())


def taken(bodies: list[bytes]) -> tuple[list[Record], DeltaEnd]:
    staging, found = Staging(7), []
    *parts, end = [decode(body) for body in bodies]
    for part, body in zip(parts, bodies, strict=False):
        assert isinstance(part, Delta)
        records = records_of(part.records, part.origin, "global")
        assert staging.add(part.number, part.origin, body, max(one.sequence for one in records))
        found += records
    assert isinstance(end, DeltaEnd)
    assert end.parts == len(staging.parts)
    assert staging.within(end.vector)
    return found, end


def same_but_for_stripping(found: list[Record], expected: dict[tuple[str, int], Record]) -> None:
    """What expired may have lost its value on the way: version and place are the same."""
    assert {(one.origin, one.sequence) for one in found} == set(expected)
    for one in found:
        was = expected[one.origin, one.sequence]
        assert (one.key, one.version) == (was.key, was.version)
        assert one.value in (was.value, None)


@settings(max_examples=150)
@given(CHANGES, CHANGES, st.dictionaries(st.sampled_from(ORIGINS), st.integers(0, 6)), st.sampled_from([300, 10_000]))
def test_the_walk_yields_the_table_as_it_was_at_the_cut(
    before: list[tuple[str, str, str]], during: list[tuple[str, str, str]], base: dict[str, int], limit: int
) -> None:
    world = World()
    for how, key, of in before:
        world.change(how, key, of)
    start = Vector({of: min(entry, world.vector.entries[of]) for of, entry in base.items()}, {})
    expected, vector = world.held(start), world.vector.copy()
    cut = world.cut(start)
    walk, bodies = cut.bodies(limit), []
    for how, key, of in during:
        if how == "walk":
            bodies += [body for body in [next(walk, None)] if body is not None]
        else:
            world.change(how, key, of)
    bodies += walk
    found, end = taken(bodies)
    same_but_for_stripping(found, expected)
    assert (end.base, end.vector, end.cut) == (start, vector, 7)
    assert all(len(body) <= limit or body == bodies[-1] for body in bodies)


@settings(max_examples=150)
@given(CHANGES, CHANGES, CHANGES, st.integers(0, 10), st.integers(0, 10))
def test_a_broken_walk_goes_on_where_its_receiver_is(
    before: list[tuple[str, str, str]],
    first: list[tuple[str, str, str]],
    second: list[tuple[str, str, str]],
    sent: int,
    lost: int,
) -> None:
    world = World()
    for how, key, of in before:
        world.change(how, key, of)
    nothing = Vector({}, {})
    expected, cut = world.held(nothing), world.cut(nothing)
    walk = cut.bodies(300)
    bodies = _interleaved(world, first, walk, sent)
    bodies = bodies[: max(0, len(bodies) - lost)]
    staging = Staging(7)
    for body in bodies:
        part = decode(body)
        if isinstance(part, DeltaEnd):
            return  # it was whole
        assert isinstance(part, Delta)
        top = max(one.sequence for one in records_of(part.records, part.origin, "global"))
        assert staging.add(part.number, part.origin, body, top)
    if not bodies:
        return
    bodies += _interleaved(world, second, cut.bodies(300, after=staging.position), 10**6)
    found, _ = taken(bodies)
    same_but_for_stripping(found, expected)


def _interleaved(world: World, changes: list[tuple[str, str, str]], walk: Iterator[bytes], at_most: int) -> list[bytes]:
    bodies: list[bytes] = []
    for how, key, of in changes:
        if how != "walk":
            world.change(how, key, of)
        elif len(bodies) < at_most:
            bodies += [body for body in [next(walk, None)] if body is not None]
    while len(bodies) < at_most and (body := next(walk, None)) is not None:
        bodies.append(body)
    return bodies


@pytest.mark.parametrize("tidied", [False, True])
def test_a_repair_behind_the_walk_is_no_part_of_the_cut(tidied: bool) -> None:
    """What is put where the sequence has a hole, or where the hole was tidied away, shifts nothing."""
    world, of = World(), ORIGINS[0]
    for key in KEYS:
        world.change("put", key, of)
    lost = world.table.get(LWW, "k5")
    assert lost is not None
    world.table.remove(lost)
    if tidied:
        world.table.indexes[of]._tidy()
    expected = world.held(Vector({}, {}))
    walk = world.cut(Vector({}, {})).bodies(300)
    bodies = [next(walk)]
    world.table.place(lost)
    bodies += walk
    found, _ = taken(bodies)
    same_but_for_stripping(found, expected)
    assert len(found) == len(expected)


def test_a_cut_whose_reader_went_away_keeps_nothing() -> None:
    world = World()
    world.change("put", "k1", ORIGINS[0])
    walk = world.cut(Vector({}, {})).bodies(1000)
    begun = world.cut(Vector({}, {})).bodies(1000)
    next(begun)
    gc.collect()
    assert world.table.watched == 2
    del walk, begun
    gc.collect()
    assert world.table.watched == 0
    world.change("put", "k1", ORIGINS[0])


def test_a_cut_that_is_closed_keeps_nothing_more() -> None:
    world = World()
    world.change("put", "k1", ORIGINS[0])
    cut = world.cut(Vector({}, {}))
    cut.close()
    assert world.table.watched == 0


def test_as_a_reset_it_replaces() -> None:
    world = World()
    for key in KEYS:
        world.change("put", key, ORIGINS[0])
    *parts, end = [decode(body) for body in world.cut(Vector({}, {})).bodies(300, reset=True)]
    assert all(isinstance(one, Reset) for one in parts)
    assert len(parts) > 1
    assert end == ResetEnd("global", len(parts), world.vector, Floor())


def test_parts_count_in_order_alone() -> None:
    staging = Staging(3)
    assert staging.position == Position(0, "", 0)
    assert staging.add(0, "o", b"12345", 4)
    assert not staging.add(2, "o", b"x", 9)
    assert not staging.add(0, "o", b"x", 9)
    assert not staging.add(-1, "o", b"x", 9)
    assert staging.add(1, "p", b"123", 2)
    assert staging.size == 8
    assert staging.position == Position(2, "p", 2)
    assert staging.within(Vector({"o": 4, "p": 2}, {}))
    assert not staging.within(Vector({"o": 3, "p": 2}, {}))
    assert not staging.within(Vector({"o": 4}, {}))
