"""Sees to it that the table and the registers agree: what was accepted gets its record, what came from
another region enters its register.

Owns when a register is looked at, and by which node first. Knows nothing of rounds or votes.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from itertools import islice
from math import inf

import xxhash

from lab.syncstore.acceptor import Acceptor
from lab.syncstore.config import Limits
from lab.syncstore.paxos import Key
from lab.syncstore.ports import Moment
from lab.syncstore.register_ports import RegistersPort
from lab.syncstore.register_round import Purpose
from lab.syncstore.register_timers import Timers
from lab.syncstore.version import NO_VERSION, region_of

WAITED_LOTS = 20
"""So many lots what is to enter waits for, as long as `enter_at_most` is enough for that."""


class Agreement:
    """tend: runs a round for a register. connected: this region's nodes, this one among them."""

    def __init__(
        self,
        node: str,
        limits: Limits,
        acceptor: Acceptor,
        port: RegistersPort,
        timers: Timers,
        tend: Callable[[Moment, Purpose, Key], None],
        connected: Callable[[], list[str]],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._node, self._limits = node, limits
        self._acceptor, self._port, self._timers = acceptor, port, timers
        self._tend, self._connected = tend, connected
        self._due: deque[tuple[float, Key]] = deque()
        self._queued: set[Key] = set()
        self._entering: dict[Key, None] = {}
        self._got_on_ms = -inf
        """When something was last found to have been let in by another node."""

    @property
    def next_wake_ms(self) -> float:
        return self._due[0][0] if self._due else inf

    @property
    def waiting(self) -> int:
        return len(self._due) + len(self._entering)

    def foreign(self, now: Moment, key: Key) -> None:
        """Another region's record is in the table: one node lets it in soon, the others look a while later
        whether that was done. The same one for all of a region, so that there is much in a lot."""
        record = self._port.table_record(*key)
        rank = self._rank(region_of(record.maker or record.origin)) if record is not None else 0
        if rank == 0:
            self._see_to(now, key)
        else:
            self._timers.at(self._together_ms(now.mono_ms + rank * self._limits.finish_after_ms), self._take_over, key)

    def _take_over(self, now: Moment, key: Key) -> None:
        """Whoever is to let it in first may have much to do: left alone as long as that gets on."""
        if self._missing(key) is None:
            self._got_on_ms = now.mono_ms
        elif now.mono_ms - self._got_on_ms < self._limits.finish_after_ms:
            self._timers.at(self._together_ms(now.mono_ms + self._limits.finish_after_ms), self._take_over, key)
        else:
            self._see_to(now, key)

    def look_later(self, now: Moment, key: Key) -> None:
        if key not in self._queued:
            self._queued.add(key)
            self._due.append((self._together_ms(now.mono_ms + self._limits.finish_after_ms), key))

    def wake(self, now: Moment) -> None:
        room = self._limits.slice_records
        while room and self._due and self._due[0][0] <= now.mono_ms:
            _, key = self._due.popleft()
            self._queued.discard(key)
            self._look(now, key)
            room -= 1

    def _look(self, now: Moment, key: Key) -> None:
        register = self._acceptor.registers.get(key)
        if register is not None and register.ballot is None:
            self._acceptor.fold(key)  # a round that failed left no more than promises; what it was for is still due
            register = None
        if register is not None and now.mono_ms - register.accepted_ms < self._limits.finish_after_ms:
            self.look_later(now, key)
        elif self._missing(key) is not None:
            wait_ms = self._rank("/".join(key)) * self._limits.finish_after_ms / 2
            self._timers.at(now.mono_ms + wait_ms, self._see_to, key)

    def _see_to(self, now: Moment, key: Key) -> None:
        purpose = self._missing(key)
        if purpose is Purpose.ENTER:
            self._enter_soon(now, key)
        elif purpose is Purpose.FINISH:
            self.counts[purpose.value] += 1
            self._tend(now, purpose, key)
            self.look_later(now, key)

    def _enter_soon(self, now: Moment, key: Key) -> None:
        """In lots, and no more of them than leave the region's own requests their time and disk: a region that
        comes back after a while brings everything at once."""
        if not self._entering:
            self._timers.at(self._together_ms(now.mono_ms), self._enter_lot, key)
        self._entering[key] = None

    def _together_ms(self, since_ms: float) -> float:
        """The next time at which things are done together: waking up for each alone costs more than it does."""
        every_ms = self._limits.enter_together_ms
        return (since_ms // every_ms + 1) * every_ms

    def _enter_lot(self, now: Moment, _: Key) -> None:
        share = min(len(self._entering) // WAITED_LOTS, self._limits.enter_at_most)
        for key in list(islice(self._entering, max(self._limits.enter_at_once, share))):
            del self._entering[key]
            if self._missing(key) is Purpose.ENTER:
                self.counts[Purpose.ENTER.value] += 1
                self._tend(now, Purpose.ENTER, key)
        if self._entering:
            self._timers.at(now.mono_ms + self._limits.enter_together_ms, self._enter_lot, key)

    def _missing(self, key: Key) -> Purpose | None:
        """What is to be done about a register, if anything."""
        register, record = self._acceptor.registers.get(key), self._port.table_record(*key)
        accepted = register.state.version if register is not None and register.state is not None else NO_VERSION
        recorded = record.version if record is not None else NO_VERSION
        if accepted == recorded or (accepted == NO_VERSION and record is not None and record.value is None):
            return None
        if accepted < recorded:
            return Purpose.ENTER
        deleted = register is not None and register.state is not None and register.state.value is None
        return None if deleted and record is None else Purpose.FINISH  # nothing is there that it would delete

    def _rank(self, about: str) -> int:
        """This node's place among the connected ones, by rendezvous."""
        return sorted(self._connected(), key=lambda node: xxhash.xxh64_intdigest(f"{node}/{about}".encode())).index(
            self._node
        )
