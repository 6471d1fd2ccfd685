"""The load: who counts, who is in flight, what fails."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from lab.bench import load
from lab.bench.load import Window, all_of, closed, keys, paced


@dataclass
class Answer:
    degraded: bool = False


class Store:
    """Answers after a while; every tenth put fails, every seventh is degraded."""

    def __init__(self) -> None:
        self.puts: list[str] = []
        self.in_flight = self.most = 0

    async def put(self, key: str, value: bytes) -> Answer:
        self.puts.append(key)
        number = len(self.puts)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(0.002)
        self.in_flight -= 1
        if number % 10 == 0:
            raise ConnectionError("no")
        return Answer(number % 7 == 0)


def test_closed_keeps_so_many_in_flight_and_leaves_none() -> None:
    store = Store()
    window = asyncio.run(closed(store.put, keys("k", 3), 20, 0.2))
    assert store.most == 20
    assert store.in_flight == 0
    counted = len(window.took_ms) + window.failed["ConnectionError"]
    assert counted == len(store.puts) - 20  # those begun before the window itself began do not count
    assert counted // 10 - 2 <= window.failed["ConnectionError"] <= counted // 10 + 2
    assert window.degraded > 0
    assert set(store.puts) == {"k.000000", "k.000001", "k.000002"}
    assert min(window.took_ms) >= 2
    assert window.per_s == len(window.took_ms) / window.seconds


def test_the_ramp_does_not_count() -> None:
    store, clock = Store(), iter([{"servers": 1.0}, {"servers": 3.5}])
    window = asyncio.run(closed(store.put, keys("k", 3), 5, 0.1, ramp_s=0.2, used=lambda: next(clock)))
    assert len(window.took_ms) < len(store.puts) / 2
    assert window.cpu_s == {"servers": 2.5}
    assert window.cpu_per_1000("servers") == 2500 / len(window.took_ms)


def test_paced_keeps_the_pace_whatever_the_store_does() -> None:
    async def never(key: str, value: bytes) -> None:
        sent.append(key)
        await asyncio.sleep(0.3)

    sent: list[str] = []
    window = asyncio.run(paced(never, keys("k", 1000), 200, lambda passed: passed >= 0.5))
    assert 90 <= len(sent) <= 101
    assert len(window.took_ms) == len(sent)


def test_who_keeps_puts_from_beginning_is_charged_for_it() -> None:
    """Open-loop: a put that could not begin in time has been waited for since it was due."""

    async def stalls_once(key: str, value: bytes) -> None:
        if key.endswith("000005"):
            time.sleep(0.2)  # nothing else runs in this loop, clients' code included

    window = asyncio.run(paced(stalls_once, keys("k", 1000), 200, lambda passed: passed >= 0.5))
    late = [took_ms for took_ms in window.took_ms if took_ms > 20]
    assert len(late) >= 30  # of those due in 0.2 s, not only the one that stalled


def test_a_failed_put_is_no_quick_one() -> None:
    window = Window(seconds=1.0, took_ms=[1.0] * 97, failed=Counter(Timeout=3))
    assert (window.p50_ms, window.p99_ms, window.per_s) == (1.0, math.inf, 97)
    assert math.isnan(Window().p50_ms)


def test_an_unanswered_put_is_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(key: str, value: bytes) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(load, "DRAIN_S", 0.05)
    window = asyncio.run(paced(never, keys("k", 1000), 100, lambda passed: passed >= 0.1))
    assert window.failed[load.UNANSWERED] >= 5
    assert window.p50_ms == math.inf
    window = asyncio.run(closed(never, keys("k", 1000), 4, 0.05))
    assert (window.failed[load.UNANSWERED], window.took_ms) == (0, [])  # they were begun before the window


def test_all_of_puts_each_once() -> None:
    store = Store()
    window = asyncio.run(all_of(store.put, iter(["a", "b", "c"]), b"v", in_flight=2))
    assert sorted(store.puts) == ["a", "b", "c"]
    assert len(window.took_ms) == 3
