"""The ring: recent writes of every origin, as the frames they travelled in.

Owns which frame continues from where. A frame is kept as bytes: it goes to peers, to other regions
and into the log as it came. Bounded in bytes over all origins, oldest first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import NamedTuple

TRIM = 512


class Chunk(NamedTuple):
    """Records `first` … `last` of one origin, as the body of a Stream frame."""

    first: int
    last: int
    body: bytes


class _Line:
    """One origin's chunks, contiguous: each begins at the sequence after the one before."""

    __slots__ = ("begun", "chunks", "firsts", "head")

    def __init__(self) -> None:
        self.chunks: list[Chunk | None] = []
        self.firsts: list[int] = []
        self.head = 0
        self.begun = 0
        """How often it began anew."""

    def add(self, chunk: Chunk) -> int:
        """Returns the bytes of what no longer continues and so was dropped."""
        freed = 0
        last = self.chunks[-1] if self.chunks else None
        if last is not None and not chunk.first <= last.last + 1 <= chunk.last:
            freed = self.clear()
        self.chunks.append(chunk)
        self.firsts.append(chunk.first)
        return freed

    def clear(self) -> int:
        freed = sum(len(one.body) for one in self.chunks if one is not None)
        self.chunks, self.firsts, self.head = [], [], 0
        self.begun += 1
        return freed

    def drop_first(self) -> int:
        """Returns the bytes freed, 0 when nothing is left."""
        if self.head >= len(self.chunks):
            return 0
        chunk = self.chunks[self.head]
        assert chunk is not None
        self.chunks[self.head] = None
        self.head += 1
        if self.head > TRIM and self.head * 2 > len(self.chunks):
            del self.chunks[: self.head], self.firsts[: self.head]
            self.head = 0
        return len(chunk.body)

    def find(self, sequence: int) -> Chunk | None:
        place = bisect_right(self.firsts, sequence) - 1
        if place < self.head or place < 0:
            return None
        chunk = self.chunks[place]
        return chunk if chunk is not None and chunk.last >= sequence else None


class Ring:
    def __init__(self, limit_bytes: int) -> None:
        self.limit = limit_bytes
        self._lines: dict[str, _Line] = {}
        self._order: deque[tuple[_Line, int]] = deque()
        """For every chunk its line, and the beginning it belongs to: what began anew has gone already."""
        self.size = 0
        self._kept = 0
        """Chunks there were when the order was last looked through."""

    def add(self, origin: str, chunk: Chunk) -> None:
        line = self._lines.get(origin)
        if line is None:
            line = self._lines[origin] = _Line()
        self.size += len(chunk.body) - line.add(chunk)
        self._order.append((line, line.begun))
        while self.size > self.limit and self._order:
            oldest, begun = self._order.popleft()
            if oldest.begun == begun:
                self.size -= oldest.drop_first()
        if len(self._order) > 2 * self._kept + TRIM:
            self._order = deque(one for one in self._order if one[0].begun == one[1])
            self._kept = len(self._order)

    def find(self, origin: str, sequence: int) -> Chunk | None:
        """The chunk that holds this sequence; None when the ring doesn't reach it (any more)."""
        line = self._lines.get(origin)
        return line.find(sequence) if line is not None else None

    def forget(self, origin: str) -> None:
        line = self._lines.pop(origin, None)
        if line is not None:
            self.size -= line.clear()
