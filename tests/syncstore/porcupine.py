"""Judges histories of registers with Porcupine: builds `tests/linearizable` once, and asks it.

The program is kept in the user's cache under a digest of its sources, so a change of them builds it anew.
Go is needed for that once; where there is none, the test is skipped and says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import filelock
import pytest
from platformdirs import user_cache_path

SOURCES = Path(__file__).resolve().parents[1] / "linearizable"
BUILD_TIMEOUT_S, JUDGE_TIMEOUT_S = 300, 600


@dataclass(frozen=True)
class Verdict:
    """broken, undecided: key → why. pages: key → an HTML page that shows a broken history."""

    keys: int
    operations: int
    broken: dict[str, str]
    undecided: dict[str, str]
    pages: dict[str, str]


def judge(history: Iterable[Mapping[str, Any]], pages: Path | None = None) -> Verdict:
    """Whether the operations of each key, of any number of worlds, are linearizable; see main.go for a line's shape.

    pages: a folder for pages of what is broken. Raises ValueError for a history that can't be judged.
    """
    command = [str(program()), *(["-visualize", str(pages)] if pages else [])]
    lines = "\n".join(json.dumps(line) for line in history)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=JUDGE_TIMEOUT_S, check=False)
    if not done.stdout:
        raise ValueError(f"the history can't be judged: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    return Verdict(
        found["keys"],
        found["operations"],
        {one["key"]: one["why"] for one in found["broken"]},
        {one["key"]: one["why"] for one in found["undecided"]},
        {one["key"]: one["page"] for one in found["broken"] if "page" in one},
    )


@lru_cache
def program() -> Path:
    """The checker's path; built first if need be. Skips the calling test where there is no Go."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCES / name).read_bytes())
    folder = user_cache_path("isolation-lab") / "bin" / "linearizable" / digest.hexdigest()[:32]
    path = folder / f"linearizable-{sys.platform}"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / ".lock", timeout=BUILD_TIMEOUT_S):
            if not path.is_file():
                _build(path)
    return path


def _build(path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Porcupine judges this, and building it needs Go on PATH: install Go 1.23 or later")
    part = path.with_name(f"{path.name}.part")
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GO111MODULE": "on"}
    command = [go, "build", "-trimpath", "-buildvcs=false", "-o", str(part), "."]
    done = subprocess.run(
        command, cwd=SOURCES, env=environment, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
    )
    if done.returncode:
        pytest.skip(f"Porcupine can't be built (is there a network, and Go 1.23?): {done.stderr.strip()[-300:]}")
    os.replace(part, path)
