"""Many runs as one table; seeds of one experiment are one row, the newest run of a seed counts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from lab import index
from lab.errors import UnknownName
from lab.results import Run, write_json
from tests.repeats import made


@pytest.fixture
def found(tmp_path: Path) -> list[Run]:
    spreads = "memory+bug=spreads"
    made.run(tmp_path, 1, name="1-spreads", arm=spreads, outage_s=99, verdict="invalid")
    made.run(tmp_path, 2, name="2-spreads", arm=spreads, outage_s=14, verdict="invalid")
    made.run(tmp_path, 1, name="3-loses", arm="memory+bug=loses_writes", lost=3, verdict="invalid")
    made.run(tmp_path, 1, name="4-spreads-again", arm=spreads, outage_s=15, verdict="invalid")
    (tmp_path / "5-died").mkdir()
    return index.runs(tmp_path)


def test_a_run_that_died_is_left_out(found: list[Run]) -> None:
    assert [run.path.name for run in found] == ["1-spreads", "2-spreads", "3-loses", "4-spreads-again"]


def test_seeds_share_a_row(found: list[Run]) -> None:
    rows = [dict(zip(index.HEAD, row, strict=True)) for row in index.table(found)]
    assert [(row["arm"], row["seeds"], row["verdict"]) for row in rows] == [
        ("memory+bug=loses_writes", "1", "1 × invalid"),
        ("memory+bug=spreads", "1, 2", "2 × invalid"),
    ]
    loses, spreads = rows
    assert loses["blast radius"] == "empty"
    assert loses["acknowledged writes lost, per run"] == "3"
    assert spreads["blast radius"] == "us (put 2/2)"
    assert spreads["acknowledged writes lost, per run"] == "0"
    assert spreads["longest outage there"] == "14.5 s (14.0–15.0)", "of equal seeds the newest counts"


def test_a_row_has_interval_and_extremes_and_fits_a_terminal(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        made.run(tmp_path, seed, us_fault=0.6 + 0.1 * seed, outage_s=5.0 * seed, verdict="invalid")
    rows = index.table(index.runs(tmp_path))
    [row] = [dict(zip(index.HEAD, row, strict=True)) for row in rows]
    assert row["topology"] == "pair"
    assert row["survivors' worst availability in fault"] == "80.0 % [55.2–100] (70.0–90.0)"
    assert row["longest outage there"] == "10.0 s [0.0–22.4] (5.0–15.0)"
    assert row["out after fault"] == "1 s"
    assert row["recovered after heal"] == "2.00 s [0.00–4.48] (1.00–3.00)"
    for width in (80, 110, 120):
        console = Console(width=width, no_color=True, highlight=False)
        with console.capture() as capture:
            console.print(index.text(rows, width))
        lines = capture.get().splitlines()
        assert max(map(len, lines)) <= width
        assert any("[55.2–100]" in line for line in lines)


def test_markdown_holds_the_table_and_the_repeats(found: list[Run]) -> None:
    text = index.markdown(found)
    assert text.startswith("| experiment | topology |")
    assert "### gray on memory+bug=spreads, pair, leaders in home: 2 runs, seeds 1, 2" in text
    assert "### gray on memory+bug=loses_writes" not in text, "one run is no repeat"


def test_a_run_another_version_wrote_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    good, old, damaged = (made.run(tmp_path, seed) for seed in (1, 2, 3))
    write_json(old.path / "measurements.json", {"slept": 0})
    (damaged.path / "plan.json").write_text("{")
    kept, sentences = index.readable(index.runs(tmp_path))
    assert kept == [good]
    assert re.search(
        r"s2/measurements.json is not as this version of the lab writes it \(slept\); `lab judge", sentences[0]
    )
    assert re.search(r"s3/plan.json is damaged: expected JSON, .*; copy the run's directory again", sentences[1])


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="none is no folder that can be read; give one that holds runs"):
        index.runs(tmp_path / "none")


def test_the_table_can_be_saved(found: list[Run]) -> None:
    data = index.as_data(index.table(found), "about")
    assert json.loads(json.dumps(data))["head"][0] == "experiment"
