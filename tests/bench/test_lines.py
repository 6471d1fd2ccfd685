"""A line's arithmetic: spread, percentile, ratios, bars, words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lab.bench.lines import against, alone, beside, worded
from lab.bench.spread import Spread, percentile, ratios


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([1.0], 0.99, 1.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 101)], 1.0, 100.0),
        ([float(number) for number in range(1, 201)], 0.99, 198.0),
        ([5.0, 1.0], 0.0, 1.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


def test_spread() -> None:
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)
    with pytest.raises(ValueError, match="at least one"):
        Spread.of([])


def test_ratios_are_of_pairs() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert ratios([2.0], [0.0]) == [math.inf]
    with pytest.raises(ValueError):
        ratios([1.0, 2.0], [1.0])


def test_beside_compares_pair_by_pair() -> None:
    """The middle of the ratios, not the ratio of the middles."""
    line = beside(1, "puts", [100, 300, 200], [100, 100, 400], "/s", at_least=1.25)
    assert (line.syncstore, line.jetstream) == ("200/s", "100/s")
    assert line.ratio == "1.00 × (0.500–3.00)"
    assert (line.bar, line.met) == ("≥ 1.25 ×", False)
    assert line.numbers["ratios"] == [1.0, 3.0, 0.5]


@pytest.mark.parametrize(
    ("ours", "theirs", "bar", "met"),
    [
        ([125.0], [100.0], {"at_least": 1.25}, True),
        ([124.0], [100.0], {"at_least": 1.25}, False),
        ([1.0], [1.0], {"at_most": 1.0}, True),
        ([1.1], [1.0], {"at_most": 1.0}, False),
        ([4.0], [80.0], {"lower_by": 20}, True),
        ([4.1], [80.0], {"lower_by": 20}, False),
        ([4.1], [80.0], {}, None),
    ],
)
def test_bars(ours: list[float], theirs: list[float], bar: dict[str, float], met: bool | None) -> None:
    assert beside(1, "x", ours, theirs, "ms", **bar).met is met


def test_lower_by_turns_the_ratio() -> None:
    assert beside(2, "p50", [4.0], [80.0], "ms", lower_by=20).ratio.startswith("20.0 ×")


@pytest.mark.parametrize(
    ("harmed", "steady", "met"),
    [
        ([1.1, 1.1], [1.0, 1.0], True),  # within a tenth
        ([2.9, 2.9], [1.0, 1.0], True),  # within 2 ms
        ([33.0, 33.0], [30.5, 30.5], True),  # within a tenth, though not within 2 ms
        ([34.0, 34.0], [30.0, 30.0], False),
        ([1.0, 99.0, 1.0], [1.0, 1.0, 1.0], True),  # one bad pair of three is not the middle
    ],
)
def test_against_itself(harmed: list[float], steady: list[float], met: bool) -> None:
    line = against(3, "p50, others dead", harmed, steady, within=0.1, or_ms=2, name="steady")
    assert line.met is met
    assert line.what.startswith("p50, others dead (steady ")


def test_alone() -> None:
    assert alone(4, "p99", 49.9, "ms", at_most=50).met is True
    line = alone(4, "p99", 50.1, "ms", at_most=50, links={"a->b": 1.0})
    assert (line.syncstore, line.bar, line.met) == ("50.1 ms", "≤ 50 ms", False)
    assert line.numbers["links"] == {"a->b": 1.0}
    assert alone(4, "p50", 1.0, "ms").met is None


def test_nothing_measured_meets_no_bar() -> None:
    assert alone(4, "p99", math.nan, "ms", at_most=50).met is False
    assert beside(1, "x", [math.nan], [1.0], "ms", at_most=1.0).met is False


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (31234.4, "/s", "31,234/s"),
        (0.4226, "ms", "0.423 ms"),
        (1.5, "s", "1.50 s"),
        (12.345, "ms", "12.3 ms"),
        (348, "puts", "348 puts"),
        (math.inf, "ms", "none"),
    ],
)
def test_words(value: float, unit: str, text: str) -> None:
    assert worded(value, unit) == text


def test_json_holds_no_infinity(tmp_path: Path) -> None:
    line = beside(1, "x", [1.0], [0.0], "/s")
    assert json.loads(json.dumps(line.as_json(), allow_nan=False))["numbers"]["ratios"] == [None]
