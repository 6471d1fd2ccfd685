"""Many runs as one table; seeds of one experiment are one row, the newest run of a seed counts."""

from __future__ import annotations

import json

import pytest

from lab import index
from lab.results import Run
from tests.test_memory_runs import run_once


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("results")
    for name, arm, seed in (
        ("1-spreads", "memory+bug=spreads", 1),
        ("2-spreads", "memory+bug=spreads", 2),
        ("3-loses", "memory+bug=loses_writes", 1),
        ("4-spreads-again", "memory+bug=spreads", 1),
    ):
        run_once(folder / name, arm, seed=seed)
    (folder / "5-died").mkdir()
    return index.runs(folder)


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
    assert float(loses["acknowledged writes lost"]) > 0
    assert spreads["blast radius"] == "us (put 2/2); eu (put 2/2)"
    assert spreads["acknowledged writes lost"] == "0"
    assert 12 < float(spreads["longest outage there"].split(" ")[0]) < 16


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        ([], "s", "–"),
        ([3.0], "s", "3 s"),
        ([2.0, 2.0], "", "2"),
        ([1.0, 9.0, 2.0], "s", "2 s (1–9)"),
    ],
)
def test_spread(values: list[float], unit: str, said: str) -> None:
    assert index._spread(values, unit) == said


def test_the_table_can_be_saved(found: list[Run]) -> None:
    data = index.as_data(index.table(found), "about")
    assert json.loads(json.dumps(data))["head"][0] == "experiment"
