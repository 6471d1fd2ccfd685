"""The disk of a node: an append-only log of opaque entries, and snapshots that stand for its beginning.

Owns every file of a store, and the order in which they become durable. Knows nothing of records,
and of time nothing at all. All calls are for the node's loop and fast, but `open`, `sync` and
`close`, and a snapshot's `flush` and `commit`, which wait for the disk: those belong in a thread.

A *position* is the number of bytes of entries ever appended to this directory, over all restarts. An
entry is durable when `durable` is at or beyond the position that `append` returned for it; `written`
likewise tells what would survive a killed process, but not a power cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Self
from zlib import crc32

from lab.syncstore.disk import aside, files, frames, recovery, snapshot
from lab.syncstore.disk.backlog import Backlog
from lab.syncstore.disk.segment import Segment
from lab.syncstore.disk.snapshot import SnapshotWriter
from lab.syncstore.errors import Storage, TooLarge

SEGMENT_BYTES = 16 * 2**20


class Log:
    """One directory, held by this object alone until `close`.

    blank: nothing was on this disk. torn_bytes: what a crash left of entries that were never
    durable, passed over. failing: why the latest `sync` or `write_unsynced` failed, None once one
    has succeeded since.
    """

    def __init__(self, directory: Path, lock: int, found: recovery.Found, segment_bytes: int) -> None:
        self._directory, self._lock, self._found, self._segment_bytes = directory, lock, found, segment_bytes
        self.blank, self.torn_bytes = found.end == 0, found.torn_bytes
        self.failing: Storage | None = None
        self._salt = os.urandom(frames.SALT_BYTES)
        self._seed = crc32(self._salt)
        self._end = self._written = self._durable = found.durable
        self._forgotten = 0  # where that is beyond what is durable: memory holds nothing before it
        self._snapshot_position = found.position
        self._snapshot: SnapshotWriter | None = None
        self._backlog = Backlog(found.durable)
        self._segment: Segment | None = None
        self._number = found.number
        self._closed = [(stretch.path, stretch.end) for stretch in found.stretches]
        self._syncing = Lock()  # one sync at a time
        self._writing = Lock()  # held for short: the segment, the backlog, `_closed`

    @classmethod
    def open(cls, directory: Path, *, rebuild: bool = False, segment_bytes: int = SEGMENT_BYTES) -> Self:
        """Take the directory, made where it is missing, and find what is in force.

        rebuild: begin empty; what was there goes into `set-aside-<n>/`. Entries of which it isn't
        certain that they are durable are written again, to a new segment; should that fail, `failing`
        says so. Raises Storage: held by another process, no permission, damaged.
        """
        lock = files.lock(directory)
        try:
            if rebuild:
                aside.set_aside(directory)
            found = recovery.found(directory)
            with files.told(f"{directory}: can't be tidied"):
                files.sync_directory(directory)
                files.remove(found.obsolete, directory)
            log = cls(directory, lock, found, segment_bytes)
            for payload in found.in_doubt():
                log.append(payload)
        except BaseException:
            os.close(lock)
            raise
        with suppress(Storage):
            log.sync()
        return log

    def recovered(self) -> Iterator[tuple[str, bytes]]:
        """What was there at `open`, once: ("snapshot", chunk) of all chunks, then ("entry", payload)
        of every entry after them. Raises Storage should the disk fail meanwhile."""
        return self._found.payloads()

    def append(self, payload: bytes) -> int:
        """Take an entry into memory; the position that `durable` reaches with it. Raises TooLarge."""
        if not 0 < len(payload) <= frames.PAYLOAD_BYTES:
            raise TooLarge(f"expected an entry of 1 to {frames.PAYLOAD_BYTES} bytes, found {len(payload)}.")
        frame = frames.entry(self._seed, self._end, payload)
        self._backlog.add(frame)  # before `_end`, up to which a sync in its thread expects to find frames
        self._end += len(frame)
        return self._end

    def sync(self) -> int:
        """In a thread: make durable what was appended before; the position that is durable then.

        Raises Storage. What is not durable stays in memory, and goes to a new segment next time.
        """
        with self._syncing:
            target = self._end
            try:
                while self._durable < target:
                    self._sync_group()
            except OSError as error:
                raise self._gave_up(error) from error
            self.failing = None
            return self._durable

    def write_unsynced(self) -> int:
        """Hand what waits to the system where that can be done at once; the position that would
        survive a killed process then. A failure is told by `failing`, and mended by `sync`."""
        if self._writing.acquire(blocking=False):
            try:
                if self._segment and not self._segment.damaged and self._segment.bytes < self._segment_bytes:
                    self._hand_over(self._segment, fill=False)
            except OSError as error:
                self.failing = files.sentence(f"{self._directory}: can't be written", error)
            finally:
                self._writing.release()
        return self._written

    @property
    def appended(self) -> int:
        return self._end

    @property
    def written(self) -> int:
        return self._written

    @property
    def durable(self) -> int:
        return self._durable

    @property
    def pending_bytes(self) -> int:
        """Kept in memory, since not known to be durable."""
        return self._end - max(self._durable, self._forgotten)

    @property
    def bytes_since_snapshot(self) -> int:
        return self._end - self._snapshot_position

    def begin_snapshot(self) -> SnapshotWriter:
        """One at a time. It stands for every entry appended before this call, and touches no file yet."""
        if self._snapshot is not None:
            raise RuntimeError("a snapshot is being written: commit or abort that one first.")
        self._snapshot = SnapshotWriter(self._directory, self._end, self._committed, self._snapshot_ended)
        return self._snapshot

    def forget_pending(self) -> bool:
        """Give back the memory of all that is not durable, when a disk fails for long.

        Until a snapshot begun after this is committed, every `sync` raises Storage: only the
        snapshot can tell what was forgotten. False, and nothing done, while a sync is running.
        """
        if not self._syncing.acquire(blocking=False):
            return False
        try:
            with self._writing:
                self._retire()
                self._backlog.skip_to(self._end)
                self._forgotten = self._end
        finally:
            self._syncing.release()
        return True

    def close(self) -> None:
        """In a thread: sync and let go of the directory. Never raises: `failing` tells, and what is
        not durable then is lost, as with a killed process. A snapshot in the making is aborted."""
        if self._snapshot is not None:
            self._snapshot.abort()
        with suppress(Storage):
            self.sync()
        with self._syncing, self._writing:
            if self._segment and self._written == self._durable:
                self._seal(self._segment)
            self._retire()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _sync_group(self) -> None:
        """Write the next group and make it durable, with all that was written before. Raises OSError, Storage."""
        if self._forgotten > self._durable:
            self.failing = Storage(
                f"{self._directory}: entries were forgotten while the disk failed; commit a snapshot."
            )
            raise self.failing
        with self._writing:
            segment = self._usable_segment()
            self._hand_over(segment)
            reached = self._written
        segment.sync()
        with self._writing:
            self._durable = reached
            self._backlog.release(reached)
            if segment.bytes >= self._segment_bytes and self._written == reached:
                self._retire()

    def _usable_segment(self) -> Segment:
        if self._segment and self._segment.damaged:
            self._retire()
        if self._segment is None:
            self._number += 1
            self._segment = Segment(self._directory, self._number - 1, self._durable, self._salt)
        return self._segment

    def _hand_over(self, segment: Segment, *, fill: bool = True) -> None:
        group = self._backlog.next()
        if group:
            segment.write(group, self._backlog.position - len(group), self._durable, fill=fill)
            self._written = self._backlog.position

    def _gave_up(self, error: OSError) -> Storage:
        with self._writing:
            self._retire()
            self.failing = files.sentence(f"{self._directory}: can't be written", error)
            return self.failing

    def _retire(self) -> None:
        """Write no more to this segment: what it holds beyond `durable` does not count any longer."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        segment.close()
        if segment.start == self._durable:
            files.remove_if_possible(segment.path)
        else:
            self._closed.append((segment.path, self._durable))
        self._backlog.rewind()
        self._written = self._durable

    def _seal(self, segment: Segment) -> None:
        """Say that all of it is durable, so that damage at its end isn't taken for a torn tail."""
        with suppress(OSError):
            segment.write(b"", self._durable, self._durable, fill=False)
            segment.sync()

    def _snapshot_ended(self) -> None:
        self._snapshot = None

    def _committed(self, position: int) -> None:
        """In a snapshot's thread: forget what it stands for."""
        self._snapshot_position = position
        if self._durable < self._forgotten <= position:
            self._skip_to(position)
        with self._writing:
            covered = [path for path, end in self._closed if end <= position]
            self._closed = [(path, end) for path, end in self._closed if end > position]
        with suppress(OSError):  # what stays does no harm, and is removed at the next start
            older = [named.path for named in snapshot.listed(self._directory) if named.position < position]
            files.remove([*covered, *older], self._directory)

    def _skip_to(self, position: int) -> None:
        """What was forgotten is durable: in the snapshot."""
        with self._syncing, self._writing:
            self._retire()
            self._backlog.skip_to(position)
            self._durable = self._written = position
