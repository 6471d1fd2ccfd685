"""What a watch has shown, and what it has still to show: in order per key, on whichever node it goes on.

Owns the versions shown, the changes not taken yet (coalesced by key), the resume token, and the
comparison of a fresh snapshot with what was shown before. Nothing older is shown after something newer,
unless that is lost with the disks that held it. Knows nothing of connections or tasks.

What it remembers is bounded by the live keys under its prefix, and the last `GONE` deleted ones.
"""

from __future__ import annotations

from collections import OrderedDict
from sys import intern
from typing import NamedTuple

import msgspec

from lab.syncstore.recent import Recent
from lab.syncstore.vector import WHOLE
from lab.syncstore.wire import Change, Changes, Seen

GONE = 65_536
PRESENT = frozenset(("put", "superseded"))
NOTHING = Seen(-1, 0, "", "", 0)
"""What was shown of a key is lost: every version is above it."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """kind: put, delete, expired, or superseded (a create or update of this region lost to another region's).

    value: None where the key is absent now. revision: "" where the deletion itself was not seen, only that
    the key is gone. degraded: no second node of the region is known to hold it yet.
    """

    kind: str
    key: str
    value: bytes | None
    revision: str
    degraded: bool = False


class Shown(NamedTuple):
    """event None: the snapshot ends here. seen: what the session was shown by it."""

    event: Event | None
    seen: Seen | None = None


class _Gone(NamedTuple):
    """found_absent: told by no deletion but by a snapshot that lacks the key, from a node that may be behind."""

    seen: Seen
    found_absent: bool


class Watched:
    def __init__(self, resume: dict[str, int] | None = None) -> None:
        """resume: a `token` of a watch on the same bucket and prefix; what it was shown is then not shown again."""
        self.token = resume
        """Where whoever has taken everything up to now may resume; None: nowhere yet."""
        self.resumed = False
        """Whether the first node went on from `resume`: else a snapshot was shown."""
        self._received = resume
        self._live: dict[str, Seen] = {}
        self._gone: Recent[str, _Gone] = Recent(GONE)
        self._waiting: OrderedDict[str | None, Shown] = OrderedDict()
        self._fresh: set[str] | None = None
        """Keys named so far by the snapshot under way."""
        self._marked = False

    def __len__(self) -> int:
        return len(self._waiting)

    def reopen(self) -> dict[str, int] | None:
        """The token to ask the next node with. A snapshot that was under way begins anew."""
        self._fresh = None
        return self._received

    def accepted(self) -> None:
        """A node goes on with the watch. With a token there may be nothing to tell."""
        if self._received is not None and not self._marked:
            self.resumed = True
            self._mark()

    def changed(self, changes: Changes) -> None:
        """One frame of the node's."""
        if changes.compacted:
            self._received, self._fresh = None, set()
            self._forget(changes.lost)
        elif changes.initial and self._fresh is None:
            self._fresh = set()
        elif not changes.initial:
            self.accepted()
        for change in changes.items:
            self._show(change)
        if changes.whole:
            self._snapshot_ends()
        if changes.token is not None and self._fresh is None:
            self._received = changes.token
        self._settle()

    def take(self) -> Shown | None:
        """The next thing to show; None: nothing for now."""
        if not self._waiting:
            return None
        shown = self._waiting.popitem(last=False)[1]
        self._settle()
        return shown

    def _show(self, change: Change) -> None:
        if self._fresh is not None:
            self._fresh.add(change.key)
        seen = change.seen
        seen.origin, seen.maker = intern(seen.origin), intern(seen.maker)  # few texts for many keys
        present = change.kind in PRESENT
        if not self._is_news(change.key, seen, present):
            return
        if present:
            self._live[change.key] = seen
            self._gone.drop(change.key)
        else:
            self._live.pop(change.key, None)
            self._gone.put(change.key, _Gone(seen, False))
        value = change.value if present else None
        event = Event(change.kind, change.key, value, change.revision, change.degraded)
        self._waiting[change.key] = Shown(event, seen)  # in the place of what was not taken yet

    def _is_news(self, key: str, seen: Seen, present: bool) -> bool:
        version, live = _version(seen), self._live.get(key)
        if live is not None:  # an expiry has the version of what expired
            return version > _version(live) or (version == _version(live) and not present)
        gone = self._gone.get(key)
        if gone is None:
            return True
        if not present:
            if version > _version(gone.seen):
                self._gone.put(key, _Gone(seen, False))
            return False  # it was told already that the key is gone
        return version > _version(gone.seen) or (gone.found_absent and version == _version(gone.seen))

    def _forget(self, lost: dict[str, int]) -> None:
        """What was shown and is lost: whatever the key is now is news, though its version may be older."""

        def is_lost(seen: Seen) -> bool:
            return seen.sequence > lost.get(seen.origin, WHOLE)

        for key in [one for one, seen in self._live.items() if is_lost(seen)] if lost else ():
            self._live[key] = NOTHING
        for key in self._gone if lost else ():
            gone = self._gone.get(key)
            if gone is not None and is_lost(gone.seen):
                self._gone.drop(key)

    def _snapshot_ends(self) -> None:
        """What was shown and is in the snapshot no more, is gone."""
        if self._fresh is not None and len(self._live) > 0:
            for key in [one for one in self._live if one not in self._fresh]:
                self._gone.put(key, _Gone(self._live.pop(key), True))
                self._waiting[key] = Shown(Event("delete", key, None, ""))
        self._fresh = None
        self._mark()

    def _mark(self) -> None:
        if not self._marked:
            self._marked = True
            self._waiting[None] = Shown(None)

    def _settle(self) -> None:
        """The token may be handed out once all that it covers was taken."""
        if not self._waiting and self._fresh is None:
            self.token = self._received


def _version(seen: Seen) -> tuple[int, int, str]:
    return seen.time, seen.counter, seen.maker
