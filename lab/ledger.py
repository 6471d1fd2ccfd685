"""What became of a batch's runs, on disk: `results/batches/<file>-<seed>/ledger.jsonl`, appended only.

A line is whole or it does not count, so a batch that is killed at any instant, or by a power cut,
is known as far as it got. Runs are told apart by everything that fixes them: one whose experiment,
topology or arm was changed in the meantime is another run. Owns the file; knows nothing of how
runs are made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import filelock

from lab.batch import Outcome
from lab.errors import Refused
from lab.plan import Plan

RESUMED_WITHIN = timedelta(hours=24)


class Keeps(Protocol):
    """What is known of runs made before."""

    def begun(self) -> list[Path]: ...
    def finished(self, this: Plan) -> Outcome | None: ...
    def unseen(self, this: Plan) -> Path | None: ...
    def began(self, this: Plan, directory: Path) -> None: ...
    def ended(self, this: Plan, outcome: Outcome) -> None: ...


class Forgetful:
    """Keeps nothing: every run is made."""

    def begun(self) -> list[Path]:
        return []

    def finished(self, this: Plan) -> Outcome | None:
        return None

    def unseen(self, this: Plan) -> Path | None:
        return None

    def began(self, this: Plan, directory: Path) -> None: ...
    def ended(self, this: Plan, outcome: Outcome) -> None: ...


class Ledger:
    """One batch under one seed; read at once, then appended to by one process at a time (`alone`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "ledger.jsonl"
        self._loose: set[Path] = set()
        self._forget()
        for line in self._lines():
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):  # torn, or an older lab's
                self._take_in(line)

    def begun(self) -> list[Path]:
        """Every run whose end nobody wrote down; some may still be under way."""
        return sorted(self._loose)

    def finished(self, this: Plan) -> Outcome | None:
        """How the run ended; None while it has not, and when nobody can look it up any more."""
        found = self._finished.get(identity(this))
        return found if found and Path(found.path).is_dir() else None

    def unseen(self, this: Plan) -> Path | None:
        """The directory of a run that was begun, and whose end nobody saw."""
        return self._begun.get(identity(this))

    def unfinished_since(self, request: str) -> datetime | None:
        """When a batch of this content was begun without a seed of the user's; None if never, or complete."""
        since, dated, jobs = self._started.get(request, (None, False, []))
        return since if dated and any(job not in self._finished for job in jobs) else None

    def start(self, request: str, planned: Sequence[Plan], *, dated: bool, now: datetime) -> None:
        """A batch begins, or goes on. dated: its seed was made from the date."""
        jobs = [identity(this) for this in planned]
        self._append({"what": "batch", "request": request, "dated": dated, "at": now.isoformat(), "jobs": jobs})

    def begin_anew(self) -> None:
        """What was found so far no longer counts."""
        self._append({"what": "anew"})

    def began(self, this: Plan, directory: Path) -> None:
        self._append({"what": "began", "job": identity(this), "run": words(this), "directory": str(directory)})

    def ended(self, this: Plan, outcome: Outcome) -> None:
        self._append({"what": "ended", "job": identity(this), "outcome": asdict(outcome)})

    def _forget(self) -> None:
        self._started: dict[str, tuple[datetime | None, bool, list[str]]] = {}
        self._begun: dict[str, Path] = {}
        self._finished: dict[str, Outcome] = {}

    def _take_in(self, line: dict[str, Any]) -> None:
        match line["what"]:
            case "anew":
                self._forget()
            case "batch":
                begun, _, _ = self._started.get(line["request"], (datetime.fromisoformat(line["at"]), False, []))
                self._started[line["request"]] = (begun, line["dated"], line["jobs"])
            case "began":
                self._begun[line["job"]] = Path(line["directory"])
                self._loose.add(Path(line["directory"]))
                self._finished.pop(line["job"], None)
            case "ended":
                outcome = Outcome(**line["outcome"])
                self._finished[line["job"]] = outcome
                self._begun.pop(line["job"], None)
                self._loose.discard(Path(outcome.path))

    def _lines(self) -> Iterator[dict[str, Any]]:
        text = self._path.read_bytes() if self._path.exists() else b""
        for line in text.split(b"\n"):
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def _append(self, line: dict[str, Any]) -> None:
        """On the disk when this returns; on a line of its own, whatever a power cut left before it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as out:
            end = out.seek(0, os.SEEK_END)
            out.seek(max(0, end - 1))
            torn = out.read(1) not in (b"", b"\n")
            out.write((b"\n" if torn else b"") + json.dumps(line, ensure_ascii=False).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        self._take_in(line)


@contextlib.contextmanager
def alone(root: Path, name: str) -> Iterator[None]:
    """No other process works on the batch of this name meanwhile. Raises Refused when one does."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(root / f".{name}.lock")
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Refused(f"batch {name} is being run by another `lab batch`; wait for its end, or end it.") from None
    except OSError as error:
        raise Refused(f"{root} can't be written: {error.strerror}; free space or choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def unfinished_seed(root: Path, name: str, request: str, now: datetime) -> int | None:
    """The seed of the newest batch of this name and content that was begun less than a day ago,
    with a seed made from the date, and is not complete."""
    found: list[tuple[datetime, int]] = []
    for folder in root.glob("*"):
        seed = folder.name.removeprefix(f"{name}-")
        if folder.name.startswith(f"{name}-") and seed.isdecimal():
            since = Ledger(folder).unfinished_since(request)
            if since and now - since < RESUMED_WITHIN:
                found.append((since, int(seed)))
    return max(found)[1] if found else None


def identity(this: Plan) -> str:
    """A digest of all that a plan says fixes a run; how its question is worded does not, and what a
    user's own `.py` files and server binaries hold it can't know: after a change there say `--again`."""
    fixed = {
        "experiment": this.experiment.model_dump(mode="json", exclude={"question", "source"}),
        "topology": this.topology.model_dump(mode="json", exclude={"about"}),
        "arm": this.arm.text,
        "programs": dict(this.backend.programs()),
        "runtime": this.runtime,
        "seed": this.seed,
    }
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]


def words(this: Plan) -> str:
    """`gray-region on jetstream-stretched, leaders in home, seed 20261123`."""
    return f"{this.experiment.name} on {this.arm}, leaders in {this.experiment.leaders_in}, seed {this.seed}"
