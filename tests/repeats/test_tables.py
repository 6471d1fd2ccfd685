"""Repeats as tables: what a reader of a terminal and of Markdown is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from lab.repeats import gather, tables
from lab.repeats.model import Repeats
from lab.results import Run
from tests.repeats import made


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [
        made.run(tmp_path, 1, us_fault=0.7, outage_s=20, lost=1, verdict="invalid"),
        made.run(tmp_path, 2, us_fault=0.8, outage_s=10, verdict="invalid"),
        made.run(tmp_path, 3, us_fault=0.6, outage_s=15, verdict="invalid"),
        made.run(tmp_path, 4, verdict="unknown"),
    ]


@pytest.fixture
def found(runs: list[Run]) -> Repeats:
    return gather.together(runs)


def drawn(what: RenderableType, width: int) -> list[str]:
    console = Console(width=width, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(what)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_terminal_is_told_everything(found: Repeats) -> None:
    lines = drawn(tables.text(found, 120), 120)
    assert lines[0] == (
        "gray on memory, pair, leaders in home: 4 runs, seeds 1, 2, 3, 4: 3 × invalid, 1 × unknown; 0 of 4 as expected."
    )
    said = "\n".join(lines)
    [us] = [line for line in lines if line.startswith("us ")]
    assert us.split()[:4] == ["us", "all", "100", "70.0"]
    assert "[45.2–94.8]" in said
    assert "3 of 3" in us
    assert us.split()[-1] == "1", "writes lost, summed"
    assert "Blast radius: us in 3 of 3 (put 3)" in said
    assert "Left out of every number: seed 4, unknown: loop lag p99 34 ms > 10 ms (and 1 more)." in said
    assert any(line.startswith("sg* ") for line in lines)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_number_is_torn(found: Repeats, width: int) -> None:
    lines = drawn(tables.text(found, width), width)
    assert max(map(len, lines)) <= width
    assert any("[45.2–94.8]" in line for line in lines)
    assert not any("…" in line for line in lines)


def test_a_narrow_terminal_has_no_kinds(found: Repeats) -> None:
    assert not any("put" in line.split("(")[0] for line in drawn(tables.text(found, 80), 80))


def test_markdown_says_the_same(found: Repeats) -> None:
    text = tables.markdown(found)
    assert text.startswith("### gray on memory, pair, leaders in home: 4 runs")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2 * 5, "a head, its rule, all and four kinds of two regions"
    assert {line.count("|") for line in rows} == {len(tables.HEAD) + 1}
    assert "| us | all | 100 | 70.0 [45.2–94.8] | 100 | 3 of 3 |" in text
    assert "| sg\\* |" in text
    assert "Left out of every number: seed 4" in text


def test_cells_can_not_break_a_markdown_table() -> None:
    assert tables.pipes(["a"], [["x|y<b>"]]).splitlines()[2] == "| x\\|y&lt;b> |"
