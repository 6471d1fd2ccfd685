"""The disk of a host in use: syncs and snapshots that take their time, slow, stuck or failing.

Owns when a sync begins and is over, and the snapshots that are written meanwhile. What the disk keeps is
`disk`'s business, what is asked of it the host's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.syncstore.errors import Storage
from lab.syncstore.ports import Moment
from lab.syncstore.simulate.disk import SimulatedLog, SimulatedSnapshot

if TYPE_CHECKING:
    from lab.syncstore.simulate.host import Host

SNAPSHOT_BYTES = 96 * 1024
"""Of log after which a snapshot is written: some of them in the life of a world."""
CHUNK_MS = 2.0
"""Between two chunks of it: a cut stays open while the table changes."""


class Drive:
    """slow: so many times what it takes. stuck: nothing is over until `free`."""

    def __init__(self, host: Host, log: SimulatedLog) -> None:
        self.log = log
        self.slow, self.stuck = 1.0, False
        self.syncing = False
        self.snapshots = 0
        self._host = host
        self._waiting = False
        self._snapshot: SimulatedSnapshot | None = None

    def reopened(self) -> None:
        """A process begins: what the last one had under way is over."""
        self.syncing = self._waiting = False
        self._snapshot = None

    def begin_sync(self, at_ms: float) -> None:
        self.syncing = True
        costs = self._host.costs
        takes_ms = (costs.sync_ms + self.log.pending_bytes / costs.disk_bytes_per_ms) * self.slow
        self.log.begin_sync()
        self._host.timeline.at(at_ms + takes_ms, self._over, self._host.boots)

    def _over(self, boots: int) -> None:
        host = self._host
        if boots != host.boots or host.engine is None:
            return
        if self.stuck:
            self._waiting = True
            return
        self.syncing = False
        try:
            host.take("synced", (self.log.finish_sync(),))
        except Storage as error:
            host.take("sync_failed", (str(error),))

    def free(self) -> None:
        """The disk answers again."""
        self.stuck = False
        if self._waiting:
            self._waiting = False
            self._over(self._host.boots)

    def begin_snapshot_if_due(self, now: Moment) -> None:
        if self._snapshot is not None or self.log.bytes_since_snapshot <= SNAPSHOT_BYTES:
            return
        sink = self.log.begin_snapshot()
        chunks = self._host.engine.snapshot(now)
        if chunks is None:
            sink.abort()
            return
        self._snapshot = sink
        self._host.timeline.after(CHUNK_MS, self._write, self._host.boots, sink, chunks)

    def _write(self, boots: int, sink: SimulatedSnapshot, chunks: Iterator[bytes]) -> None:
        host = self._host
        if boots != host.boots or host.engine is None or self._snapshot is not sink:
            return
        if host.paused or self.stuck:
            host.timeline.after(CHUNK_MS, self._write, boots, sink, chunks)
            return
        chunk = next(chunks, None)
        if chunk is not None:
            sink.write(chunk)
            host.timeline.after(CHUNK_MS * self.slow, self._write, boots, sink, chunks)
            return
        self._snapshot = None
        try:
            sink.commit()
            self.snapshots += 1
        except Storage:
            sink.abort()
