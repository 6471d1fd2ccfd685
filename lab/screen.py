"""Progress of a run, for people at a terminal, for logs, and for machines.

A terminal gets one living panel: phase with a bar, availability of each region in the last whole
second, faults in force. Elsewhere a line per phase and per five seconds. `--json`: every line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

WORDS = {
    "deploy": "bringing servers up",
    "attest": "measuring every link",
    "prepare": "clients connect and write their keys; leaders are placed",
    "steady": "steady: load, no fault",
    "fault": "fault",
    "recovery": "recovery: load, healed",
    "settle": "settle: reading everything back",
    "judge": "judging",
    "done": "drawing the report",
}
EVERY_S = 5


class Screen:
    """Fed the lines of progress.jsonl; a context manager."""

    def __init__(self, console: Console, expected_s: float, *, as_json: bool = False) -> None:
        self._console, self._json = console, as_json
        self._living = console.is_terminal and not as_json
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=30), TimeRemainingColumn(), console=console
        )
        self._task = self._bar.add_task("starting", total=expected_s)
        self._seen: dict[str, tuple[int, float]] = {}
        self._faults: list[str] = []
        self._began_ns = 0
        self._live = Live(self._picture(), console=console, refresh_per_second=4, transient=True)

    def update(self, line: Mapping[str, Any]) -> None:
        """Take in one line of progress."""
        if self._json:
            print(json.dumps(line), flush=True)
            return
        self._began_ns = self._began_ns or line["at_ns"]
        if line["what"] in ("phase", "judge", "done"):
            self._phase(str(line.get("phase", line["what"])))
        elif line["what"] == "second":
            self._second(line)
        elif line["what"] == "broken":
            self._console.print(Text(f"broken: {line['why']}", style="bold red"))
        elif line["what"] == "left":
            self._console.print(Text(f"left behind: {line['why']}; `lab clean` ends what is left", style="yellow"))
        if self._living:
            self._bar.update(self._task, completed=(line["at_ns"] - self._began_ns) / 1e9)
            self._live.update(self._picture())

    def say(self, sentence: str) -> None:
        """A sentence above the living panel, which would wipe it off stderr; elsewhere to stderr."""
        console = self._console if self._living else Console(stderr=True, emoji=False)
        console.print(sentence, soft_wrap=not self._living, markup=False, highlight=False)

    def _phase(self, phase: str) -> None:
        words = WORDS.get(phase, phase)
        self._bar.update(self._task, description=words)
        if not self._living:
            self._console.print(f"  {words}", highlight=False)

    def _second(self, line: Mapping[str, Any]) -> None:
        share = line["ok"] / line["due"] if line["due"] else 1.0
        self._seen[line["region"]] = (line["second"], share)
        self._faults = line["in_force"]
        seconds = {second for second, _ in self._seen.values()}
        whole = len(seconds) == 1 and line["second"] > 0  # in second 0 not every region has spoken
        if not self._living and whole and line["second"] % EVERY_S == 0:
            self._console.print(f"  {line['second']:>4} s  {self._availability()}{self._in_force()}", highlight=False)

    def _availability(self) -> str:
        return "   ".join(f"{region} {share:4.0%}" for region, (_, share) in self._seen.items())

    def _in_force(self) -> str:
        return f"   in force: {', '.join(self._faults)}" if self._faults else ""

    def _picture(self) -> RenderableType:
        text = Text("  ")
        for region, (_, share) in self._seen.items():
            text.append(f"{region} {share:4.0%}   ", style="green" if share > 0.95 else "bold red")
        text.append(self._in_force().strip(), style="yellow")
        return Group(self._bar, text)

    def __enter__(self) -> Self:
        if self._living:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._living:
            self._live.__exit__(kind, error, trace)
