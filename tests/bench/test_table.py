"""What is shown fits a terminal, and says what was measured."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab.bench import about, table
from lab.bench.conduct import titles
from lab.bench.lines import Line, alone, beside
from lab.bench.rows import ROWS

LINES = [
    alone(4, "p99 of all", 12.0, "ms", at_most=50),
    beside(1, "puts, 500 in flight, lww / default", [40_000.0], [30_000.0], "/s", at_least=1.25),
    beside(1, "one by one, p50, lww / always", [1.3], [1.2], "ms", at_most=1),
    Line(6, "not measured: NodeNotReady: node one-1 ended while starting"),
]
TOLD = {
    "cores": 2,
    "cpu": "AMD EPYC",
    "memory_gib": 23.5,
    "load_1m": 0.1,
    "disk": "4 KiB are on disk after 0.3 ms (median of 20)",
    "system": "Linux x86_64",
    "python": "3.11.7",
    "packages": {"nats-py": "2.16.0"},
    "programs": {"nats-server": {"version": "2.15.1"}, "syncstore": {"version": "0.1.0", "sha256": "ab" * 32}},
}


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits(width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table.shown(LINES, titles(), about.sentences(TOLD)))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    for word in ("1.33 × (1.33–1.33)", "40,000/s", "30,000/s", "yes", "NO", "AMD EPYC", "nats-server 2.15.1"):
        assert word in text
    assert text.index("1. One region") < text.index("4. From a put") < text.index("not measured")


def test_the_summary_names_what_was_not_met() -> None:
    found = table.summary(LINES).splitlines()
    assert found[0] == "2 of 3 bars are met; not met:"
    assert found[1] == "  row 1: one by one, p50, lww / always: 1.08 × (1.08–1.08), not ≤ 1 ×"
    assert found[2] == "  row 6: not measured: NodeNotReady: node one-1 ended while starting"
    assert table.summary(LINES[:2]) == "2 of 2 bars are met."


def test_markdown_has_a_table_for_each_row() -> None:
    text = table.markdown(LINES, titles(), about.sentences(TOLD))
    assert text.count("\n|---|") == 3
    assert "| puts, 500 in flight, lww / default | 40,000/s | 30,000/s | 1.33 × (1.33–1.33) | ≥ 1.25 × | yes |" in text


def test_what_is_kept_comes_from_json() -> None:
    text = table.kept({"lines": [line.as_json() for line in LINES]}, titles(), ["one machine"])
    assert "40,000/s" in text
    assert "not measured" not in text  # no number, no place on a page
    assert text.startswith("one machine\n")


def test_every_row_has_a_title() -> None:
    assert list(titles()) == list(ROWS) == [1, 2, 3, 4, 5, 6]
    assert all(titles().values())


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        ("processor\t: 0\nmodel name\t: AMD EPYC  7B13\ncpu MHz\t: 2450\n", "AMD EPYC 7B13"),
        ("processor : 0\nModel : Raspberry Pi 5\n", "Raspberry Pi 5"),
    ],
)
def test_cpu_model(cpuinfo: str, model: str) -> None:
    assert about.cpu_model(cpuinfo) == model


def test_a_busy_machine_is_told() -> None:
    assert "busy" not in " ".join(about.sentences(TOLD))
    assert "load 3" in " ".join(about.sentences({**TOLD, "load_1m": 3.0}))
