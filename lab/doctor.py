"""Tells whether this machine can run the lab, line by line, each as it is found out.

First the machine is looked at; when nothing is missing, the smoke test shows that a run would work:
in a child process, as runs are, so that nothing stays whatever happens to this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lab import machine, plan, reaper, smoke
from lab.errors import EXIT_EXPECTED, EXIT_REFUSED, EXIT_UNKNOWN
from lab.machine import LAB, Diagnosis

SMOKE_WITHIN_S, HEAL_WITHIN_S, GONE_WITHIN_S = 150.0, 20.0, 15.0
SMOKE_STEPS = {"servers", "link", "client", "latency", "cut", "left", "smoke test"}
NAME_WIDTH = 16
SIGNS = {"fine": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "bold red")}
BUSY = "ps -eo pcpu,args --sort=-pcpu | head -5   # end what is busy, then look again"
MENDS = {"link": BUSY, "latency": BUSY, "cut": BUSY, "client": BUSY, "left": f"{LAB} clean"}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
NOWHERE = "http://127.0.0.1:1"


def examine(say: Callable[[str], None]) -> Iterator[Diagnosis]:
    """Every diagnosis, as it is made; the smoke test only where nothing is missing for it."""
    missing = False
    with tempfile.TemporaryDirectory(prefix="isolation-lab-doctor-") as folder:
        programs = {**smoke.planned(Path(folder)).backend.programs(), plan.TOXIPROXY: ""}
    for look in machine.LOOKS:
        found = look()
        missing |= found.state == "failed"
        yield found
    for name, version in programs.items():
        found = machine.program(name, version, say)
        missing |= found.state == "failed"
        yield found
    if not missing:
        say("starting two servers with 50 ms between them, and harming the link (about 15 s)")
        yield from smoked()


def smoked() -> Iterator[Diagnosis]:
    """The smoke test, step by step; ends with the first that fails. Leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="isolation-lab-doctor-", ignore_cleanup_errors=True) as made:
        directory = Path(made).resolve()
        log = directory / "smoke.log"
        child = _started(directory, log)
        limit = threading.Timer(SMOKE_WITHIN_S, _let_go, [child])
        limit.start()
        state = ""
        try:
            assert child.stdout is not None
            for line in child.stdout:
                told = json.loads(line)
                state = told["state"]
                yield Diagnosis(**told, mend=_mend(told["name"]) if state == "failed" else "")
        finally:  # also when interrupted
            limit.cancel()
            code = _ended(child)
        if state == "failed":
            return
        if code:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            said = f"it ended early, with code {code}; its last words: {' '.join(last) or 'none'}"
            yield Diagnosis("smoke test", "failed", said, _mend("smoke test"))
        elif left := _left(directory):
            yield Diagnosis("left", "failed", f"{left} processes are left", _mend("left"))
        else:
            yield Diagnosis("proxies", "fine", "HTTP proxy variables don't matter: tried with some that lead nowhere")


def exit_code(found: Sequence[Diagnosis]) -> int:
    """12 when something is missing for a run, 11 when the smoke test failed, else 0, whatever was warned of."""
    failed = [one.name for one in found if one.state == "failed"]
    if not failed:
        return EXIT_EXPECTED
    return EXIT_UNKNOWN if set(failed) <= SMOKE_STEPS else EXIT_REFUSED


def tell(console: Console, found: Diagnosis) -> None:
    """`✗ other runs       3 processes …`, and below it, on a line that can be copied, what mends it."""
    sign, style = SIGNS[found.state]
    before = " " * (len(sign) + 1 + NAME_WIDTH + 1)
    said = textwrap.fill(
        found.found,
        console.width,
        initial_indent=before,
        subsequent_indent=before,
        break_long_words=False,  # paths can be copied too
        break_on_hyphens=False,
    )
    console.print(Text.assemble((sign, style), f" {found.name:{NAME_WIDTH}} ", said[len(before) :]), soft_wrap=True)
    if found.mend:
        console.print(Text(f"    → {found.mend}"), soft_wrap=True)


def conclusion(code: int) -> str:
    """The last line, for an exit code."""
    if code == EXIT_REFUSED:
        return f"Something is missing here: mend what is marked ✗, then say {LAB} doctor again."
    if code == EXIT_UNKNOWN:
        return "The machine has all it takes, but the smoke test failed: runs would be unknown."
    return "This machine can run the lab."


def _started(directory: Path, log: Path) -> subprocess.Popen[str]:
    """The child, in a session of its own, as a run's is; its environment names proxies that lead nowhere."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_PROXY", "no_proxy")}
    paths = os.pathsep.join(filter(None, sys.path))
    with log.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "lab.smoke", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=kept | dict.fromkeys(PROXIES, NOWHERE) | {reaper.MARK: str(directory), "PYTHONPATH": paths},
            start_new_session=True,
        )


def _let_go(child: subprocess.Popen[str]) -> None:
    """Close its lifeline; it heals and ends."""
    assert child.stdin is not None
    child.stdin.close()


def _ended(child: subprocess.Popen[str]) -> int:
    _let_go(child)
    try:
        return child.wait(HEAL_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()  # the reaper takes the rest
        return child.wait()


def _left(directory: Path) -> int:
    """Processes that neither the child nor its reaper ended in time."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while (left := sum(1 for _ in reaper.marked(directory))) and time.monotonic() < deadline_s:
        time.sleep(0.2)
    return left


def _mend(step: str) -> str:
    return MENDS.get(step, f"{LAB} clean && {LAB} doctor")
