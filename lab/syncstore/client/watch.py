"""A watch, as its user takes it: the snapshot, None, then changes as they come.

    async with rooms.watch("sg/") as watch:
        async for event in watch:
            ...

Owns the wait for the next event. A consumer that is slow misses steps between, never the last state.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lab.syncstore.errors import Refused, SyncStoreError
from lab.syncstore.watched import Event, Watched
from lab.syncstore.wire import Request

if TYPE_CHECKING:
    from lab.syncstore.client.runner import SessionRunner


BREATH = 256
"""After so many events in a row others on the loop have their turn."""


class Watch:
    """Iterating raises Denied, Refused or another error that no other node would answer differently; a node
    that is gone raises nothing: the watch goes on at another, or waits for one."""

    def __init__(self, runner: SessionRunner, bucket: str, prefix: str, resume: dict[str, int] | None) -> None:
        self.bucket, self.prefix = bucket, prefix
        self.watched = Watched(resume)
        self.request = Request(0, "watch", bucket, prefix)
        self.node, self.number, self.failures = "", 0, 0
        self._runner = runner
        self._error: SyncStoreError | None = None
        self._ended = False
        self._taken = 0
        self._wakeup: asyncio.Future[None] | None = None

    @property
    def token(self) -> dict[str, int] | None:
        """Give it to `watch(resume=…)` to go on from what was taken so far; None while there is none."""
        return self.watched.token

    @property
    def resumed(self) -> bool:
        """Known at None: whether `resume` was of use. If not, all that is there was shown, and what was
        deleted since then was not."""
        return self.watched.resumed

    async def __aenter__(self) -> Self:
        self._runner.watches.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.watches.end(self)
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | None:
        """None: the snapshot ends here."""
        if not self.number and self not in self._runner.watches:
            raise Refused("this watch was not begun: use `async with bucket.watch(…) as watch`")
        self._taken += 1
        if self._taken % BREATH == 0:
            await asyncio.sleep(0)
        while True:
            shown = None if self._ended else self.watched.take()
            if shown is not None:
                if shown.event is not None and shown.seen is not None:
                    self._runner.session.seen.learn(self.bucket, shown.event.key, shown.seen)
                return shown.event
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup

    # -- for `watches` -------------------------------------------------------------------------------

    def wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def fail(self, error: SyncStoreError) -> None:
        self._error = error
        self.wake()

    def close(self) -> None:
        self._ended = True
        self.wake()
