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
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lab import files
from lab.errors import Refused
from lab.experiment import Experiment
from lab.history import History
from lab.measurements import Measurements
from lab.topology import Topology
from lab.verdict import Verdict

Model = TypeVar("Model", bound=BaseModel)
COPY_AGAIN = "copy the run's directory again, whole, or make the run again"


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


def comparison_directory(root: Path, experiment: str, name: str) -> Path:
    """Where a comparison of an experiment's runs is kept: `<experiment>/comparisons/<name>`."""
    return root / _as_folder(experiment) / "comparisons" / _as_folder(name)


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


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror}; {COPY_AGAIN}.") from None
    except ValueError as error:
        raise Refused(f"{path} is damaged: expected JSON, found a mistake ({error}); {COPY_AGAIN}.") from None


@dataclass(frozen=True)
class Run:
    """One run, read from its directory as needed."""

    path: Path

    def __repr__(self) -> str:
        return f"Run({self.place!r})"

    @property
    def place(self) -> str:
        """Where it lies below results/; reports and notebooks get shared, so none of the folders above."""
        parts = self.path.resolve().parts
        return "/".join(parts[max((i for i, part in enumerate(parts) if part == "results"), default=-1) :])

    @classmethod
    def at(cls, path: str | Path) -> Run:
        """The run in a directory. Raises Refused when it isn't one."""
        run = cls(Path(path))
        try:
            found = (run.path / "plan.json").is_file()
        except OSError as error:  # its name is too long, or we may not look into it
            raise Refused(f"{path} can't be looked into: {error.strerror}; give a run's directory.") from None
        if not found:
            raise Refused(f"{path} is not a run: expected a directory that holds plan.json.")
        return run

    @cached_property
    def plan(self) -> dict[str, Any]:
        value: Any = _json(self.path / "plan.json")
        if not isinstance(value, dict) or not {"arm", "seed"} <= value.keys():
            raise Refused(f"{self.path / 'plan.json'} is no plan of a run; {COPY_AGAIN}.")
        return value

    @cached_property
    def environment(self) -> dict[str, Any]:
        path = self.path / "environment.json"
        value: dict[str, Any] = _json(path) if path.exists() else {}
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
        return self._of_today("measurements.json", Measurements)

    @property
    def judged(self) -> bool:
        return (self.path / "verdict.json").is_file()

    @cached_property
    def verdict(self) -> Verdict:
        return self._of_today("verdict.json", Verdict)

    def _of_today(self, name: str, model: type[Model]) -> Model:
        """What judging wrote. Raises Refused where another version of the lab did, or a dying one."""
        try:
            return model.model_validate_json((self.path / name).read_bytes())
        except OSError as error:
            raise Refused(f"{self.path / name} can't be read: {error.strerror}; {COPY_AGAIN}.") from None
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole of it"
            raise Refused(
                f"{self.path / name} is not as this version of the lab writes it ({where}); "
                f"`lab judge {self.path}` judges the run again, with today's definitions."
            ) from None

    def check(self) -> None:
        """Raises Refused where a file that is there can't be read, or nothing can be written beside it."""
        self.check_writable()
        for name in ("measurements.json", "verdict.json", "history.parquet"):
            if (self.path / name).exists():
                getattr(self, name.partition(".")[0])

    def check_writable(self) -> None:
        """Raises Refused where nothing can be written into the run's directory."""
        if not os.access(self.path, os.W_OK):
            raise Refused(f"{self.path} can't be written to; ask for leave to, or copy the run where you may write.")

    @property
    def arm(self) -> str:
        return str(self.plan["arm"])

    @property
    def seed(self) -> int:
        return int(self.plan["seed"])
