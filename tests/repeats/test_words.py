"""How numbers over runs are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.repeats import gather, words
from tests.repeats import made

NUMBERS = [
    # values, short, full with unit s
    ([28.5, 28.6, 28.8], "28.6 [28.3–29.0]", "28.6 s [28.3–29.0] (28.5–28.8)"),
    ([28.5, 28.7], "28.6 (28.5–28.7)", "28.6 s (28.5–28.7)"),
    ([28.5], "28.5", "28.5 s"),
    ([2.0, 2.0, 2.0], "2", "2 s"),
    ([0.0, 0.0], "0", "0 s"),
    ([1.9, None, 2.1], "2.00 (1.90–2.10) in 2 of 3", "2.00 s (1.90–2.10) in 2 of 3"),
    ([None, 1.9, None], "1.9 in 1 of 3", "1.9 s in 1 of 3"),
    ([1432.0, 1500.4, 1466.1], "1,466 [1,381–1,551]", "1,466 s [1,381–1,551] (1,432–1,500)"),
    ([0.0, 0.0, 28.0], "9.3 [0.0–49.5]", "9.3 s [0.0–49.5] (0.0–28.0)"),
    ([None, None, None], "–", "–"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "short", "full"), NUMBERS, ids=[row[1] for row in NUMBERS])
def test_numbers(values: list[float | None], short: str, full: str) -> None:
    spread = gather.spread(values)
    assert words.short(spread, len(values)) == short
    assert words.full(spread, len(values), unit="s") == full


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.668, 0.662, 0.672], "66.7 [65.5–68.0]"),
        ([1.0, 1.0, 0.99999], "99.9+ [99.9+–100]"),
        ([1.0, 1.0, 1.0], "100"),
    ],
)
def test_shares(values: list[float], said: str) -> None:
    assert words.short(gather.spread(values, gather.SHARE), 3, words.share) == said


@pytest.mark.parametrize(
    ("seeds", "said"),
    [([1], "1"), ([1, 2, 3], "1, 2, 3"), ([1, 2, 3, 4, 5], "1–5"), ([1, 2, 3, 4, 6], "1, 2, 3, 4, 6")],
)
def test_seeds(seeds: list[int], said: str) -> None:
    assert words.seeds_said(seeds) == said


def test_runs_that_prove_nothing_for_one_reason_share_a_sentence(tmp_path: Path) -> None:
    found = gather.together([made.run(tmp_path, seed, verdict="unknown") for seed in (1, 2, 3)])
    assert words.left_out_said(found) == [
        "Left out of every number: seeds 1, 2, 3, unknown: loop lag p99 34 ms > 10 ms (and 1 more)."
    ]
