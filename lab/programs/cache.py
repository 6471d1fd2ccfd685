"""Where programs are kept: a folder per program, version and platform, its digest beside it.

Of several processes that want the same, one gets it and the others wait.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import filelock
from platformdirs import user_cache_path

from lab.errors import BinaryMissing
from lab.programs.platforms import Platform

LOCK_TIMEOUT_S = 1800


class Kept(NamedTuple):
    """A file of the cache; source: how it was got."""

    path: Path
    sha256: str
    source: str


def root() -> Path:
    return user_cache_path("isolation-lab") / "bin"


def folder(program: str, version: str, platform: Platform) -> Path:
    return root() / program / version / str(platform)


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept(program: str, place: Path) -> Kept | None:
    """The program of that folder, None when it isn't there. Raises BinaryMissing on a wrong digest."""
    path, note = place / program, place / f"{program}.sha256"
    if not path.is_file():
        return None
    text = note.read_text(encoding="utf-8") if note.is_file() else ""
    expected, found = text.partition(" ")[0] or "none", sha256_of(path)
    if found != expected:
        said = f"{path} is not the file that was put there (sha256 {found}, expected {expected})"
        raise BinaryMissing(f"{said}: delete {place} and run again.")
    return Kept(path, found, text.partition("# ")[2].strip())


@contextmanager
def work_in(place: Path, missing: str) -> Iterator[Path | None]:
    """Alone in the folder: a place to work in while `place/missing` is missing, else None."""
    place.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(place / ".lock", timeout=LOCK_TIMEOUT_S):
        for leftover in place.glob(".part-*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        if (place / missing).exists():
            yield None
            return
        with tempfile.TemporaryDirectory(prefix=".part-", dir=place, ignore_cleanup_errors=True) as part:
            yield Path(part)


def keep(path: Path, source: str, target: Path) -> None:
    """Move a program to its place: the digest first, so that a program without one is a stranger's."""
    path.chmod(0o755)
    note = path.with_name("note")
    note.write_text(f"{sha256_of(path)}  {target.name}\n# {source}\n", encoding="utf-8")
    os.replace(note, target.with_name(f"{target.name}.sha256"))
    os.replace(path, target)
