"""One file that stands for every entry before a position: chunks, then an end.

Owns writing, checking and reading it. It gets its name, `snapshot-<position>`, when it is whole
and durable; one in the making, `….part`, counts for nothing and is removed at the next start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from zlib import crc32

from lab.syncstore.disk import files, frames
from lab.syncstore.errors import Storage, TooLarge

SPILL_BYTES = 4 * 2**20
"""`write` hands what waits to the system beyond this; whoever calls `flush` in time never sees it."""
_NAME = re.compile(r"snapshot-(\d{20})")
_WRONG_END = "the end is missing"


class Named(NamedTuple):
    """A snapshot as its name tells it; sorts by what it covers."""

    position: int
    path: Path


def listed(directory: Path) -> list[Named]:
    """All that were completed, newest first. Raises OSError."""
    matches = [(_NAME.fullmatch(path.name), path) for path in directory.iterdir()]
    return sorted((Named(int(match[1]), path) for match, path in matches if match), reverse=True)


def parts(directory: Path) -> list[Path]:
    """Those that were never completed. Raises OSError."""
    return sorted(directory.glob("snapshot-*.part"))


def chunks(named: Named) -> Iterator[bytes]:
    """All of them, in order. Raises Storage where the file is damaged or can't be read."""
    with files.told(f"{named.path}: can't be read"), named.path.open("rb", buffering=2**20) as file:
        head = frames.read_header(frames.SNAPSHOT, file.read(frames.HEADER_BYTES))
        if head is None or head[0] != named.position:
            raise _damaged(named.path, 0, "the header is damaged, or of another version")
        walk = frames.Walk(file, head[1], 0)
        yield from walk.payloads()
        if walk.damage or not walk.ended:
            raise _damaged(named.path, walk.offset, walk.damage or _WRONG_END)


def check(named: Named) -> None:
    """Raises Storage where it is damaged."""
    for _ in chunks(named):
        pass


def _damaged(path: Path, offset: int, what: str) -> Storage:
    return Storage(f"{path}: damaged at offset {offset}: {what}; {files.REBUILD}.")


class SnapshotWriter:
    """Takes chunks, one after the other, until `commit` or `abort`.

    `write` may be called from an event loop while `flush` or `commit` runs in a thread. position:
    every entry before it is covered.
    """

    def __init__(
        self, directory: Path, position: int, committed: Callable[[int], None], ended: Callable[[], None]
    ) -> None:
        self.position = position
        self._directory, self._committed, self._ended = directory, committed, ended
        self._path = directory / f"snapshot-{position:020d}"
        self._part = self._path.with_suffix(".part")
        self._salt = os.urandom(frames.SALT_BYTES)
        self._seed = crc32(self._salt)
        self._descriptor = -1  # made with the first bytes
        self._new = [frames.header(frames.SNAPSHOT, position, self._salt)]
        self._bytes, self._count, self._spilled_bytes = 0, 0, 0
        self._writing = Lock()
        self._over = False

    def write(self, chunk: bytes) -> None:
        """Take the next chunk, 1 byte to 8 MiB. Raises TooLarge; Storage, and then it is aborted."""
        self._refuse_if_over()
        if not 0 < len(chunk) <= frames.PAYLOAD_BYTES:
            raise TooLarge(f"a chunk is 1 to {frames.PAYLOAD_BYTES} bytes long, this one {len(chunk)}.")
        frame = frames.entry(self._seed, self._bytes, chunk)
        self._new.append(frame)
        self._bytes += len(frame)
        self._count += 1
        if self._bytes - self._spilled_bytes >= SPILL_BYTES and not self._writing.locked():
            self._spill()

    def flush(self) -> None:
        """In a thread: write what waits and sync it, so that `commit` finds little left to do.

        Raises Storage, and then it is aborted.
        """
        self._spill(sync=True)

    def commit(self) -> None:
        """In a thread, after the last `write`: from here on this snapshot is in force.

        Raises Storage, and then it is aborted, and whatever it stands for is still there without it.
        """
        self._new.append(frames.end(self._seed, self._bytes, self._count))
        self._spill(sync=True)
        with self._aborted_on_failure(f"{self._path}: can't be put in place"):
            self._close()
            self._part.replace(self._path)
            files.sync_directory(self._directory)
        self._over = True
        self._ended()
        self._committed(self.position)

    def abort(self) -> None:
        """Leave no trace; does nothing after `commit`."""
        if not self._over:
            self._over = True
            with self._writing:
                self._close()
            files.remove_if_possible(self._part)
            self._ended()

    def _refuse_if_over(self) -> None:
        if self._over:
            raise Storage(f"{self._part}: was committed or aborted; begin another.")

    @contextmanager
    def _aborted_on_failure(self, what: str) -> Iterator[None]:
        try:
            with files.told(what):
                yield
        except Storage:
            self.abort()
            raise

    def _spill(self, sync: bool = False) -> None:
        with self._aborted_on_failure(f"{self._part}: can't be written"), self._writing:
            self._refuse_if_over()
            count = len(self._new)
            content = b"".join(self._new[:count])
            del self._new[:count]
            self._spilled_bytes += len(content)
            if self._descriptor < 0:
                self._descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
            files.write_whole(self._descriptor, content)
            if sync:
                files.datasync(self._descriptor)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
