"""The interval of a mean: against published numbers, by hand, and by how often it holds the truth."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from statistics import fmean, quantiles

import pytest

from lab import intervals
from lab.clock import seeded
from lab.intervals import Interval

DRAWS, RESAMPLES = 1000, 300
Draw = Callable[[random.Random], float]
# name in the docstring's table → (one value, the true mean)
TRUTHS: dict[str, tuple[Draw, float]] = {
    "a normal distribution": (lambda r: r.gauss(10, 1), 10.0),
    "an exponential one (skewed)": (lambda r: r.expovariate(1), 1.0),
    "two humps, half each": (lambda r: (28 if r.random() < 0.5 else 2) + r.gauss(0, 0.5), 15.0),
    "a rare hump, 1 in 5": (lambda r: (28 if r.random() < 0.2 else 2) + r.gauss(0, 0.5), 7.2),
}


@pytest.mark.parametrize(
    ("degrees", "factor"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (10, 2.228), (29, 2.045), (100, 1.984), (999, 1.962)],
)
def test_students_factors_are_those_of_every_table(degrees: int, factor: float) -> None:
    assert intervals.student(degrees) == pytest.approx(factor, abs=5e-4)


def test_by_hand() -> None:
    """28, 29, 30: mean 29, s = 1, half = 4.303 / √3 = 2.484."""
    found = intervals.of_mean([28.0, 30.0, 29.0])
    assert found is not None
    assert found.low == pytest.approx(29 - 2.484, abs=1e-3)
    assert found.high == pytest.approx(29 + 2.484, abs=1e-3)


def test_ends_where_the_number_does() -> None:
    assert intervals.of_mean([0.0, 0.5, 1.0], least=0, most=1) == Interval(0, 1)
    assert intervals.of_mean([0.0, 0.0, 28.0], least=0).low == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_of_fewer_than_three_there_is_none(values: list[float]) -> None:
    assert intervals.of_mean(values) is None


@pytest.mark.parametrize("value", [0.0, 0.1, 28.65])
def test_of_equal_values_it_has_no_width(value: float) -> None:
    assert intervals.of_mean([value] * 3) == Interval(value, value)


def test_does_not_depend_on_the_order() -> None:
    values = [3.1, 2.7, 8.2, 2.9]
    assert intervals.of_mean(values) == intervals.of_mean(values[::-1])


def bootstrap(values: list[float], source: random.Random) -> Interval:
    """The usual percentile bootstrap of the mean, to compare with."""
    of_40 = quantiles(
        (fmean(source.choices(values, k=len(values))) for _ in range(RESAMPLES)), n=40, method="inclusive"
    )
    return Interval(of_40[0], of_40[-1])


def held(name: str, k: int, of: Callable[[list[float], random.Random], Interval | None]) -> float:
    """In which share of draws the interval of k values held the true mean."""
    draw, truth = TRUTHS[name]
    source = seeded(1, name, k)
    found = [of([draw(source) for _ in range(k)], source) for _ in range(DRAWS)]
    return sum(one is not None and one.low <= truth <= one.high for one in found) / DRAWS


def documented(name: str) -> dict[tuple[int, str], float]:
    """What the docstring says: (k, method) → share."""
    [line] = [line for line in (intervals.__doc__ or "").splitlines() if line.strip().startswith(name)]
    shares = [float(share) for share in re.findall(r"\b0\.\d\d\b", line)]
    return dict(zip([(k, method) for k in (3, 5, 10) for method in ("boot.", "t")], shares, strict=True))


@pytest.mark.parametrize("k", [3, 5, 10])
@pytest.mark.parametrize("name", TRUTHS)
def test_it_holds_the_truth_as_often_as_the_docstring_says(name: str, k: int) -> None:
    """1,000 draws tell a share to ± 0.03."""
    measured = held(name, k, lambda values, _: intervals.of_mean(values))
    assert measured == pytest.approx(documented(name)[k, "t"], abs=0.035)


@pytest.mark.parametrize("k", [3, 5, 10])
def test_a_bootstrap_would_hold_it_less_often(k: int) -> None:
    name = "a normal distribution"
    measured = held(name, k, bootstrap)
    assert measured == pytest.approx(documented(name)[k, "boot."], abs=0.035)
    assert measured < 0.95 - 0.02
