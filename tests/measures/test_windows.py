"""Window arithmetic: widths that hold 20, spans of at least two, areas below steady."""

from __future__ import annotations

import random

import pytest

from lab.measures.windows import MIN_DUE, fold, per_second, shortfall_s, spans, width_s

S = 1_000_000_000


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        pytest.param([20] * 10, 1, id="20 a second"),
        pytest.param([19] * 10, 2, id="19 a second"),
        pytest.param([4] * 62, 5, id="watches at 4 a second"),
        pytest.param([40] * 5 + [10] + [40] * 6, 2, id="one thin second widens all"),
        pytest.param([40, 40, 1], 2, id="the thin rest of a wider width is dropped"),
        pytest.param([1] * 19, None, id="the whole load is too thin"),
        pytest.param([1] * 20, 20, id="the whole load is one window"),
        pytest.param([], None, id="no full second"),
    ],
)
def test_width(due: list[int], expected: int | None) -> None:
    assert width_s(due) == expected


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(".x.", [], id="a single bad window is no outage"),
        pytest.param(".xx.", [(1, 2)], id="two are"),
        pytest.param("xx", [(0, 1)], id="from begin to end"),
        pytest.param("x.x.x", [], id="alternating"),
        pytest.param("xxx.xx", [(0, 2), (4, 5)], id="two outages"),
    ],
)
def test_spans(bad: str, expected: list[tuple[int, int]]) -> None:
    assert spans([letter == "x" for letter in bad]) == expected


@pytest.mark.parametrize(
    ("since_s", "expected"),
    [
        pytest.param(0.0, 3.0, id="from the begin: 2 × 1 + 2 × 0.5"),
        pytest.param(3.0, 2.0, id="in the middle of a window: 1 × 1 + 2 × 0.5"),
        pytest.param(6.0, 0.0, id="when all is well"),
        pytest.param(-5.0, 3.0, id="before the begin"),
    ],
)
def test_shortfall(since_s: float, expected: float) -> None:
    assert shortfall_s([1.0, 0.0, 0.5, 1.0], 1.0, 0.0, 2, since_s) == pytest.approx(expected)


def test_better_than_steady_earns_nothing() -> None:
    assert shortfall_s([1.0, 0.45], 0.9, 0.0, 1, 0.0) == pytest.approx(0.5)


def test_instants_on_borders_and_outside() -> None:
    instants = [9 * S, 10 * S, 11 * S - 1, 11 * S, 12 * S, 12 * S + S // 2]
    assert per_second(instants, 10 * S, 12 * S + S // 2 + 1) == [2, 1]


@pytest.mark.parametrize("seed", range(25))
def test_windows_of_random_loads(seed: int) -> None:
    """Every full window holds enough, no narrower width does, and nothing is counted twice."""
    chance = random.Random(seed)
    seconds, rate = chance.randint(1, 90), chance.uniform(0.2, 60)
    instants = [chance.randint(-S, seconds * S + S) for _ in range(int(rate * seconds))]
    due = per_second(instants, 0, seconds * S)
    assert sum(due) == sum(0 <= at_ns < seconds * S for at_ns in instants)
    width = width_s(due)
    if width is None:
        assert sum(due) < MIN_DUE
        return
    assert min(fold(due, width)) >= MIN_DUE
    assert all(min(fold(due, narrower)) < MIN_DUE for narrower in range(1, width))
    assert sum(fold(due, width)) == sum(due[: seconds // width * width])


@pytest.mark.parametrize("seed", range(25))
def test_spans_of_random_windows(seed: int) -> None:
    """Spans are bad throughout, maximal, and leave out only lone bad windows."""
    chance = random.Random(seed)
    bad = [chance.random() < 0.5 for _ in range(chance.randint(0, 60))]
    inside = set()
    for first, last in spans(bad):
        assert last > first
        assert all(bad[first : last + 1])
        assert (first == 0 or not bad[first - 1]) and (last == len(bad) - 1 or not bad[last + 1])
        inside |= set(range(first, last + 1))
    for i in set(range(len(bad))) - inside:
        assert not bad[i] or (not (i > 0 and bad[i - 1]) and not (i + 1 < len(bad) and bad[i + 1]))
