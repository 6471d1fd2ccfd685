"""Commands of others, run to their end; what went wrong is one line of words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from textwrap import shorten

PIP_TIMEOUT_S = 300


class Failed(Exception):
    """One way to get a thing did not work; the text says why."""


def run(what: str, command: Sequence[str], timeout_s: float, env: Mapping[str, str] | None = None) -> str:
    """What the command prints. Raises Failed with the last lines of its stderr."""
    try:
        done = subprocess.run(
            command, env=env, timeout=timeout_s, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Failed(f"`{what}` did not end within {timeout_s:g} s") from None
    except OSError as error:
        raise Failed(f"`{what}` can't be started: {error.strerror}") from None
    if done.returncode:
        last = [shorten(line, 200, placeholder=" …") for line in done.stderr.strip().splitlines()[-3:]]
        raise Failed(f"`{what}` ended with {done.returncode}: {' | '.join(last) or 'no words on stderr'}")
    return done.stdout + done.stderr


def pip(what: str, verb: str, *options: str) -> None:
    """pip as the user has set it up, wheels only. `what` is what is asked for, in words. Raises Failed."""
    command = [sys.executable, "-m", "pip", verb, "--no-input", "--no-deps", "--only-binary=:all:"]
    run(f"pip {verb} {what}", [*command, *options], PIP_TIMEOUT_S, os.environ | {"PIP_USER": "0"})
