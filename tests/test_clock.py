"""The seeded source draws the same everywhere and for ever; the clock only goes forward."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from lab.clock import NS_PER_MS, now_ns, seeded, sleep_until, wall_pair

PINNED: dict[str, tuple[tuple[Any, ...], list[int]]] = {
    "no label": ((1,), [276092, 760942, 347564]),
    "one label": ((1, "kv"), [717240, 600456, 695120]),
    "labels of several kinds": ((1, "kv", 3, "us->eu"), [850490, 333766, 635351]),
    "another seed": ((2, "kv"), [63848, 884299, 737532]),
}


@pytest.mark.parametrize("case", PINNED)
def test_draws_are_pinned(case: str) -> None:
    """A change here changes what every old seed means."""
    arguments, first = PINNED[case]
    draw = seeded(*arguments)
    assert [draw.randrange(1_000_000) for _ in range(3)] == first


def test_one_purpose_never_shifts_another() -> None:
    first = seeded(7, "latency")
    other = seeded(7, "kv")
    alone = seeded(7, "latency").random()
    for _ in range(100):
        other.random()
    assert first.random() == alone


def test_a_number_and_its_text_are_one_label() -> None:
    assert seeded(1, 3).random() == seeded(1, "3").random()


def test_sleep_until_returns_at_or_after_the_instant() -> None:
    at_ns = now_ns() + 20 * NS_PER_MS
    asyncio.run(sleep_until(at_ns))
    assert at_ns <= now_ns() < at_ns + 2_000 * NS_PER_MS


def test_sleep_until_a_passed_instant_returns_at_once() -> None:
    began_ns = now_ns()
    asyncio.run(sleep_until(began_ns - 10_000 * NS_PER_MS))
    assert now_ns() - began_ns < 2_000 * NS_PER_MS


def test_wall_pair_is_wall_then_monotonic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 6)
    assert wall_pair() == (5, 6)
