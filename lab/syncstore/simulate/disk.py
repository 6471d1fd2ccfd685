"""A disk in virtual time: `log.Log` without files and threads, with every way a disk can let you down.

Owns what a crash leaves. A sync is two events, `begin_sync` and `finish_sync`; how long it takes between
them is the world's to say, by `pending_bytes`. Draws nothing itself: `crash` is handed the generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from lab.syncstore.disk.frames import HEAD_BYTES, PAYLOAD_BYTES
from lab.syncstore.errors import Storage, TooLarge


class SimulatedLog:
    """full, broken: while set, what would reach the disk is refused, as Storage."""

    def __init__(self) -> None:
        self.full, self.broken = False, False
        self.failing: Storage | None = None
        self.torn_bytes = 0
        self._chunks: list[bytes] = []
        self._covered = 0  # position of the snapshot
        self._entries: list[tuple[int, bytes]] = []  # (where it ends, payload)
        self._end = self._written = self._durable = 0
        self._touched = 0  # what may have reached the medium, synced or not
        self._covering: int | None = None  # by the sync under way
        self._forgotten = 0
        self._snapshot: SimulatedSnapshot | None = None
        self.blank = True

    def recovered(self) -> Iterator[tuple[str, bytes]]:
        for chunk in self._chunks:
            yield "snapshot", chunk
        for end, payload in self._entries:
            if end > self._covered:
                yield "entry", payload

    def append(self, payload: bytes) -> int:
        if not 0 < len(payload) <= PAYLOAD_BYTES:
            raise TooLarge(f"expected an entry of 1 to {PAYLOAD_BYTES} bytes, found {len(payload)}.")
        self._end += HEAD_BYTES + len(payload)
        self._entries.append((self._end, payload))
        return self._end

    def begin_sync(self) -> int:
        """The position that `finish_sync` will make durable; not a second time before that."""
        if self._covering is not None:
            raise RuntimeError("a sync is under way: finish that one first.")
        self._covering = self._end
        self._hand_over()
        return self._end

    def finish_sync(self) -> int:
        """What is durable now. Raises Storage while the disk is full or broken: nothing is lost by it."""
        covering, self._covering = self._covering, None
        if covering is None:
            raise RuntimeError("no sync is under way: begin one first.")
        if covering > self._durable:
            self.failing = self._refusal()
            if self.failing:
                self._written = self._durable
                raise self.failing
            self._durable, self._written = covering, max(self._written, covering)
        self.failing = None
        return self._durable

    def write_unsynced(self) -> int:
        if self.failing is None:
            self._hand_over()
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
        return self._end - max(self._durable, self._forgotten)

    @property
    def bytes_since_snapshot(self) -> int:
        return self._end - self._covered

    def begin_snapshot(self) -> SimulatedSnapshot:
        if self._snapshot is not None:
            raise RuntimeError("a snapshot is being written: commit or abort that one first.")
        self._snapshot = SimulatedSnapshot(self, self._end)
        return self._snapshot

    def forget_pending(self) -> bool:
        if self._covering is not None:
            return False
        self._entries = [(end, payload) for end, payload in self._entries if end <= self._durable]
        self._forgotten, self._written = self._end, self._durable
        return True

    def crash(self, random: Random, torn: bool) -> list[tuple[str, bytes]]:
        """The node is gone and its log opened again: what that recovers.

        torn False: the process was killed, what was `written` is still there. True: the power was
        cut; of what was not durable a random beginning is left, and may end in the middle of an entry.
        """
        floor = self._durable if torn else self._written
        doubtful = [end for end, _ in self._entries if floor < end <= self._touched]
        kept = ([floor, *doubtful])[random.randint(0, len(doubtful))]
        self.torn_bytes = random.randrange(HEAD_BYTES) if torn and kept < self._touched else 0
        self._reopen(max(kept, self._covered))
        return list(self.recovered())

    def wipe(self) -> None:
        """The disk is lost: a new, empty one is in its place."""
        self.__init__()  # type: ignore[misc]

    def copy(self) -> SimulatedLog:
        """What the disk holds now, to be put back one day on one in health; `crash` it then, to have it opened."""
        twin = SimulatedLog()
        twin.__dict__.update(self.__dict__)
        twin._chunks, twin._entries = list(self._chunks), list(self._entries)
        twin._snapshot, twin._covering, twin.failing = None, None, None
        twin.full = twin.broken = False
        return twin

    def _hand_over(self) -> None:
        if self._refusal() is None:
            self._written = self._touched = self._end

    def _refusal(self) -> Storage | None:
        if self._forgotten > self._durable:
            return Storage("entries were forgotten when the disk failed; commit a snapshot.")
        if self.full:
            return Storage("the disk is full; free some space: what waits is written then.")
        return Storage("the disk is broken: what waits is written once it works.") if self.broken else None

    def _reopen(self, kept: int) -> None:
        self._entries = [(end, payload) for end, payload in self._entries if end <= kept]
        self._end = self._written = self._touched = kept
        self._forgotten, self._covering, self._snapshot = 0, None, None
        self.blank = kept == 0
        self.failing = self._refusal() if kept > self._durable else None
        if self.failing is None:
            self._durable = kept

    def _committed(self, position: int, chunks: list[bytes]) -> None:
        self._chunks, self._covered = chunks, position
        self._entries = [(end, payload) for end, payload in self._entries if end > position]
        if self._durable < self._forgotten <= position:
            self._durable = position
            self._written = self._touched = max(position, self._written)


class SimulatedSnapshot:
    """As `SnapshotWriter`; a crash before `commit` leaves the older one in force."""

    def __init__(self, log: SimulatedLog, position: int) -> None:
        self.position = position
        self._log, self._chunks = log, list[bytes]()

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def flush(self) -> None:
        self._refuse_if_impossible()

    def commit(self) -> None:
        self._refuse_if_impossible()
        self._log._snapshot = None
        self._log._committed(self.position, self._chunks)

    def abort(self) -> None:
        if self._log._snapshot is self:
            self._log._snapshot = None

    def _refuse_if_impossible(self) -> None:
        if self._log._snapshot is not self:
            raise Storage("the snapshot was committed or aborted; begin another.")
        if self._log.full or self._log.broken:
            self.abort()
            raise Storage("the disk takes no snapshot: it is full or broken.")
