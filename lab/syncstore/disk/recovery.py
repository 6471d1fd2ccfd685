"""What of a directory is in force: the newest sound snapshot, and every entry after it.

Reads and judges, changes nothing. Each segment counts up to where the next one starts: a later start
at or before a torn place says that what was torn has been written again, one behind it that entries
are missing. Only the newest segment may end in the middle of something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from lab.syncstore.disk import files, frames, segment, snapshot
from lab.syncstore.errors import Storage


@dataclass(frozen=True)
class Stretch:
    """A segment of which the entries from `start` up to `end` count. durable: up to there it is
    known that they were synced. torn_bytes: behind `end`, in the newest segment."""

    path: Path
    start: int
    end: int
    durable: int = 0
    torn_bytes: int = 0


@dataclass(frozen=True)
class Found:
    """What is in force, oldest first, and what no longer counts.

    position: every entry before it is in `snapshot`. end: of the last entry. durable: entries
    before it are on the medium; those behind may be in the system's memory only, or nowhere else
    than in what it remembers of a failed sync. number: of the next segment.
    """

    snapshot: snapshot.Named | None = None
    stretches: list[Stretch] = field(default_factory=list)
    obsolete: list[Path] = field(default_factory=list)
    number: int = 1

    @property
    def position(self) -> int:
        return self.snapshot.position if self.snapshot else 0

    @property
    def end(self) -> int:
        return self.stretches[-1].end if self.stretches else self.position

    @property
    def durable(self) -> int:
        return max(self.position, self.stretches[-1].durable) if self.stretches else self.position

    @property
    def torn_bytes(self) -> int:
        return self.stretches[-1].torn_bytes if self.stretches else 0

    def payloads(self) -> Iterator[tuple[str, bytes]]:
        """("snapshot", chunk) of all chunks, then ("entry", payload) of all entries. Raises Storage."""
        if self.snapshot:
            for chunk in snapshot.chunks(self.snapshot):
                yield "snapshot", chunk
        for stretch in self.stretches:
            for payload in _entries(stretch, self.position):
                yield "entry", payload

    def in_doubt(self) -> Iterator[bytes]:
        """Those entries that aren't known to be durable. Raises Storage."""
        if self.durable < self.end:
            yield from _entries(self.stretches[-1], self.durable)


def found(directory: Path) -> Found:
    """Raises Storage where what was durable can't be read: file, offset, what to do."""
    with files.told(f"{directory}: can't be read"):
        snapshots, segments = snapshot.listed(directory), segment.listed(directory)
        parts = snapshot.parts(directory)
        unborn = [named for named in segments if _unborn(named.path)]
    number = segments[-1].number + 1 if segments else 1
    segments = [named for named in segments if named not in unborn]
    base, stretches = _in_force(directory, snapshots, segments)
    needed = {stretch.path for stretch in stretches} | ({base.path} if base else set())
    there = [named.path for named in [*unborn, *segments]] + [named.path for named in snapshots]
    return Found(base, stretches, parts + [path for path in there if path not in needed], number)


def _unborn(path: Path) -> bool:
    """The process ended while it made this file: had it been longer than its header, that was durable."""
    with path.open("rb") as file:
        head = file.read(frames.HEADER_BYTES + 1)
    return len(head) <= frames.HEADER_BYTES and frames.read_header(frames.SEGMENT, head) is None


def _in_force(
    directory: Path, snapshots: list[snapshot.Named], segments: list[segment.Named]
) -> tuple[snapshot.Named | None, list[Stretch]]:
    """The newest snapshot that is sound, or else none; a damaged one only where all it stood for is still there."""
    refusal: Storage | None = None
    for base in [*snapshots, None]:
        try:
            if base:
                snapshot.check(base)
            stretches = _after(directory, base.position if base else 0, segments)
        except Storage as error:
            if refusal is None:
                refusal = error
            continue
        reached = stretches[-1].end if stretches else base.position if base else 0
        if refusal is None or reached >= snapshots[0].position:
            return base, stretches
    raise refusal or Storage(f"{directory}: can't be read; {files.REBUILD}.")


def _after(directory: Path, position: int, segments: Sequence[segment.Named]) -> list[Stretch]:
    """The stretches that hold every entry from `position` on. Raises Storage."""
    stretches: list[Stretch] = []
    reached = position
    for named, limit in _with_limits(segments):
        if limit is not None and (limit <= position or limit == named.start):
            continue  # not opened: what it holds is in the snapshot, or was written again
        if named.start > reached:
            raise _missing(directory, reached, named.start, f"before {named.path.name}")
        stretches.append(_checked(named, limit))
        reached = max(reached, stretches[-1].end)
    if stretches and stretches[-1].end <= position:
        stretches.pop()  # the newest, and all of it is in the snapshot
    return stretches


def _with_limits(segments: Sequence[segment.Named]) -> Iterator[tuple[segment.Named, int | None]]:
    """Each with the start of the next; None for the newest. Raises Storage where a start goes back."""
    for older, newer in pairwise(segments):
        if newer.start < older.start:
            raise Storage(
                f"{newer.path}: expected a segment that starts at {older.start} or later, as the one before it does;"
                f" these files aren't of one disk; {files.REBUILD}."
            )
        yield older, newer.start
    if segments:
        yield segments[-1], None


def _checked(named: segment.Named, limit: int | None) -> Stretch:
    """limit: where the next segment starts; None for the newest. Raises Storage."""
    with _opened(named.path, named.start) as (file, walk):
        for _ in walk.payloads():
            if limit is not None and walk.position >= limit:
                break
        if limit is None:
            return _newest(named, file, walk)
        if walk.position < limit and not walk.damage:
            raise _missing(named.path.parent, walk.position, limit, f"behind {named.path.name}")
        if walk.position != limit:
            missing = f"and the entries from {walk.position} to {limit}, where the next segment starts, are missing"
            raise _damaged(named.path, walk, missing)
        return Stretch(named.path, named.start, limit)


def _newest(named: segment.Named, file: BinaryIO, walk: frames.Walk) -> Stretch:
    """Ends where the walk did, unless that place once was durable. Raises Storage."""
    file.seek(walk.offset)
    durable, torn_bytes = frames.said_behind(file, walk.salt)
    if durable > walk.position:
        raise _damaged(named.path, walk, "and what follows was written after that was durable, so it is no torn tail")
    return Stretch(named.path, named.start, walk.position, max(named.start, walk.durable), torn_bytes)


def _entries(stretch: Stretch, position: int) -> Iterator[bytes]:
    """Those that count and don't lie before `position`. Raises Storage."""
    if stretch.end <= max(position, stretch.start):
        return
    with _opened(stretch.path, stretch.start) as (_, walk):
        for payload in walk.payloads():
            if walk.position > position:
                yield payload
            if walk.position >= stretch.end:
                return
        raise _damaged(stretch.path, walk, "though it was sound a moment ago")


@contextmanager
def _opened(path: Path, start: int) -> Iterator[tuple[BinaryIO, frames.Walk]]:
    """The file behind its header, and a walk over it. Raises Storage."""
    with files.told(f"{path}: can't be read"), path.open("rb", buffering=2**20) as file:
        head = frames.read_header(frames.SEGMENT, file.read(frames.HEADER_BYTES))
        if head is None or head[0] != start:
            raise Storage(f"{path}: damaged at offset 0: expected a segment's header of this version; {files.REBUILD}.")
        yield file, frames.Walk(file, head[1], start)


def _missing(directory: Path, start: int, end: int, where: str) -> Storage:
    return Storage(
        f"{directory}: the entries from {start} to {end}, {where}, are missing:"
        f" a file is gone or cut short; {files.REBUILD}."
    )


def _damaged(path: Path, walk: frames.Walk, why: str) -> Storage:
    what = walk.damage or "the file ends"
    return Storage(f"{path}: damaged at offset {walk.offset}: {what}, {why}; {files.REBUILD}.")
