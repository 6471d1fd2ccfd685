"""The thread that waits for the disk, so that the loop never does.

Owns when a sync is started: one at a time, the next as soon as the engine wants it, so that writes
gather while one runs (group commit); a second after one that failed. Knows nothing of what is written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol, TypeVar

from lab.syncstore.errors import Storage
from lab.syncstore.node.histogram import Histogram
from lab.syncstore.node.say import Say

T = TypeVar("T")
AGAIN_MS = 1000.0
HELD_BYTES = 64 * 1024 * 1024
"""Of a disk that fails, no more is kept in memory: it is forgotten, and told by a snapshot once it works again."""


class Writer(Protocol):
    """A snapshot in the making, as `log.begin_snapshot` gives it."""

    def write(self, chunk: bytes) -> None: ...
    def flush(self) -> None: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...


class Store(Protocol):
    """What a node needs of a `Log`."""

    failing: Storage | None

    @property
    def durable(self) -> int: ...
    @property
    def pending_bytes(self) -> int: ...
    @property
    def bytes_since_snapshot(self) -> int: ...
    def append(self, payload: bytes) -> int: ...
    def write_unsynced(self) -> int: ...
    def sync(self) -> int: ...
    def begin_snapshot(self) -> Writer: ...
    def forget_pending(self) -> bool: ...
    def close(self) -> None: ...


class Disk:
    """An engine's `Disk`, and its syncs. done, failed: told on the loop, with the position or a sentence."""

    def __init__(self, store: Store, done: Callable[[int], None], failed: Callable[[str], None], say: Say) -> None:
        self.append, self.write_unsynced = store.append, store.write_unsynced
        self.latency, self.failures = Histogram(), 0
        self._store, self._done, self._failed, self._say = store, done, failed, say
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._loop = asyncio.get_running_loop()
        self._running = False
        self._not_before_ms = 0.0

    @property
    def again_ms(self) -> float:
        """When a sync that failed is to be tried again, as the monotonic clock tells; 0 for none."""
        return self._not_before_ms

    @property
    def failing(self) -> str:
        """Why nothing is durable at present; "" where all is well."""
        return str(self._store.failing) if self._not_before_ms and self._store.failing else ""

    def sync(self, now_ms: float, wanted: Callable[[], bool]) -> None:
        """Start one, unless one is running, or failed less than a second ago; one that failed is tried unasked."""
        if self._running or now_ms < self._not_before_ms or not (self._not_before_ms or wanted()):
            return
        self._running = True
        self._thread.submit(self._timed).add_done_callback(self._ended)

    def in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Anything else that must wait for its turn with the disk."""
        return self._loop.run_in_executor(self._thread, work)

    async def close(self) -> None:
        """A last sync; lets go of the directory."""
        await self.in_thread(self._store.close)
        self._thread.shutdown(wait=False)

    def told(self) -> dict[str, object]:
        """For `/status`."""
        store = self._store
        return {
            "sync": self.latency.told(),
            "sync_failures": self.failures,
            "failing": self.failing,
            "durable_position": store.durable,
            "pending_bytes": store.pending_bytes,
            "bytes_since_snapshot": store.bytes_since_snapshot,
        }

    def _timed(self) -> tuple[int, float]:
        """In the thread. The position that is durable, and how long that took in ms."""
        began = time.monotonic()
        return self._store.sync(), (time.monotonic() - began) * 1000

    def _ended(self, future: Future[tuple[int, float]]) -> None:
        """In the thread."""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._take, future)

    def _take(self, future: Future[tuple[int, float]]) -> None:
        self._running = False
        if (error := future.exception()) is None:
            position, took_ms = future.result()
            self._not_before_ms = 0.0
            self.latency.add(took_ms)
            self._done(position)
            return
        self.failures += 1
        self._not_before_ms = time.monotonic() * 1000 + AGAIN_MS
        sentence = str(error) if isinstance(error, Storage) else f"{error.__class__.__name__}: {error}"
        if not isinstance(error, Storage):
            self._say.error(f"a bug: {sentence}", "disk bug")
        if self._store.pending_bytes > HELD_BYTES:
            self._store.forget_pending()
        self._failed(sentence)
