"""The table of many runs: the same rows for a terminal and as Markdown, which holds what it may."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from lab import outcomes
from lab.batch import Outcome


def outcome(word: str = "valid", *, as_expected: bool | None = None, seed: int = 1, **more: str) -> Outcome:
    """One outcome; a surprise where it is not as expected."""
    expected = word == "valid" if as_expected is None else as_expected
    facts = {"experiment": "gray-region", "arm": "js@2.10", "leaders_in": "home", "path": ""}
    facts |= {"blast_radius": "us (put)", "surprise": "" if expected else "us fell."}
    return Outcome(**(facts | more), seed=seed, verdict=word, as_expected=expected, why=[])  # type: ignore[arg-type]


FOUR = [outcome(), outcome("invalid", seed=2), outcome("unknown", seed=3), outcome("refused", seed=4)]


def shown(found: list[Outcome], width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(outcomes.text(found))
    return out.getvalue()


def test_rows_say_what_was_found_and_for_a_surprise_why() -> None:
    assert outcomes.rows([outcome("invalid", as_expected=True), outcome("unknown", seed=2)]) == [
        ("gray-region", "js@2.10", "home", "1", "invalid", "as expected", "us (put)", ""),
        ("gray-region", "js@2.10", "home", "2", "unknown", "no", "us (put)", "us fell."),
    ]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_loses_no_word_however_narrow(width: int) -> None:
    long = outcome("invalid", arm="jetstream-stretched@2.10.26+sync=always", surprise="us [and eu] fell.")
    text = shown([long], width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "us [and eu] fell." in " ".join(text.split())


def test_beneath_stands_what_surprised_and_the_sum() -> None:
    lines = shown(FOUR).splitlines()
    assert lines[-4] == "gray-region on js@2.10, leaders in home, seed 2: us fell."
    assert lines[-1] == "4 runs: 1 as expected, 1 other than expected, 1 unknown, 1 refused."


@pytest.mark.parametrize(
    ("found", "left", "said"),
    [
        ([], 0, "0 runs: none ended."),
        ([], 3, "3 runs: none ended; 3 not made."),
        ([outcome()], 0, "1 run: 1 as expected."),
        ([outcome(), outcome()], 1, "3 runs: 2 as expected; 1 not made."),
    ],
)
def test_tally(found: list[Outcome], left: int, said: str) -> None:
    assert outcomes.tally(found, left) == said


def test_markdown_is_a_table() -> None:
    assert outcomes.markdown(FOUR[:1]) == (
        "| experiment | arm | leaders in | seed | verdict | expected | blast radius | why |\n"
        "|---|---|---|---|---|---|---|---|\n"
        "| gray-region | js@2.10 | home | 1 | valid | as expected | us (put) |  |\n"
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("a\nb\r\n\tc", "a b c"),
        ("<b>&amp;", "&lt;b>&amp;amp;"),
        ("üß →", "üß →"),
    ],
)
def test_a_cell_can_not_break_its_row(text: str, cell: str) -> None:
    found = outcomes.markdown([outcome("invalid", surprise=text)])
    assert found.splitlines()[-1].endswith(f"| {cell} |")
    assert len(found.splitlines()) == 3


@pytest.mark.parametrize("limit", [400, 1000, 1001, 5000, 64 * 1024])
@pytest.mark.parametrize("word", ["x", "→ü"])
def test_markdown_fits_in_bytes_and_leaves_out_whole_rows(limit: int, word: str) -> None:
    found = [outcome("invalid", seed=seed, surprise=word * (seed % 90)) for seed in range(1000)]
    text = outcomes.markdown(found, limit)
    assert len(text.encode()) <= limit
    *rows, blank, last = text.splitlines()[2:]
    assert blank == ""
    whole = set(outcomes.markdown(found).splitlines())
    assert rows and set(rows) <= whole
    counted = re.fullmatch(r"(\d+) runs left out: there was no room for more\.", last)
    assert counted and len(rows) + int(counted[1]) == 1000
    shortest = min(len(line.encode()) for line in whole - set(rows) if "gray-region" in line)
    assert limit - len(text.encode()) <= shortest + 4, "no row that had room was left out"


def test_what_fits_exactly_is_not_cut() -> None:
    text = outcomes.markdown(FOUR)
    assert outcomes.markdown(FOUR, len(text.encode())) == text
    assert "left out" in outcomes.markdown(FOUR, len(text.encode()) - 1)


def test_one_row_that_is_too_long_is_left_out_alone() -> None:
    text = outcomes.markdown([outcome("invalid", surprise="x" * 70_000), outcome(seed=2)], 64 * 1024)
    assert "x" * 10 not in text and "| 2 |" in text and "\n1 run left out" in text
