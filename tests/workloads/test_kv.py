"""The load: how much of what, when, on whose keys; and that seeds decide everything."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from lab.clock import NS_PER_S
from lab.errors import DoesNotFit
from lab.protocols import Due, Entry, Result
from lab.workloads.kv import ONCE, ONCE_EVERY, KvWorkload

REGIONS = ["us", "eu", "sg"]
LOAD_S = 62.0


def operations(kv: KvWorkload, seed: int = 1, load_s: float = LOAD_S) -> list[Due]:
    return kv.operations("us", REGIONS, load_s, seed)


def test_shares_are_whole() -> None:
    assert sum(KvWorkload().shares().values()) == pytest.approx(1)


@pytest.mark.parametrize("rate_per_s", [5.0, 25.0, 50.0, 100.0, 150.0])
@pytest.mark.parametrize("seed", [1, 7])
def test_rates_by_kind(rate_per_s: float, seed: int) -> None:
    kv = KvWorkload(rate_per_s=rate_per_s)
    found = Counter(kv.kind("us", due) for due in operations(kv, seed))
    for kind, share in kv.shares().items():
        assert found[kind] == pytest.approx(rate_per_s * share * LOAD_S, abs=1), kind


@pytest.mark.parametrize("seed", range(5))
def test_every_whole_second_holds_the_rate(seed: int) -> None:
    """Fixed arrivals: whoever counts a window by windows finds the same number in each, ± one a kind."""
    kv = KvWorkload()
    windows: dict[str, Counter[int]] = {}
    for due in operations(kv, seed):
        windows.setdefault(kv.kind("us", due), Counter())[due.offset_ns // NS_PER_S] += 1
    for kind, share in kv.shares().items():
        counts = [windows[kind][second] for second in range(int(LOAD_S))]
        assert all(abs(count - 100 * share) <= 1 for count in counts), (kind, counts)


def test_fixed_arrivals_are_evenly_spaced() -> None:
    kv = KvWorkload()
    puts = [due.offset_ns for due in operations(kv) if due.operation == "put"]
    gaps = {b - a for a, b in pairwise(puts)}
    assert max(gaps) - min(gaps) <= 10, "within nanoseconds"
    assert 0 <= puts[0] < NS_PER_S / 40


def test_poisson_arrivals_are_not_but_keep_the_rate() -> None:
    kv = KvWorkload(arrivals="poisson")
    puts = [due.offset_ns for due in operations(kv, load_s=600) if due.operation == "put"]
    assert len(puts) == pytest.approx(600 * 40, rel=0.03)
    gaps = [b - a for a, b in pairwise(puts)]
    assert max(gaps) > 5 * sum(gaps) / len(gaps)


def test_seeds_decide_everything() -> None:
    kv = KvWorkload()
    assert operations(kv, 1) == operations(kv, 1)
    assert operations(kv, 1) != operations(kv, 2)
    assert kv.operations("us", REGIONS, LOAD_S, 1) != kv.operations("eu", REGIONS, LOAD_S, 1)


def test_regions_write_their_own_keys_only_and_read_everyones() -> None:
    kv = KvWorkload()
    due = operations(kv)
    assert {one.home for one in due if one.operation == "put"} == {"us"}
    assert {one.home for one in due if kv.kind("us", one) == "get_own"} == {"us"}
    assert {one.home for one in due if kv.kind("us", one) == "get_others"} == {"eu", "sg"}
    assert {one.home for one in due if one.operation == "watch"} == set(REGIONS)
    known = {kv.key(number) for number in range(kv.keys)}
    assert {one.key for one in due if one.operation == "get"} <= known
    assert {one.key for one in due if one.operation == "put" and not one.key.startswith(ONCE)} <= known
    assert {one.key for one in due if one.operation == "watch"} <= {key.split(".")[0] for key in known}


def test_every_tenth_write_is_to_a_key_never_written_again() -> None:
    puts = [due.key for due in operations(KvWorkload()) if due.operation == "put"]
    once = [key for key in puts if key.startswith(ONCE)]
    assert len(once) == len(set(once)) == pytest.approx(len(puts) / ONCE_EVERY, abs=1)


def test_due_times_are_sorted_and_within_the_load() -> None:
    offsets = [due.offset_ns for due in operations(KvWorkload())]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0 and offsets[-1] < LOAD_S * NS_PER_S


def test_values_are_unique() -> None:
    kv = KvWorkload()
    values = [due.value for region in REGIONS for due in kv.operations(region, REGIONS, LOAD_S, 1) if due.value]
    values += [due.value for region in REGIONS for due in kv.preload(region)]
    assert len(values) == len(set(values))


def test_preload_and_settle_cover_every_key_once() -> None:
    kv = KvWorkload(keys=40, groups=8)
    assert len({due.key for due in kv.preload("eu")}) == 40
    assert {due.home for due in kv.preload("eu")} == {"eu"}
    read = [(due.home, due.key) for due in kv.settle(REGIONS, LOAD_S, 1)]
    assert len(read) == len(set(read))
    written = {(due.home, due.key) for home in REGIONS for due in kv.operations(home, REGIONS, LOAD_S, 1) if due.value}
    assert set(read) == written | {(home, kv.key(number)) for home in REGIONS for number in range(40)}
    assert Counter(due.key.split(".")[0] for due in kv.preload("eu")) == {f"g{g:02d}": 5 for g in range(8)}


def test_two_regions_are_enough() -> None:
    kv = KvWorkload()
    assert {one.home for one in kv.operations("a", ["a", "b"], 10, 1)} == {"a", "b"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate_per_s": 4}, "rate_per_s must be between 5 and 2000, found 4"),
        ({"rate_per_s": 3000}, "found 3000"),
        ({"keys": 10, "groups": 20}, "1 ≤ groups ≤ keys ≤ 100000, found groups 20, keys 10"),
        ({"groups": 0}, "found groups 0"),
        ({"deadline_s": 0}, "0 < deadline_s ≤ 60"),
        ({"value_bytes": 8}, "16 ≤ value_bytes ≤ 65536"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(DoesNotFit, match=said):
        KvWorkload(**settings)


class Spy:
    """A client that notes what is asked of it."""

    def __init__(self, entries: list[Entry | None] | None = None) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._entries = entries or []
        self.closed = False

    async def put(self, *args: str) -> str:
        self.calls.append(("put", *args))
        return "7"

    async def get(self, *args: str) -> Entry | None:
        self.calls.append(("get", *args))
        return self._entries[0] if self._entries else None

    def watch(self, *args: str) -> Spy:
        self.calls.append(("watch", *args))
        return self

    async def __aenter__(self) -> Any:
        async def entries() -> Any:
            for entry in self._entries:
                yield entry
            raise AssertionError("asked for more than the initial values")

        return entries()

    async def __aexit__(self, *_: object) -> None:
        self.closed = True


def test_what_is_performed() -> None:
    kv = KvWorkload(value_bytes=20)

    def perform(spy: Spy, due: Due) -> Result:
        return asyncio.run(kv.perform(spy, due))  # type: ignore[arg-type]

    spy = Spy()
    assert perform(spy, Due(0, "put", "us", "g01.001", "us.5")) == Result("us.5", "7")
    [(_, _, _, written)] = spy.calls
    assert spy.calls == [("put", "us", "g01.001", written)]
    assert written.rstrip("~") == "us.5" and 12 < len(written) <= 20
    assert perform(Spy(), Due(0, "get", "us", "g01.001")) == Result()
    assert perform(Spy([Entry("g01.001", "us.5~~~", "9")]), Due(0, "get", "us", "g01.001")) == Result("us.5", "9")
    watching = Spy([Entry("g01.001", "x", "1"), None])
    assert perform(watching, Due(0, "watch", "eu", "g01")) == Result()
    assert watching.calls == [("watch", "eu", "g01.*")] and watching.closed
