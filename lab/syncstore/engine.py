"""A node's core: inputs in, outputs out; no clock, socket, task, random number or file of its own.

Owns the order in which the parts see an input. What each input means is told in `ports`; what is done
with it, in `intake` (records), `dials` (connections), `requests` (clients), `upkeep` (timers) and the
registers. The same code runs in `node/` on sockets and in `simulate/` in virtual time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

from lab.syncstore import recovery
from lab.syncstore.acks import Waiting
from lab.syncstore.config import Config
from lab.syncstore.core import EVICTED, Core
from lab.syncstore.dials import Dials
from lab.syncstore.errors import Malformed
from lab.syncstore.intake import Intake
from lab.syncstore.links import CLIENT, PEER, Link
from lab.syncstore.ports import Disk, Moment, Outlet
from lab.syncstore.record import REGISTER, SCOPES, Record
from lab.syncstore.register_core import CorePort
from lab.syncstore.registers import Registers
from lab.syncstore.replica import Replica
from lab.syncstore.requests import Requests
from lab.syncstore.status import status_of
from lab.syncstore.upkeep import Upkeep
from lab.syncstore.version import region_of
from lab.syncstore.wire import (
    Beacon,
    Credit,
    Delta,
    DeltaEnd,
    Exchange,
    Fetch,
    Fetched,
    Goodbye,
    Held,
    Hello,
    Message,
    Paxos,
    Reply,
    Request,
    Reset,
    ResetAsk,
    ResetEnd,
    Stream,
    Unknown,
    Want,
    decode,
    encode,
)
from lab.syncstore.wire import Requests as RequestsFrame

FRAMES_A_SLICE = 4
"""Frames given to one link before anything else is looked at again."""
PEER_FRAMES_A_FLUSH = 64
WALKED = PEER_FRAMES_A_FLUSH
"""A frame walked from the table counts as so many that are handed on: one a link and flush."""
WATCH_UNSENT_BYTES = 256 * 1024
TICK_MS = 25.0
"""Timers finer than this are those that somebody waits for; the rest is looked at this often."""


class Engine:
    def __init__(self, config: Config, outlet: Outlet, disk: Disk) -> None:
        self.core = Core(config, outlet, disk)
        self.dials = Dials(self.core)
        self.intake = Intake(self.core)
        self.requests = Requests(self.core, self.status)
        self.upkeep = Upkeep(self.core, self.intake, self.dials)
        self.next_wake_ms = 0.0
        self._tick_ms = 0.0
        self._woken_ms = 0.0
        self.registers: Registers | None = None
        self._foreign: list[tuple[str, str]] = []
        self.core.on_foreign_register = lambda record: self._foreign.append((record.bucket, record.key))

    @property
    def replicas(self) -> dict[str, Replica]:
        return self.core.replicas

    @property
    def counters(self) -> Counter[str]:
        return self.core.counters

    @property
    def ready(self) -> bool:
        return self.core.ready

    @property
    def effort(self) -> int:
        """Records merged so far, and what compares with that: the simulator charges time for it."""
        return sum(one.effort for one in self.core.replicas.values())

    # -- beginning -------------------------------------------------------------------------------

    def start(self, now: Moment, recovered: Iterable[tuple[str, bytes]], blank: bool) -> None:
        """Raises Malformed when the log holds what no log holds."""
        core = self.core
        core.now, core.blank = now, blank
        core.began_wall_ms = now.wall_ms
        voted = recovery.replay(core, recovered)
        core.take_incarnation()
        self._begin_registers(now, voted)
        self.upkeep.start()
        self.dials.tick()
        self._woken_ms = now.mono_ms
        self.next_wake_ms = now.mono_ms + TICK_MS

    def _begin_registers(self, now: Moment, voted: Iterable[bytes]) -> None:
        core = self.core
        registers = self.registers = Registers(core.config, core.incarnation, CorePort(core))
        for payload in voted:
            registers.restore(payload)
        registers.start(now)
        self.requests.registers = self._to_registers
        core.needs_tombstone, core.on_tombstone_dropped = registers.needs, registers.dropped
        foreign = [
            record for one in core.replicas.values() for record in one.table.records() if self._foreign_to(record)
        ]
        for record in foreign:
            registers.foreign(now, record.bucket, record.key)

    def _foreign_to(self, record: Record) -> bool:
        return f"/{REGISTER}/" in record.bucket and region_of(record.maker or "") != self.core.config.region

    def _to_registers(self, link: Link, request: Request) -> None:
        core, number = self.core, link.number
        if core.storage and request.op != "get":
            core.reply(number, Reply(request.number, "Storage", core.storage))
            return
        if self._needs_no_waiting(request):
            request.seen = None
        assert self.registers is not None
        self.registers.request(core.now, request, lambda reply: core.reply(number, reply))

    def _needs_no_waiting(self, request: Request) -> bool:
        """What the session saw is no reason to wait when a quorum showed it, so that every later quorum shows it
        or what came after, or when it was deleted and is forgotten: there is nothing to go back behind."""
        saw = request.seen
        if saw is None or not saw.origin:
            return True
        replica = self.core.replicas[request.bucket.partition("/")[0]]
        held = replica.table.get(request.bucket, request.key)
        # After a reset an older delete may stand where a later one was forgotten.
        gone = held is None or (held.value is None and held.version < (saw.time, saw.counter, saw.maker))
        return gone and replica.vector.covers_seen(saw.origin, saw.sequence)

    # -- connections -----------------------------------------------------------------------------

    def opened(
        self, now: Moment, link: int, purpose: str, node: str, roles: frozenset[str] = frozenset(), name: str = ""
    ) -> None:
        self.core.now = now
        one = Link(link, purpose, node, now.mono_ms, roles, name)
        if node:
            self.dials.connected(one)
        self.dials.opened(one)

    def closed(self, now: Moment, link: int) -> None:
        self.core.now = now
        one = self.core.links.get(link)
        if one is None:
            return
        self.dials.closed(one)
        self.requests.closed(one)
        if (
            one.purpose == PEER
            and self.registers is not None
            and not any(p.node == one.node for p in self.core.peers())
        ):
            self.registers.peer_down(now, one.node)
        self.intake.inboxes.pop(one, None)
        self.dials.lost(one)

    def dial_failed(self, now: Moment, node: str, purpose: str) -> None:
        self.core.now = now
        self.dials.failed(node, purpose)

    def writable(self, now: Moment, link: int) -> None:
        """Room again: the next flush fills it."""
        self.core.now = now

    # -- frames ----------------------------------------------------------------------------------

    def received(self, now: Moment, link: int, body: bytes) -> None:
        core = self.core
        core.now = now
        one = core.links.get(link)
        if one is None or one.dropped:
            return
        one.heard_ms = now.mono_ms
        core.counters["frames_received"] += 1
        try:
            self._frame(one, decode(body), body)
        except Malformed as error:
            core.drop(one, str(error), "malformed")

    def _frame(self, link: Link, message: Message, body: bytes) -> None:
        if isinstance(message, RequestsFrame):
            if link.purpose != CLIENT or link.hello is None:
                raise Malformed("expected requests after a client's hello")
            for request in message.items:
                self.requests.asked(link, request)
        elif isinstance(message, Hello):
            self.dials.greeted(link, message)
            if link.hello is message:
                self.upkeep.greeted(link)
                if link.purpose == PEER and self.registers is not None:
                    same = message.members == self.core.config.members_hash
                    self.registers.peer_up(self.core.now, link.node, same)
        elif link.hello is None:
            raise Malformed("expected a hello first")
        elif isinstance(message, Unknown):
            self.core.counters["unknown_frames"] += 1
        elif link.purpose == CLIENT:
            raise Malformed("expected requests from a client")
        else:
            self._from_node(link, message, body)

    def _from_node(self, link: Link, message: Message, body: bytes) -> None:
        if isinstance(message, Stream | Delta | DeltaEnd | Reset | ResetEnd):
            self.intake.arrived(link, message, body)
        elif isinstance(message, Held):
            self._held(link, message)
        elif isinstance(message, Beacon):
            self.upkeep.heard(link, message)
        elif isinstance(message, Credit):
            if not 0 <= message.bytes_ <= 2**31:
                raise Malformed("expected a credit above 0")
            link.credit = min(link.credit + message.bytes_, self.core.config.limits.credit_bytes)
        elif isinstance(message, Want):
            feed = link.feeds.get(message.scope)
            if feed is not None:
                feed.go_back(message.vector)
        elif isinstance(message, ResetAsk):
            self._reset_asked(link, message)
        elif isinstance(message, Exchange):
            self.intake.exchanged(link, message)
        elif link.purpose != PEER:
            raise Malformed("expected no such frame from another region")
        elif isinstance(message, Fetch):
            self._fetch(link, message)
        elif isinstance(message, Fetched):
            self.requests.fetched(message, self.requests.scope_of_fetch)
        elif isinstance(message, Paxos):
            assert self.registers is not None
            self.registers.received(self.core.now, link.node, bytes(message.body))
        elif isinstance(message, Goodbye):
            self.core.counters["goodbyes"] += 1
        else:
            raise Malformed("expected a frame of nodes")

    def _held(self, link: Link, message: Held) -> None:
        replica = self.core.replicas.get(message.scope)
        if replica is None or link.purpose != PEER:
            raise Malformed("expected a peer's word on a known scope")
        for origin, sequence in message.entries.items():
            if origin in replica.vector.entries:
                replica.second.raise_to(origin, sequence)

    def _reset_asked(self, link: Link, message: ResetAsk) -> None:
        feed, replica = link.feeds.get(message.scope), self.core.replicas.get(message.scope)
        if feed is None or replica is None or message.scope not in link.stated:
            return
        away = self.core.away(link, message.scope)
        if away != EVICTED and (away or not link.stated[message.scope].covers_all(replica.floor.vector)):
            feed.begin_reset()
            self.core.counters["resets_sent"] += 1

    def _fetch(self, link: Link, message: Fetch) -> None:
        try:
            self.requests.fetch(link, message)
        except ValueError as error:
            raise Malformed(str(error)) from None

    # -- the disk --------------------------------------------------------------------------------

    def synced(self, now: Moment, position: int) -> None:
        core = self.core
        core.now = now
        core.now_durable(position)
        if self.registers is not None:
            self.registers.durable(now, position)
        if core.storage:
            core.tell("the disk takes writes again")
            core.storage = ""

    def sync_failed(self, now: Moment, sentence: str) -> None:
        core = self.core
        core.now = now
        core.counters["sync_failures"] += 1
        if not core.storage:
            core.tell(f"the disk takes no writes: {sentence}")
        core.storage = sentence

    def wants_sync(self, now: Moment) -> bool:
        core = self.core
        if core.urgent:
            core.urgent = False
            return True
        return now.mono_ms - core.oldest_unsynced_ms() >= core.config.limits.sync_within_ms

    def snapshot(self, now: Moment) -> Iterator[bytes] | None:
        """Payloads that, replayed, are the state as it is at this call; None while half a delta is in it."""
        core = self.core
        core.now = now
        if any(one.applying is not None for one in core.replicas.values()):
            return None
        for replica in core.replicas.values():
            core.flush_batch(replica)
        states = [replica.state() for replica in core.replicas.values()]
        votes = self.registers.snapshot() if self.registers is not None else iter(())
        return recovery.snapshot(core.incarnation, states, votes)

    # -- time ------------------------------------------------------------------------------------

    def wake(self, now: Moment) -> None:
        core = self.core
        core.now = now
        self._after_standstill(now)
        if self.registers is not None and now.mono_ms >= self.registers.next_wake_ms:
            self.registers.wake(now)
        if now.mono_ms >= self._tick_ms:
            self._tick_ms = now.mono_ms + TICK_MS
            self.dials.tick()
            self.upkeep.tick()
            self._overdue()

    def _after_standstill(self, now: Moment) -> None:
        """What clients asked before a long standstill may have been tried elsewhere since: not here any more."""
        stood_ms, self._woken_ms = now.mono_ms - self._woken_ms, now.mono_ms
        if stood_ms >= self.core.config.limits.token_lives_ms:
            for link in list(self.core.links.values()):
                if link.purpose == CLIENT:
                    self.core.drop(link, "this node stood still for too long", "stood_still")

    def _overdue(self) -> None:
        for acks in self.core.acks.values():
            self._lost(acks.overdue(self.core.now.mono_ms, self.core.config.limits.write_timeout_ms))

    def _lost(self, waiting: Iterable[Waiting]) -> None:
        for one in waiting:
            if one.link:
                sentence = "the write may have happened: this node could not make it durable in time"
                self.core.reply(one.link, Reply(one.number, "Timeout", sentence))

    @property
    def has_work(self) -> bool:
        """Whether `work` would find anything to do."""
        if self.intake.has_work:
            return True
        links = self.core.links.values()
        return any(one.worked_bytes or any(not feed.idle for feed in one.feeds.values()) for one in links)

    def work(self, now: Moment) -> bool:
        """A slice of what is done for other regions; True while there is more."""
        core = self.core
        core.now = now
        more = self.intake.work(core.config.limits.slice_records)
        for link in list(core.links.values()):
            if link.worked_bytes and (not link.inbox or link.worked_bytes >= 64 * 1024):
                core.outlet.send(link.number, encode(Credit(link.worked_bytes)))
                link.worked_bytes = 0
            if link.feeds and not link.dropped:
                more = self._feed(link, FRAMES_A_SLICE) or more
        return more

    def _feed(self, link: Link, frames: int) -> bool:
        """Send a link up to so many frames; True when that was too few."""
        core = self.core
        limits = core.config.limits
        for scope in SCOPES:
            feed = link.feeds.get(scope)
            while feed is not None and not feed.idle:
                if frames <= 0:
                    return True
                if link.credit <= 0 or core.outlet.unsent(link.number) > limits.unsent_bytes:
                    return False
                body = feed.next(core.now.mono_ms)
                if body is None:
                    break
                frames -= WALKED if feed.walking else 1
                if link.purpose != PEER:
                    link.credit -= len(body)
                core.outlet.send(link.number, body)
        return False

    # -- after each batch of inputs ----------------------------------------------------------------

    def flush(self, now: Moment) -> None:
        core = self.core
        core.now = now
        for replica in core.replicas.values():
            core.flush_batch(replica)
        if self._foreign and self.registers is not None:
            foreign, self._foreign = dict.fromkeys(self._foreign), []
            for bucket, key in foreign:
                self.registers.foreign(now, bucket, key)
        if self.intake.lost:
            self._lost(self.intake.lost)
            self.intake.lost.clear()
        while self.intake.was_reset:
            self.requests.begin_anew(self.intake.was_reset.pop())
        self._tell_held()
        for acks in core.acks.values():
            for waiting, degraded in acks.settled(now.mono_ms):
                core.reply_written(waiting, degraded)
                core.show(waiting.record, degraded)
                if degraded:
                    core.counters["degraded"] += 1
        for replica in core.replicas.values():  # registers may have written while they were told
            core.flush_batch(replica)
        for link in list(core.links.values()):
            if link.purpose == PEER and link.feeds and not link.dropped:
                self._feed(link, PEER_FRAMES_A_FLUSH)
        self.requests.settle_readers()
        self.requests.pump(self._has_room)
        core.send_replies()
        self._plan_wake(now)

    def _tell_held(self) -> None:
        """Say what is merged here, once the operating system has it."""
        core = self.core
        told = [link for link in core.links.values() if link.held]
        if not told:
            return
        if not core.written():
            core.urgent = True  # a sync may make room for it; until then nothing is said
            return
        for link in told:
            for scope, entries in link.held.items():
                core.outlet.send(link.number, encode(Held(scope, entries)))
            link.held = {}

    def _has_room(self, link: int) -> bool:
        return self.core.outlet.unsent(link) < WATCH_UNSENT_BYTES

    def _plan_wake(self, now: Moment) -> None:
        waits = [acks.next_ms() for acks in self.core.acks.values()]
        registers_ms = self.registers.next_wake_ms if self.registers is not None else inf
        due = min(self._tick_ms, self.requests.next_ms(), registers_ms, *waits)
        self.next_wake_ms = max(due, now.mono_ms + 1.0)

    # -- telling ---------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        status = status_of(self.core, self.requests)
        status["registers"] = self.registers.stats() if self.registers is not None else {}
        return status

    def take_told(self) -> list[str]:
        """Sentences for the node's log."""
        told, self.core.to_tell = self.core.to_tell, []
        return told
