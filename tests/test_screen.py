"""Progress as people and machines see it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from lab.screen import Screen

LINES = [
    {"at_ns": 1_000_000_000, "what": "phase", "phase": "fault", "left_s": 50.0},
    *(
        {
            "at_ns": 2_000_000_000 + i,
            "what": "second",
            "region": region,
            "second": 15,
            "due": 100,
            "ok": ok,
            "in_force": ["latency of sg"],
        }
        for i, (region, ok) in enumerate([("us", 100), ("eu", 97), ("sg", 3)])
    ),
    {"at_ns": 3_000_000_000, "what": "broken", "why": "Toxiproxy [died]", "kind": "RunBroken"},
]


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    with Screen(console, 60) as screen:
        for line in LINES:
            screen.update(line)
    return out.getvalue()


def test_a_log_gets_plain_lines_and_no_colour_codes() -> None:
    text = shown(terminal=False)
    assert "\x1b" not in text
    assert "  fault\n" in text
    assert "15 s  us 100%   eu  97%   sg   3%   in force: latency of sg\n" in text
    assert "broken: Toxiproxy [died]" in text


def test_a_terminal_gets_a_living_panel() -> None:
    text = shown(terminal=True)
    assert "us 100%" in text
    assert "latency of sg" in text
    assert "fault" in text


def test_machines_get_every_line_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(Console(file=io.StringIO()), 60, as_json=True) as screen:
        for line in LINES:
            screen.update(line)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == LINES


def test_a_sentence_stands_above_the_panel(capsys: pytest.CaptureFixture[str]) -> None:
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
        with Screen(console, 60) as screen:
            screen.say("building toxiproxy-server [once]")
        said = (out.getvalue(), capsys.readouterr().err)
        assert "building toxiproxy-server [once]" in said[0 if terminal else 1]
