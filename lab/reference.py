"""Reference runs: those that git keeps, so that a fresh clone shows a finding without making a run.

`results/reference/NAME/` holds what a run is judged and drawn from, and nothing that tells of whose
machine it was: no logs, no configuration, no renderings, no path, no date. It is never written into
again; to show it, it is copied.
"""

from __future__ import annotations

import getpass
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lab import plan
from lab.errors import Refused, UnknownName
from lab.results import Run, write_json

DEMO = "demo"
TEXTS = ("environment.json", "experiment.yaml", "measurements.json", "plan.json", "topology.yaml", "verdict.json")
TABLES = ("history.parquet", "samples.parquet")
FILES = (*TEXTS, *TABLES)
MOST_BYTES = 1_000_000  # each: git keeps every version for ever
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
PATH = re.compile(r"(?<![\w.:/-])/(?:[\w.+@-]+/)+[\w.+@-]+")
SHORTEST_NAME = 5  # shorter names of hosts and users are words that may stand anywhere


def folder() -> Path:
    return plan.home() / "results" / "reference"


def keep(run: Run, name: str = DEMO) -> Path:
    """Make a finished run the reference of that name, in place of one that was. Raises Refused when
    it proves nothing, is too large, or tells of its machine."""
    if not NAME.fullmatch(name):
        raise Refused(f"a reference is named by small letters, digits and dashes, found {name!r}.")
    if not run.judged or run.verdict.verdict == "unknown":
        raise Refused(f"{run.path} proves nothing: a reference must be a run with a verdict other than unknown.")
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder()) as made:
        part = Path(made) / name
        part.mkdir()
        for file in FILES:
            shutil.copyfile(_present(run.path / file), part / file)
        write_json(part / "environment.json", without_private(run.environment))
        _check(part)
        shutil.rmtree(folder() / name, ignore_errors=True)
        part.rename(folder() / name)
    return folder() / name


def without_private(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What a stranger needs to place the numbers: versions, digests, cores and memory. The release of
    the kernel can name a company or a provider; wall time becomes time since the run's begin."""
    pairs = environment["clock_pairs_ns"]
    return {
        **{name: environment[name] for name in ("python", "packages", "binaries", "git")},
        "host": {
            "system": str(environment["host"]["system"]).split()[0],
            **{name: environment["host"][name] for name in ("machine", "cores", "memory_mib", "load_1m")},
        },
        "clock_pairs_ns": [[wall_ns - pairs[0][0], monotonic_ns] for wall_ns, monotonic_ns in pairs],
    }


def copied(name: str = DEMO) -> Run:
    """A copy of the reference below results/, where it can be drawn. Raises UnknownName."""
    source = folder() / name
    if not (source / "plan.json").is_file():
        raise UnknownName.of("reference", name, (path.parent.name for path in folder().glob("*/plan.json")))
    target = plan.home() / "results" / name
    target.mkdir(parents=True, exist_ok=True)
    for file in FILES:  # over what a copy of before left, and beside what else is there
        shutil.copyfile(source / file, target / file)
    return Run(target)


def made_here(runs: Sequence[Run]) -> list[Run]:
    """Those that are neither references nor copies of them: only they tell of this machine."""
    copies = {plan.home() / "results" / path.name for path in folder().glob("*")}
    return [run for run in runs if run.path not in copies and run.path.parent != folder()]


def _present(path: Path) -> Path:
    if not path.is_file():
        raise Refused(f"{path} is missing; `lab judge {path.parent}` may make it.")
    return path


def _check(part: Path) -> None:
    """Raise Refused for a file that is too large or holds what git must not."""
    for file in FILES:
        size = (part / file).stat().st_size
        if size > MOST_BYTES:
            raise Refused(
                f"{file} has {size:,} bytes, a reference's files have at most {MOST_BYTES:,}: "
                "repeat the run with shorter phases."
            )
        for text in _texts(part / file):
            if found := private(text):
                raise Refused(f"{file} tells of this machine ({found!r}); a reference is public.")


def private(text: str) -> str:
    """The first path, host or user name in a text; "" for none."""
    path = PATH.search(text)
    if path:
        return path[0]
    for name in (socket.gethostname(), getpass.getuser()):
        if len(name) >= SHORTEST_NAME and re.search(rf"\b{re.escape(name)}\b", text):
            return name
    return ""


def _texts(path: Path) -> Iterator[str]:
    """All that can be read in a file: itself, or every different text of a table."""
    if path.suffix != ".parquet":
        yield path.read_text(encoding="utf-8")
        return
    table = pl.read_parquet(path)
    for column in table.columns:
        if table.schema[column] == pl.String:
            yield from table[column].drop_nulls().unique()
