"""The table to disk, now and then, so that the log stays short and a restart quick.

Owns when one is begun, and its pace: a millisecond of the loop at a time, then a rest, so that requests
hardly notice; all waiting for the disk is done in a thread of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

from lab.syncstore.errors import SyncStoreError
from lab.syncstore.node.disk import Store, Writer
from lab.syncstore.node.say import Say

WANTED_BYTES = 64 * 1024 * 1024
SLICE_S = 0.001
REST_S = 0.002
FLUSHED_BYTES = 1024 * 1024
AGAIN_S = 10.0
CHECK_S = 0.5


class Snapshots:
    """chunks: begins a walk over the state as it is at the call; None while that can't be told. taken: how
    many were put in force."""

    def __init__(self, store: Store, chunks: Callable[[], Iterator[bytes] | None], say: Say) -> None:
        self.taken = self.failures = 0
        self._store, self._chunks, self._say = store, chunks, say
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshot")

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await asyncio.sleep(CHECK_S)
                if self._store.bytes_since_snapshot > WANTED_BYTES:
                    await self._take_or_wait()
        finally:
            self._thread.shutdown(wait=False)

    async def _take_or_wait(self) -> None:
        try:
            await self.take()
        except Exception as error:  # also a bug of ours: the next one may succeed, and without any the log only grows
            self.failures += 1
            words = str(error) if isinstance(error, SyncStoreError) else f"a bug: {error.__class__.__name__}: {error}"
            self._say.error(f"a snapshot can't be written: {words}", "snapshot")
            await asyncio.sleep(AGAIN_S)

    async def take(self) -> None:
        """Write one, if it can be had now, and put it in force. Raises Storage; then the older one is in force."""
        began = time.monotonic()
        chunks = self._chunks()
        if chunks is None:
            return
        writer = self._store.begin_snapshot()  # in the same step: it stands for what was appended until now
        try:
            size = await self._write(writer, chunks)
            await self._in_thread(writer.commit)
        except BaseException:
            writer.abort()
            raise
        finally:
            if isinstance(chunks, Generator):
                chunks.close()  # the engine need not keep the cut any longer
        self.taken += 1
        self._say.info(f"a snapshot of {size} bytes was taken in {time.monotonic() - began:.1f} s", "snapshot")

    async def _write(self, writer: Writer, chunks: Iterator[bytes]) -> int:
        size = unflushed = 0
        until = time.monotonic() + SLICE_S
        flushing: asyncio.Future[None] | None = None
        for chunk in chunks:
            writer.write(chunk)
            size += len(chunk)
            unflushed += len(chunk)
            if time.monotonic() < until:
                continue
            if unflushed >= FLUSHED_BYTES:
                if flushing is not None:
                    await flushing
                flushing, unflushed = self._in_thread(writer.flush), 0
            await asyncio.sleep(REST_S)
            until = time.monotonic() + SLICE_S
        if flushing is not None:
            await flushing
        return size

    def _in_thread(self, work: Callable[[], None]) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)
