"""What was appended and is not yet known to be durable: kept in memory, in order, until it is.

Owns the queue between the loop, which appends, and the thread, which writes. Frames go through it
as bytes; it knows nothing of files. `add` may run at any time; all else under the log's lock.

    new ──next()──▸ handed (to the system) ──release()──▸ durable, forgotten here
     ▴                  │
     └────── again ◂────┴── rewind(): their file is given up
"""

from __future__ import annotations

from collections import deque

GROUP_BYTES = 4 * 2**20
"""As much as is written before it is synced; a group may exceed it by one entry."""


class Backlog:
    """position: what has been handed to the system ends here."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._new: list[bytes] = []
        self._handed: deque[tuple[int, bytes]] = deque()  # (where it ends, group)
        self._again: deque[bytes] = deque()
        self.add = self._new.append  # the list stays the same one: appending and taking are atomic

    def next(self) -> bytes:
        """The next group, b"" where nothing waits; it counts as handed until `rewind` or `put_back`."""
        group = self._old() if self._again else self._joined()
        if group:
            self.position += len(group)
            self._handed.append((self.position, group))
        return group

    def release(self, durable: int) -> None:
        """Groups that end by there needn't be kept."""
        while self._handed and self._handed[0][0] <= durable:
            self._handed.popleft()

    def rewind(self) -> None:
        """Whatever was handed and not released is to be handed again."""
        while self._handed:
            end, group = self._handed.pop()
            self.position = end - len(group)
            self._again.appendleft(group)

    def skip_to(self, position: int) -> None:
        """Forget all before it. Call after `rewind`; `position` is where an entry ends."""
        left = b"".join([*self._again, self._taken(len(self._new))])[max(0, position - self.position) :]
        self._again = deque([left] if left else [])
        self.position = max(self.position, position)

    def _old(self) -> bytes:
        groups = [self._again.popleft()]
        size = len(groups[0])
        while self._again and (size := size + len(self._again[0])) <= GROUP_BYTES:
            groups.append(self._again.popleft())
        return b"".join(groups)

    def _joined(self) -> bytes:
        count, size = len(self._new), 0
        for at, frame in enumerate(self._new[:count]):
            size += len(frame)
            if size >= GROUP_BYTES:
                count = at + 1
                break
        return self._taken(count)

    def _taken(self, count: int) -> bytes:
        group = b"".join(self._new[:count])
        del self._new[:count]
        return group
