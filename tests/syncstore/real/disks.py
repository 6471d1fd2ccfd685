"""What befalls a node's disk: full, torn, damaged, old, gone. For nodes that don't run, but `Small`'s."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.syncstore.real.cluster import Node


def segments(node: Node) -> list[Path]:
    """Oldest first."""
    return sorted(node.data.glob("log-*"))


def tear(node: Node, cut_bytes: int, rubbish_bytes: int) -> None:
    """As a power cut in the middle of a write: the end of the last segment is gone, or rubbish, or both."""
    last = segments(node)[-1]
    with last.open("r+b") as file:
        file.truncate(max(0, last.stat().st_size - cut_bytes))
        file.seek(0, os.SEEK_END)
        file.write(random.Random(1).randbytes(rubbish_bytes))


def damage(path: Path, share: float) -> int:
    """Flip one bit at that share of the file; where."""
    place = int(path.stat().st_size * share)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))
    return place


def keep_copy(node: Node) -> Path:
    copy = node.directory / f"{node.name}.copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(node.data, copy)
    return copy


def put_back(node: Node, copy: Path) -> None:
    shutil.rmtree(node.data)
    shutil.copytree(copy, node.data)


def wipe(node: Node) -> None:
    shutil.rmtree(node.data)


class Small:
    """A disk of few MiB, which can be filled and freed while its node runs."""

    def __init__(self, path: Path) -> None:
        self.path, self._ballast = path, path / "ballast"

    def fill(self) -> None:
        """Not a byte is left."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece_bytes in (2**16, 2**12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(piece_bytes))

    def free(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(node: Node, mebibytes: int) -> Iterator[Small]:
    """The node's data lie on a file system of their own. Skips the test where none can be mounted."""
    node.data.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(node.data)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        pytest.skip(f"a small disk needs `mount`: {error}")
    if done.returncode:
        pytest.skip(f"a small disk can't be mounted here (that takes root): {done.stderr.strip()[:200]}")
    try:
        yield Small(node.data)
    finally:
        with suppress(AssertionError, OSError):
            node.kill()
        subprocess.run(["umount", "-l", str(node.data)], capture_output=True, timeout=30, check=False)
