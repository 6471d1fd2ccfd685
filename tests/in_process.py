"""`lab …` without a process of its own: the command line's `main`, its output and its exit code.

Half a second cheaper than a process, so that a table of refusals can be long. What only a process
shows (signals, a run's own processes) is for `tests.integration.whole.lab`, which answers alike;
`tests/test_cli.py` compares the two.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from lab import __main__ as command_line
from tests.integration.whole import ROOT, environment

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def lab(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`lab …` to its end, in a LAB_HOME. What it does not catch is raised here."""
    out, err = io.StringIO(), io.StringIO()
    handlers = [signal.getsignal(name) for name in SIGNALS]
    code = 0
    try:
        with (
            mock.patch.dict(os.environ, environment(folder, **more), clear=True),
            mock.patch.object(sys, "argv", ["lab", *arguments]),
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            command_line.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        for name, handler in zip(SIGNALS, handlers, strict=True):
            signal.signal(name, handler)
    return subprocess.CompletedProcess(["lab", *arguments], code, out.getvalue(), err.getvalue())
