"""One node of a world: an engine, its log, its clocks, and the one processor that they share.

Owns the order in which an engine is called (inputs → a slice of work → flush → sync), what each
call costs, and what dies with a process or a machine. A host does one thing after the other: what
comes in meanwhile waits, so a region that is flooded is seen as latency. Knows nothing of what the
engine does, of faults' schedules, or of promises.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from math import inf
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from lab.syncstore.config import Config
from lab.syncstore.ports import Disk, Moment, Outlet
from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.clocks import Clocks
from lab.syncstore.simulate.disk import SimulatedLog
from lab.syncstore.simulate.drive import Drive
from lab.syncstore.simulate.links import BLACKHOLE, REFUSE
from lab.syncstore.simulate.net import Network, Pipe
from lab.syncstore.simulate.settings import Costs

TURN_INPUTS = 256
"""Inputs looked at in one turn of the loop."""
RESTART_MS = 500.0
"""A process that crashed is started again after so long."""


MakeCore = Callable[[Config, Outlet, Disk], Any]
"""An engine, driven as `ports` says; tests put others in its place."""


class Host:
    def __init__(
        self, network: Network, config: Config, disk: SimulatedLog, make: MakeCore, costs: Costs, seed: int
    ) -> None:
        self.network, self.timeline = network, network.timeline
        self.config, self.costs = config, costs
        self.drive = Drive(self, disk)
        self.place, self.region = config.node, config.region
        self.engine: Any = None
        self.boots = 0
        self.booted_ms = 0.0
        self.lost_disks = 0
        self.clocks = Clocks(self.timeline)
        self.paused_ms = inf
        """Since when it is paused; infinity while it runs."""
        self.powered = True
        self.slow = 1.0
        """Everything takes so many times what it should."""
        self.busy_ms = 0.0
        """CPU used so far."""
        self.seen = 0
        """A digest of everything that reached this node, in order."""
        self.on_boot: Callable[[], None] = lambda: None
        self.on_taken: Callable[[Host], None] = lambda host: None
        """Told when a delta is in, in a turn of its own."""
        self.on_gone: Callable[[], None] = lambda: None
        self.on_crash: Callable[[str], None] = lambda sentence: None
        self._make, self._seed = make, seed
        self._inbox: deque[tuple[str, tuple[Any, ...], Pipe | None]] = deque()
        self._pipes: dict[int, Pipe] = {}
        self._outbox: dict[int, list[bytes]] = {}
        self._free_ms = 0.0
        self._planned = False
        self._more, self._taken = False, 0
        self._wake_ms = inf
        self._broken: list[Any] = []
        network.ends[self.place] = self

    # -- the process -----------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the process on what its disk holds. No effect while it runs."""
        if self.engine is not None:
            return
        self.boots += 1
        self.booted_ms = self.timeline.now_ms
        self.powered = True
        chance = fork(self._seed, "boot", self.place, self.boots)
        self._bits = chance.getrandbits
        self.clocks.begin(chance.uniform(1_000, 1_000_000))
        self._inbox.clear()
        self._outbox.clear()
        self._more, self._taken = False, 0
        self.drive.reopened()
        self._wake_ms = inf
        for connection in self._broken:
            # The machine answers again: it knows nothing of what was open before.
            connection.reset()
        self._broken = []
        engine = self.engine = self._make(self.config, self, self.drive.log)
        entries = list(self.drive.log.recovered())
        self._free_ms = self.timeline.now_ms + self.costs.start_ms + len(entries) * self.costs.recover_us / 1000
        engine.start(self.clocks.now(), entries, self.drive.log.blank)
        self.on_boot()
        self._settle(self.clocks.now())

    def kill(self, chance: Random, keep: bool) -> None:
        """kill −9. What was written to the system survives. keep: what it had sent still arrives."""
        if self.engine is None:
            return
        self.drive.log.crash(chance, torn=False)
        for pipe in list(self._pipes.values()):
            pipe.connection.abandon(self, keep)
        self._gone()

    def cut_power(self, chance: Random) -> None:
        """Nobody is told: peers find out by silence, or when the machine answers again."""
        self.drive.log.crash(chance, torn=True)
        for pipe in list(self._pipes.values()):
            pipe.connection.silence(self)
            self._broken.append(pipe.connection)
        self.powered = False
        self._gone()

    def _gone(self) -> None:
        self.engine = None
        self.on_gone()
        self._pipes.clear()
        self._inbox.clear()
        self._outbox.clear()
        self.paused_ms = inf

    @property
    def paused(self) -> bool:
        return self.paused_ms < inf

    def pause(self) -> None:
        """SIGSTOP: what comes in waits; the kernel goes on accepting."""
        self.paused_ms = min(self.paused_ms, self.timeline.now_ms)

    def resume(self) -> None:
        self.paused_ms = inf
        self._plan()

    # -- what the engine asks for: an Outlet -----------------------------------------------------

    def send(self, link: int, body: bytes) -> None:
        pipe = self._pipes.get(link)
        if pipe is None:
            return
        pipe.outstanding += len(body) + 4
        waiting = self._outbox.get(link)
        if waiting is None:
            self._outbox[link] = [body]
        else:
            waiting.append(body)

    def unsent(self, link: int) -> int:
        pipe = self._pipes.get(link)
        return 0 if pipe is None else pipe.unsent

    def close(self, link: int, why: str) -> None:
        pipe = self._pipes.get(link)
        if pipe is not None:
            boots = self.boots
            self.timeline.at(self._free_ms, self._hang_up, pipe, boots)

    def _hang_up(self, pipe: Pipe, boots: int) -> None:
        if self.engine is not None and boots == self.boots:
            pipe.connection.end(self)

    def pipes(self) -> list[Pipe]:
        """Of its open connections, those that lead away from here."""
        return list(self._pipes.values())

    def dial(self, node: str, purpose: str) -> None:
        boots = self.boots
        self.network.dial(
            self, node, purpose, self.timeline.now_ms, lambda: self.engine is not None and self.boots == boots
        )

    def bits(self) -> int:
        return self._bits(64)

    # -- what reaches the engine: an End ---------------------------------------------------------

    def accepts(self) -> str:
        if self.engine is not None:
            return ""
        return REFUSE if self.powered else BLACKHOLE

    def opened(self, pipe: Pipe, purpose: str, node: str) -> None:
        self._pipes[pipe.number] = pipe
        self.take("opened", (pipe.number, purpose, node))

    def dial_failed(self, node: str, purpose: str) -> None:
        self.take("dial_failed", (node, purpose))

    def arrived(self, pipe: Pipe, bodies: list[bytes]) -> None:
        number = pipe.number
        if number not in self._pipes:
            return
        for body in bodies:
            self.seen = crc32(body, self.seen)
            self._inbox.append(("received", (number, body), pipe))
        if not self._planned:
            self._plan()

    def closed(self, number: int) -> None:
        if self._pipes.pop(number, None) is not None:
            self._outbox.pop(number, None)
            self.take("closed", (number,))

    def writable(self, number: int) -> None:
        self.take("writable", (number,))

    def take(self, call: str, given: tuple[Any, ...]) -> None:
        if self.engine is None:
            return
        self._inbox.append((call, given, None))
        if not self._planned:
            self._plan()

    # -- the processor ---------------------------------------------------------------------------

    def _plan(self) -> None:
        if self._planned or self.engine is None or self.paused:
            return
        now = self.timeline.now_ms
        if now >= self._free_ms:
            self._turn(self.boots)
        else:
            self._planned = True
            self.timeline.at(self._free_ms, self._planned_turn, self.boots)

    def _planned_turn(self, boots: int) -> None:
        self._planned = False
        if boots == self.boots:
            self._turn(boots)
        else:
            self._plan()

    def _turn(self, boots: int) -> None:
        """One turn of the loop. An exception ends the process, as it would in earnest."""
        try:
            self._one_turn(boots)
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(at.filename).name}:{at.lineno}"
            self.on_crash(f"{self.place} crashed at {self.timeline.now_ms:.1f} ms: {where}: {error!r}")
            self.kill(fork(self._seed, "crash", self.place, self.boots), keep=False)
            self.timeline.after(RESTART_MS, self.boot)

    def _one_turn(self, boots: int) -> None:
        """What waits, a slice of work for others, then what goes out."""
        engine = self.engine
        if engine is None or self.paused or boots != self.boots:
            return
        now, inbox = self.clocks.now(), self._inbox
        effort, frames, size = engine.effort, 0, 0
        for _ in range(min(len(inbox), TURN_INPUTS)):
            call, given, pipe = inbox.popleft()
            if pipe is None:
                getattr(engine, call)(now, *given)
                continue
            frames += 1
            length = len(given[1])
            size += length
            pipe.taken(length + 4)
            if given[0] in self._pipes:
                engine.received(now, *given)
        if now.mono_ms >= engine.next_wake_ms:
            engine.wake(now)
        self._more = engine.work(now)
        self._settle(now, effort, frames, size)

    def _settle(self, now: Moment, effort: int = 0, frames: int = 0, size: int = 0) -> None:
        """Send what the turn gathered, begin a sync if one is wanted, and plan the next turn."""
        engine, costs = self.engine, self.costs
        engine.flush(now)
        wanted = not self.drive.syncing and engine.wants_sync(now)
        outbox = self._outbox
        for bodies in outbox.values():
            frames += len(bodies)
            size += sum(map(len, bodies))
        spent_us = costs.turn_us + frames * costs.frame_us + size * costs.byte_us
        spent_us += (engine.effort - effort) * costs.effort_us
        spent_us *= self.slow
        self.busy_ms += spent_us / 1000
        self._free_ms = max(self._free_ms, self.timeline.now_ms) + spent_us / 1000
        if outbox:
            self._outbox = {}
            for number, bodies in outbox.items():
                pipe = self._pipes.get(number)
                if pipe is not None:
                    pipe.send(bodies, sum(map(len, bodies)) + 4 * len(bodies), self._free_ms)
                    if pipe.unsent:
                        pipe.wanted = self.config.limits.unsent_bytes // 2
        self._look_after(engine)
        if wanted:
            self.drive.begin_sync(self._free_ms)
        self.drive.begin_snapshot_if_due(now)
        if self._inbox or self._more:
            self._plan()
        else:
            self._plan_wake(engine.next_wake_ms)

    def _look_after(self, engine: Any) -> None:
        """Whether a delta has come in whole with this turn."""
        taken = engine.counters.get("deltas_taken", 0)
        if taken != self._taken and all(replica.applying is None for replica in engine.replicas.values()):
            self._taken = taken
            self.on_taken(self)

    def _plan_wake(self, mono_ms: float) -> None:
        at = self.clocks.virtual_ms(mono_ms)
        if at < self._wake_ms:
            self._wake_ms = at
            # Half a microsecond later, so that rounding never makes it a moment too early.
            self.timeline.at(max(at, self._free_ms) + 0.0005, self._wake, self.boots, at)

    def _wake(self, boots: int, at: float) -> None:
        if boots != self.boots or self.engine is None:
            return
        if self._wake_ms == at:
            self._wake_ms = inf
        if self.clocks.virtual_ms(self.engine.next_wake_ms) <= self.timeline.now_ms:
            self._plan()
        else:
            self._plan_wake(self.engine.next_wake_ms)
