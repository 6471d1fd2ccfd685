"""Run directories: where a run lies, what is in it, and reading it back.

`results/<experiment>/<arm slug>/20261123T101500Z-s1/`. A directory without `verdict.json` is a
run that died before it was judged; `lab judge` can still judge what it left.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import files
from lab.errors import Refused
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.topology import Topology
from lab.verdict import Verdict


def new_directory(root: Path, experiment: str, arm_slug: str, seed: int) -> Path:
    """Make the directory of a new run. Raises Refused when results/ can't be written."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    parent = root / _as_folder(experiment) / arm_slug
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 1000):
            path = parent / (f"{stamp}-s{seed}" if attempt == 1 else f"{stamp}-s{seed}-{attempt}")
            try:
                path.mkdir()
                return path
            except FileExistsError:
                continue
    except OSError as error:
        said = f"results can't be written below {root}: {error.strerror}"
        raise Refused(f"{said}; free space or choose another folder.") from error
    raise Refused(f"{parent} already holds a thousand runs of this second; wait a moment.")


def _as_folder(name: str) -> str:
    """An experiment may be called anything; its folder stays below results/ all the same."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:64] or "experiment"


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either whole or not there."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, keys sorted, byte-equal for equal values, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Run:
    """One run, read from its directory as needed."""

    path: Path

    def __repr__(self) -> str:
        return f"Run({'/'.join(self.path.parts[-4:])!r})"  # shown in notebooks, which get shared

    @classmethod
    def at(cls, path: str | Path) -> Run:
        """The run in a directory. Raises Refused when it isn't one."""
        run = cls(Path(path))
        if not (run.path / "plan.json").is_file():
            raise Refused(f"{path} is not a run: expected a directory that holds plan.json.")
        return run

    @cached_property
    def plan(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.path / "plan.json").read_text(encoding="utf-8"))
        return value

    @cached_property
    def environment(self) -> dict[str, Any]:
        path = self.path / "environment.json"
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return value

    @cached_property
    def experiment(self) -> Experiment:
        return files.load(self.path / "experiment.yaml", Experiment)

    @cached_property
    def topology(self) -> Topology:
        return files.load(self.path / "topology.yaml", Topology)

    @cached_property
    def history(self) -> History:
        return History.load(self.path, self.topology, self.experiment)

    @cached_property
    def measurements(self) -> Measurements:
        return Measurements.model_validate_json((self.path / "measurements.json").read_bytes())

    @property
    def judged(self) -> bool:
        return (self.path / "verdict.json").is_file()

    @cached_property
    def verdict(self) -> Verdict:
        return Verdict.model_validate_json((self.path / "verdict.json").read_bytes())

    @property
    def arm(self) -> str:
        return str(self.plan["arm"])

    @property
    def seed(self) -> int:
        return int(self.plan["seed"])
