"""Watches as a node serves them: a snapshot, then changes, in order per key, coalesced for the slow.

Owns what each watcher has still to be shown. Bounded by the keys watched: a key that changes twice
before its watcher can take it is shown once, as it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.syncstore.record import Record, later
from lab.syncstore.tombstones import absent
from lab.syncstore.wire import Change, Changes, Seen

FRAME_BYTES = 64 * 1024
CHANGE_BYTES = 160
OWED = "?"
"""Before an origin in a token: what was shown of it elsewhere, and whoever made the token did not hold."""


def seen(record: Record) -> Seen:
    return Seen(record.time, record.counter, record.maker or record.origin, record.origin, record.sequence)


def change(record: Record, kind: str, degraded: bool) -> Change:
    value = record.value if kind in ("put", "superseded") else None
    return Change(kind, record.key, value or b"", str(record.version), seen(record), degraded)


class Watcher:
    def __init__(self, link: int, number: int, bucket: str, prefix: str, secured: Callable[[Record], bool]) -> None:
        """secured: whether a second node of the region holds a record."""
        self.link, self.number, self.bucket, self.prefix = link, number, bucket, prefix
        self._secured = secured
        self._snapshot: Iterator[Record] = iter(())
        self._in_snapshot = False
        self._compacted = self._greets = False
        self._lost: dict[str, int] = {}
        self.owed: dict[str, int] = {}
        """Origin → the sequence up to which it was shown elsewhere and which is lacking here: it comes, or is lost."""
        self._waiting: dict[str, tuple[Record, str, bool]] = {}

    def begin(self, snapshot: Iterator[Record], *, compacted: bool, lost: dict[str, int] | None = None) -> None:
        self._snapshot, self._in_snapshot, self._compacted = snapshot, True, compacted
        self._lost |= lost or {}  # what an earlier snapshot was to tell of and did not come to
        self._waiting.clear()

    def go_on(self, missed: list[Record], wall_ms: int) -> None:
        """Resume: what changed since the token; a first frame even when that is nothing, so that it is known."""
        self._greets = True
        for record in missed:
            self.show(record, "delete" if absent(record, wall_ms) else "put", not self._secured(record))

    def show(self, record: Record, kind: str, degraded: bool) -> None:
        held = self._waiting.get(record.key)
        if held is None or not later(held[0], record):
            self._waiting[record.key] = (record, kind, degraded)

    def next(self, wall_ms: int, token: dict[str, int]) -> Changes | None:
        """The next frame, or None when all was shown. token: where a watch that has seen all goes on."""
        if self._in_snapshot:
            frame = self._next_of_snapshot(wall_ms, token)
            if frame is not None:
                return frame
        if not self._waiting and not self._greets:
            return None
        self._greets = False
        items, size = [], 0
        for key in list(self._waiting):
            record, kind, degraded = self._waiting.pop(key)
            items.append(change(record, kind, degraded))
            size += CHANGE_BYTES + len(items[-1].value) + len(key)
            if size > FRAME_BYTES:
                break
        return Changes(self.number, items, token=self._token(token))

    def _next_of_snapshot(self, wall_ms: int, token: dict[str, int]) -> Changes | None:
        items, size = [], 0
        for record in self._snapshot:
            if absent(record, wall_ms):
                continue
            items.append(change(record, "put", not self._secured(record)))
            size += CHANGE_BYTES + len(items[-1].value) + len(record.key)
            if size > FRAME_BYTES:
                return self._of_snapshot(items)
        self._in_snapshot = False
        return self._of_snapshot(items, self._token(token))

    def _of_snapshot(self, items: list[Change], token: dict[str, int] | None = None) -> Changes:
        compacted, self._compacted = self._compacted, False
        lost, self._lost = self._lost, {}
        whole = not self._in_snapshot
        return Changes(self.number, items, True, whole, compacted, token, lost)

    def _token(self, token: dict[str, int]) -> dict[str, int] | None:
        """With what is owed, so that the next node owes it too."""
        if self._waiting:
            return None
        return token | {OWED + origin: entry for origin, entry in self.owed.items()}


class Watches:
    """Every watcher of a node, by bucket."""

    def __init__(self) -> None:
        self._by_bucket: dict[str, list[Watcher]] = {}
        self._by_link: dict[tuple[int, int], Watcher] = {}
        self.due: dict[Watcher, None] = {}

    def __bool__(self) -> bool:
        return bool(self._by_link)

    def __len__(self) -> int:
        return len(self._by_link)

    def add(self, watcher: Watcher) -> None:
        self.end(watcher.link, watcher.number)  # a number used again ends what it named before
        self._by_bucket.setdefault(watcher.bucket, []).append(watcher)
        self._by_link[watcher.link, watcher.number] = watcher
        self.due[watcher] = None

    def end(self, link: int, number: int) -> None:
        watcher = self._by_link.pop((link, number), None)
        if watcher is not None:
            self._by_bucket[watcher.bucket].remove(watcher)
            if not self._by_bucket[watcher.bucket]:
                del self._by_bucket[watcher.bucket]
            self.due.pop(watcher, None)

    def end_all(self, link: int) -> None:
        for one in [number for at, number in self._by_link if at == link]:
            self.end(link, one)

    def all(self) -> list[Watcher]:
        return list(self._by_link.values())

    def of(self, bucket: str) -> list[Watcher]:
        return self._by_bucket.get(bucket, [])

    def show(self, record: Record, kind: str, degraded: bool) -> None:
        for watcher in self._by_bucket.get(record.bucket, ()):
            if record.key.startswith(watcher.prefix):
                watcher.show(record, kind, degraded)
                self.due[watcher] = None
