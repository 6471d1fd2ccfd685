"""The table against a dictionary: present records, prefixes, the index by origin, counts and digest."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lab.syncstore import table as module
from lab.syncstore.digest import Digest
from lab.syncstore.record import Record
from lab.syncstore.table import Index, Table
from lab.syncstore.tombstones import stripped
from tests.syncstore.engines import LWW, origin_of, record

KEYS = ["a", "aa", "ab", "b", "ba"]
ORIGINS = [origin_of("a"), origin_of("b")]


@pytest.fixture(autouse=True)
def small_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", 2)


class TableModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = Table()
        self.present: dict[str, Record] = {}
        self.last = dict.fromkeys(ORIGINS, 0)
        self.time = 0
        self.displaced: list[Record] = []
        self.told: list[Record] = []
        self.table.watch(self.note)
        self.walks: list[tuple[Iterator[Record], list[Record]]] = []

    def note(self, record: Record) -> None:
        self.told.append(record)

    @rule(key=st.sampled_from(KEYS), of=st.sampled_from(ORIGINS), value=st.sampled_from([b"1", b"2", None]))
    def place(self, key: str, of: str, value: bytes | None) -> None:
        self.last[of] += 1
        self.time += 1
        made = record(key, value, self.time, of=of, sequence=self.last[of])
        old = self.table.place(made)
        assert old is self.present.get(key)
        if old is not None:
            self.displaced.append(old)
        self.present[key] = made

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.present)))
        gone = self.present.pop(key)
        self.table.remove(gone)
        self.displaced.append(gone)

    @precondition(lambda self: self.displaced)
    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        """A repair puts an old record where its sequence has a hole."""
        again = self.displaced[data.draw(st.integers(0, len(self.displaced) - 1))]
        if again.key not in self.present:
            self.displaced.remove(again)
            self.table.place(again)
            self.present[again.key] = again

    @precondition(lambda self: any(one.value is not None for one in self.present.values()))
    @rule(data=st.data())
    def strip(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(key for key, one in self.present.items() if one.value is not None)))
        made = stripped(self.present[key])
        self.table.swap(self.present[key], made)
        self.present[key] = made

    @invariant()
    def agrees(self) -> None:
        table = self.table
        assert table.count == len(self.present)
        assert table.tombstones == sum(one.value is None for one in self.present.values())
        assert sorted(one.key for one in table.records()) == sorted(self.present)
        for key in KEYS:
            assert table.get(LWW, key) is self.present.get(key)
        digest = Digest()
        for one in self.present.values():
            digest.toggle(one)
        assert digest.sums == table.digest.sums

    @invariant()
    def index_agrees(self) -> None:
        for of in ORIGINS:
            mine = sorted((one for one in self.present.values() if one.origin == of), key=lambda one: one.sequence)
            index = self.table.indexes.get(of)
            if index is None:
                assert not mine
                continue
            assert list(index.above(0)) == mine
            assert list(index.above(3)) == [one for one in mine if one.sequence > 3]
            assert len(index) == len(mine)
            assert len(index.sequences) <= 2 * len(mine) + module.SLACK + 1, "holes are not tidied away"

    @invariant()
    def prefixes_agree(self) -> None:
        shelf = self.table.shelves.get(LWW)
        if shelf is None:
            return
        for prefix in ("", "a", "ab", "c"):
            keys = sorted(key for key in self.present if key.startswith(prefix))
            assert [one.key for one in shelf.with_prefix(prefix)] == keys
            assert [one.key for one in shelf.with_prefix(prefix, "a")] == [key for key in keys if key > "a"]


TestTableModel = TableModel.TestCase
TestTableModel.settings = settings(max_examples=40, stateful_step_count=40)


def test_a_watcher_is_told_until_it_stops_or_is_forgotten() -> None:
    class Watcher:
        def __init__(self) -> None:
            self.told: list[Record] = []

        def note(self, record: Record) -> None:
            self.told.append(record)

    table, staying, stopping, forgotten = Table(), Watcher(), Watcher(), Watcher()
    for one in (staying, stopping, forgotten):
        table.watch(one.note)
    first = record("k")
    table.place(first)
    table.unwatch(stopping.note)
    del forgotten, one
    assert table.watched == 1
    table.place(record("k", time=2, sequence=2))
    assert staying.told == [first]
    assert stopping.told == []


def test_late_ones_do_not_move_what_is_there() -> None:
    """A delta may bring thousands below what came already: making room for each took minutes of a heal."""
    index = Index()
    for sequence in range(0, 1000, 2):
        index.add(record("k", sequence=sequence))
    arrays = index.sequences, index.records
    for sequence in range(1, 100, 2):
        index.add(record("k", sequence=sequence))
    assert index.sequences is arrays[0]
    assert index.records is arrays[1]
    assert len(index) == 550
    assert [one.sequence for one in index.above(0)] == [*range(1, 100), *range(100, 1000, 2)]
    assert len(arrays[0]) == 500, "a walk sees the arrays as they were"


@pytest.mark.parametrize("seed", range(20))
def test_late_ones_are_removed_and_swapped_like_any(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATE_SHARE", 1)
    chance, index, present = random.Random(seed), Index(), dict[int, Record]()
    for _ in range(300):
        sequence, what = chance.randrange(1, 80), chance.random()
        if sequence not in present:
            present[sequence] = record("k", sequence=sequence)
            index.add(present[sequence])
        elif what < 0.4:
            index.remove(present.pop(sequence))
        elif what < 0.6:
            old, present[sequence] = present[sequence], record("k", sequence=sequence)
            index.swap(old, present[sequence])
        assert len(index) == len(present)
        if what > 0.9:
            assert list(index.above(40)) == [one for _, one in sorted(present.items()) if one.sequence > 40]
            line = index.line("o", 10, 50)
            walked = [one for one in line.records[line.start : line.end] if one is not None]
            assert walked == [one for _, one in sorted(present.items()) if 10 < one.sequence <= 50]
    assert list(index.above(0)) == [one for _, one in sorted(present.items())]
