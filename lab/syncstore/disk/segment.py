"""One file of entries, being written; and the names of all of them.

Owns the file's descriptor. Names give order and place, `log-<number>-<position of its first entry>`,
so that a file nobody needs any more is never opened. A segment is never appended to by a later process.

Ahead of what is written the file is filled with zeros: a sync then has nothing but data to bring to the
medium, and waits for no journal of the file system (measured with six writers: 0.5 ms instead of 1.5–4).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lab.syncstore.disk import files, frames

FILLED_AT_LEAST, FILLED_AT_MOST, GROUPS_AHEAD = 128 * 2**10, 4 * 2**20, 32
"""Bytes of zeros that are added at a time: for so many more groups, within these. Not more, since the sync that
brings them to the medium takes as long as their size asks for."""

_NAME = re.compile(r"log-(\d{8,})-(\d{20})")


class Named(NamedTuple):
    """A segment as its name tells it; sorts by age."""

    number: int
    start: int
    path: Path


def listed(directory: Path) -> list[Named]:
    """All that are there, oldest first. Raises OSError."""
    return sorted(_named(directory))


def _named(directory: Path) -> Iterator[Named]:
    for path in directory.iterdir():
        if match := _NAME.fullmatch(path.name):
            yield Named(int(match[1]), int(match[2]), path)


class Segment:
    """Open for writing. start: position of its first entry. bytes: header and all that was written."""

    def __init__(self, directory: Path, number: int, start: int, salt: bytes) -> None:
        """Returns once the file, its header and its name are durable: whatever is longer than a
        header had a sound one. Raises OSError, leaving nothing behind if that can be done."""
        self.start, self._salt = start, salt
        self.path = directory / f"log-{number:08d}-{start:020d}"
        head = frames.header(frames.SEGMENT, start, salt)
        self.bytes = self._filled = len(head)
        self.damaged = False  # a write failed: nothing may follow
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            files.write_whole(self._descriptor, head)
            files.datasync(self._descriptor)
            files.sync_directory(directory)
        except OSError:
            self.close()
            files.remove_if_possible(self.path)
            raise

    def write(self, group: bytes, position: int, durable: int, *, fill: bool = True) -> None:
        """Hand a group to the system, behind a mark. fill: and zeros behind it, where there are none left.
        Raises OSError; the file then takes no more."""
        content = frames.mark(self._salt, position, durable) + group
        end = self.bytes + len(content)
        ahead = min(max(GROUPS_AHEAD * len(content), FILLED_AT_LEAST), FILLED_AT_MOST)
        zeros = ahead if fill and end > self._filled else 0
        try:
            files.write_whole(self._descriptor, content + bytes(zeros))
            if zeros:
                os.lseek(self._descriptor, end, os.SEEK_SET)
        except OSError:
            self.damaged = True
            raise
        self.bytes, self._filled = end, max(self._filled, end + zeros)

    def sync(self) -> None:
        """Raises OSError; then the system may have dropped what it could not write, so never again."""
        files.datasync(self._descriptor)

    def close(self) -> None:
        with suppress(OSError):  # what was synced stays so, and nothing else counts
            if not self.damaged and self._filled > self.bytes:
                os.ftruncate(self._descriptor, self.bytes)
        with suppress(OSError):
            os.close(self._descriptor)
