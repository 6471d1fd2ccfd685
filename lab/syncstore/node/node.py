"""A running node: tells its engine what happens, in batches, and gives it time for what can wait.

Owns the order of things within one turn of the loop:

    every frame that came from the own region and from clients     as it is read
    flush: replies and streams go out, and a sync starts if one is wanted
    frames of other regions, and the engine's own work for others  a millisecond of each turn
    flush, should that have given anything to send

So whatever another region sends, a local request waits for a millisecond of it at most.
"""

from __future__ import annotations

import asyncio
import gc
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from lab.syncstore.config import Config
from lab.syncstore.node.connections import CLIENT, PEER, WAN, Connections, Tls
from lab.syncstore.node.disk import Disk, Store
from lab.syncstore.node.pulse import Alarm, LoopLag
from lab.syncstore.node.say import Say
from lab.syncstore.node.snapshots import Snapshots
from lab.syncstore.node.transport import Link
from lab.syncstore.ports import Disk as DiskPort
from lab.syncstore.ports import Moment, Outlet

GOODBYE_S = 2.0
SETTLE_S = 0.2
"""What clients asked for before a stop has so long to be answered."""
GC_THRESHOLDS = (50_000, 20, 100)
"""Records are no garbage collector's business; what is left is short-lived, or hardly ever a cycle."""
LIMITS = {PEER: 64, WAN: 256, CLIENT: 1024}
"""Connections at once, so that strangers can't take more than that."""


class Engine(Protocol):
    """See `ports`."""

    next_wake_ms: float

    @property
    def ready(self) -> bool: ...
    @property
    def counters(self) -> Mapping[str, int]: ...
    def start(self, now: Moment, recovered: Iterable[tuple[str, bytes]], blank: bool) -> None: ...
    def opened(
        self, now: Moment, link: int, purpose: str, node: str, roles: frozenset[str] = frozenset(), name: str = ""
    ) -> None: ...
    def received(self, now: Moment, link: int, body: bytes) -> None: ...
    def closed(self, now: Moment, link: int) -> None: ...
    def dial_failed(self, now: Moment, node: str, purpose: str) -> None: ...
    def synced(self, now: Moment, position: int) -> None: ...
    def sync_failed(self, now: Moment, sentence: str) -> None: ...
    def wake(self, now: Moment) -> None: ...
    @property
    def has_work(self) -> bool: ...
    def work(self, now: Moment) -> bool: ...
    def flush(self, now: Moment) -> None: ...
    def wants_sync(self, now: Moment) -> bool: ...
    def writable(self, now: Moment, link: int) -> None: ...
    def snapshot(self, now: Moment) -> Iterator[bytes] | None: ...
    def status(self) -> dict[str, Any]: ...
    def take_told(self) -> list[str]: ...


class Recovered(Store, Protocol):
    """A store just opened: what `start` needs of it besides."""

    blank: bool

    def recovered(self) -> Iterator[tuple[str, bytes]]: ...


EngineMaker = Callable[[Config, Outlet, DiskPort], Engine]


class Node:
    """Made on its loop. phase: starting, recovering, serving or stopping. bugs: exceptions of our own."""

    def __init__(self, config: Config, tls: Tls | None, say: Say, clock_offset_ms: int = 0) -> None:
        self.config, self.phase, self.bugs = config, "starting", 0
        self.connections = Connections(config, tls, self, say)
        self.lag = LoopLag()
        self.disk: Disk | None = None
        self.snapshots: Snapshots | None = None
        self.engine: Engine | None = None
        self._say, self._clock_offset_ms = say, clock_offset_ms
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._wake)
        self._turning = True  # until it serves
        self._snapshotting: asyncio.Task[None] | None = None
        self._slice_ms = config.limits.slice_ms

    def now(self) -> Moment:
        return Moment(time.monotonic() * 1000, time.time_ns() // 1_000_000 + self._clock_offset_ms)

    # -- its life ----------------------------------------------------------------------------------

    async def recover(self, engine: EngineMaker, store: Recovered) -> None:
        """Read the disk, in a thread, since that may take long. Raises Storage."""
        self.phase = "recovering"
        self.disk = Disk(store, self._synced, self._sync_failed, self._say)
        made = self.engine = engine(self.config, self.connections, self.disk)
        self.snapshots = Snapshots(store, lambda: made.snapshot(self.now()), self._say)
        began = time.monotonic()
        gc.disable()
        try:
            await self.disk.in_thread(lambda: made.start(self.now(), store.recovered(), store.blank))
        finally:
            gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        what = "a blank disk" if store.blank else "the disk"
        self._say.info(f"{what} was read in {time.monotonic() - began:.1f} s")

    def serve(self) -> None:
        """Begin: timers, syncs, dialling. Listeners are opened by whoever knows their addresses."""
        assert self.snapshots is not None
        self.phase, self._turning = "serving", False
        self._snapshotting = asyncio.create_task(self.snapshots.run())
        self.soon()

    async def stop(self) -> None:
        """Let nobody in, answer what was asked, make it durable, say goodbye. Once."""
        if self.phase == "stopping":
            return
        self.phase = "stopping"
        await self.connections.stop_listening()
        if self._snapshotting is not None:
            self._snapshotting.cancel()
            await asyncio.wait({self._snapshotting})
        if self.engine is not None and not self._turning:
            await asyncio.sleep(SETTLE_S)
        await self.connections.shut("this node is being stopped", GOODBYE_S)
        self._turning = True
        self._alarm.stop()
        self.lag.stop()
        if self.disk is not None:
            await self.disk.close()

    # -- what connections tell ---------------------------------------------------------------------

    def opened(self, link: Link, roles: frozenset[str], name: str) -> None:
        self._tell(lambda engine: engine.opened(self.now(), link.number, link.purpose, link.node, roles, name), link)

    def received(self, link: Link, body: bytes) -> None:
        engine = self.engine
        assert engine is not None
        try:
            engine.received(self.now(), link.number, body)
        except Exception as error:
            self._bug(error, link)

    def closed(self, link: Link) -> None:
        self._tell(lambda engine: engine.closed(self.now(), link.number))

    def writable(self, link: Link) -> None:
        self._tell(lambda engine: engine.writable(self.now(), link.number), link)

    def dial_failed(self, node: str, purpose: str) -> None:
        self._tell(lambda engine: engine.dial_failed(self.now(), node, purpose))

    def soon(self) -> None:
        """A turn, after whatever else the loop has read by now."""
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    # -- what disk and timers tell -----------------------------------------------------------------

    def _synced(self, position: int) -> None:
        self._tell(lambda engine: engine.synced(self.now(), position))
        self.soon()

    def _sync_failed(self, sentence: str) -> None:
        self._tell(lambda engine: engine.sync_failed(self.now(), sentence))
        self.soon()

    def _wake(self) -> None:
        self._tell(lambda engine: engine.wake(self.now()))
        self.soon()

    # -- a turn ------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._turning = False
        if self.phase not in ("serving", "stopping") or self.disk is None or self.engine is None:
            return
        self._flush()
        more = False
        if self.connections.foreign.waits or self.engine.has_work:
            until_ms = time.monotonic() * 1000 + self._slice_ms
            more = self.connections.foreign.work(until_ms)
            more |= self._work(until_ms)
            self._flush()
        wake_ms = self.engine.next_wake_ms
        self._alarm.at(min(wake_ms, self.disk.again_ms) if self.disk.again_ms else wake_ms)
        if more:
            self.soon()

    def _flush(self) -> None:
        engine, disk = self.engine, self.disk
        assert engine is not None and disk is not None
        now = self.now()
        try:
            engine.flush(now)
        except Exception as error:
            self._bug(error)
        self.connections.flush()
        for sentence in engine.take_told():
            self._say.info(sentence)
        disk.sync(now.mono_ms, lambda: engine.wants_sync(now))

    def _work(self, until_ms: float) -> bool:
        assert self.engine is not None
        try:
            while self.engine.work(self.now()):
                if time.monotonic() * 1000 >= until_ms:
                    return True
        except Exception as error:
            self._bug(error)
        return False

    def _tell(self, what: Callable[[Engine], None], link: Link | None = None) -> None:
        if self.engine is None:
            return
        try:
            what(self.engine)
        except Exception as error:
            self._bug(error, link)

    def _bug(self, error: Exception, link: Link | None = None) -> None:
        """A bug of ours costs the connection it came by; all else goes on."""
        self.bugs += 1
        where = " ← ".join(f"{one.filename.rsplit('/', 1)[-1]}:{one.lineno}" for one in _frames(error))
        self._say.error(f"a bug: {error.__class__.__name__}: {error} ({where})", "bug")
        if link is not None:
            link.end("a bug of this node")


def _frames(error: Exception) -> list[traceback.FrameSummary]:
    """The innermost first."""
    return traceback.extract_tb(error.__traceback__)[::-1][:6]
