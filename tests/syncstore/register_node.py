"""A node of a world of registers: the registers themselves, and a stand-in for the engine around them.

The log survives a crash as far as it was synced; the table, its replication and acknowledgements are as
simple as they can be. `RegistersPort` is implemented here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.syncstore.config import Config
from lab.syncstore.ports import Moment
from lab.syncstore.record import Record, later
from lab.syncstore.registers import Registers
from lab.syncstore.version import NO_VERSION, Version, incarnation, origin
from tests.syncstore.register_profiles import BUCKET, CALM, EPOCH_MS

if TYPE_CHECKING:
    from tests.syncstore.register_world import World


class Node:
    def __init__(self, world: World, name: str, config: Config, skew_ms: float) -> None:
        self.world, self.name, self.config, self.skew_ms = world, name, config, skew_ms
        self.random = world.stream(f"node {name}")
        self.log: list[bytes | Record] = []
        self.synced = 0
        self.old_logs: list[tuple[float, list[bytes | Record]]] = []
        self.has_old_disk = False
        self.never_syncs = False
        self.epoch = 0
        self.alive = False
        self.incarnation = ""
        self.registers: Registers
        self.paused_until = 0.0
        self._paused_at = 0.0
        self._backlog: list[tuple[bool, Callable[[], None]]] = []

    # -- the process -------------------------------------------------------------------------------------

    def start(self) -> None:
        self.epoch += 1
        self.alive, self.paused_until, self._backlog = True, 0.0, []
        self.incarnation = incarnation(self.now.wall_ms, self.random.getrandbits(64), self.incarnation)
        self.origin = origin(self.config.region, self.name, self.incarnation)
        self.table: dict[str, Record] = {}
        self.last = NO_VERSION
        self.sequence = 0
        self._syncing = False
        self._wake_at = CALM
        self._writes: dict[int, dict[str, Any]] = {}
        self.registers = Registers(self.config, self.incarnation, self)
        for entry in self.log:
            if isinstance(entry, Record):
                self._merge(entry)
            else:
                self.registers.restore(entry)
        self.registers.start(self.now)
        for record in list(self.table.values()):
            if self._is_foreign(record):
                self.registers.foreign(self.now, BUCKET, record.key)
        self._after()

    def crash(self) -> None:
        """The process is gone, and what was not synced, but perhaps for a beginning of it."""
        self.alive = False
        self.epoch += 1
        keep = self.random.randint(self.synced, len(self.log))
        del self.log[keep:]
        self.synced = len(self.log)

    def pause(self, length_ms: float) -> None:
        self._paused_at = self.world.now_ms
        self.paused_until = self.world.now_ms + length_ms
        self.world.at(length_ms, self._resume)

    def _resume(self) -> None:
        if not self.alive or self.world.now_ms < self.paused_until:
            return
        stood_still = self.world.now_ms - self._paused_at > self.config.limits.token_lives_ms
        backlog, self._backlog = self._backlog, []
        for is_request, action in backlog:
            if not (is_request and stood_still):
                self.run(action, self.epoch)
        self._after()

    def run(self, action: Callable[[], None], epoch: int, is_request: bool = False) -> None:
        """Have the process do something, now or when it goes on; nothing if it is another process by then."""
        if not self.alive or epoch != self.epoch:
            return
        if self.world.now_ms < self.paused_until:
            self._backlog.append((is_request, action))
            return
        action()
        self._after()

    @property
    def now(self) -> Moment:
        return Moment(self.world.now_ms, int(EPOCH_MS + self.world.now_ms + self.skew_ms))

    def _after(self) -> None:
        if not self._syncing and self.synced < len(self.log) and not self.never_syncs:
            self._syncing = True
            target, epoch = len(self.log), self.epoch
            delay_ms = self.random.uniform(*self.world.profile.sync_ms)
            self.world.at(delay_ms, lambda: self._reaches_disk(target, epoch))
        wake = self.registers.next_wake_ms
        if wake < self._wake_at:
            self._wake_at = wake
            epoch = self.epoch
            self.world.at(max(0.0, wake - self.world.now_ms), lambda: self.run(self._wake, epoch))

    def _wake(self) -> None:
        self._wake_at = CALM
        self.registers.wake(self.now)

    def _reaches_disk(self, target: int, epoch: int) -> None:
        if epoch == self.epoch:
            self.synced = max(self.synced, target)
            self.run(self._synced, epoch)

    def _synced(self) -> None:
        self._syncing = False
        self.registers.durable(self.now, self.synced)
        for number in list(self._writes):
            self._acknowledge(number)

    def is_sound(self) -> bool:
        """Whether it votes with a whole memory: an old disk was noticed and made good."""
        seat = self.registers._seat
        if seat.start.seat == seat.seat:
            self.has_old_disk = False
        return seat.votes and not self.has_old_disk

    # -- RegistersPort -----------------------------------------------------------------------------------

    def send(self, node: str, body: bytes) -> None:
        self.world.send(self, node, body)

    def persist(self, payload: bytes) -> int:
        self.log.append(payload)
        return len(self.log)

    def bits(self) -> int:
        return self.random.getrandbits(64)

    def version(self, now: Moment, above: Version) -> Version:
        highest = max(self.last, above)
        time, counter = (now.wall_ms, 0) if now.wall_ms > highest.time else (highest.time, highest.counter + 1)
        self.last = Version(time, counter, self.origin)
        return self.last

    def table_record(self, bucket: str, key: str) -> Record | None:
        return self.table.get(key)

    def write(
        self,
        bucket: str,
        key: str,
        value: bytes | None,
        expires: int,
        version: Version,
        done: Callable[[bool], None],
    ) -> None:
        self.sequence += 1
        number = self.sequence
        record = Record(number, bucket, key, value, version.time, version.counter, expires, version.maker, self.origin)
        self.log.append(record)
        self._merge(record)
        self._writes[number] = {"position": len(self.log), "held": False, "late": False, "done": done}
        for peer in self.config.peers:
            self.world.send(self, peer, ("record", record))
        epoch = self.epoch
        self.world.at(50, lambda: self.run(lambda: self._acknowledge(number, late=True), epoch))

    def _acknowledge(self, number: int, *, held: bool = False, late: bool = False) -> None:
        write = self._writes.get(number)
        if write is None:
            return
        write["held"] |= held
        write["late"] |= late
        if write["position"] <= self.synced and (write["held"] or write["late"]):
            del self._writes[number]
            write["done"](not write["held"])

    # -- the table ---------------------------------------------------------------------------------------

    def _merge(self, record: Record) -> bool:
        present = self.table.get(record.key)
        if present is not None and not later(record, present):
            return False
        self.table[record.key] = record
        return True

    def _is_foreign(self, record: Record) -> bool:
        return not (record.maker or "").startswith(f"{self.config.region}/")

    def take(self, record: Record) -> None:
        if self._merge(record):
            self.log.append(record)
            if self._is_foreign(record):
                self.registers.foreign(self.now, BUCKET, record.key)

    def received(self, node: str, message: Any) -> None:
        if isinstance(message, bytes):
            self.registers.received(self.now, node, message)
        elif message[0] == "record":
            self.take(message[1])
            self.world.send(self, node, ("held", message[1].origin, message[1].sequence))
        elif message[1] == self.origin:
            self._acknowledge(message[2], held=True)

    def peer_up(self, node: str, same_members: bool) -> None:
        self.registers.peer_up(self.now, node, same_members)
        for record in self.table.values():
            self.world.send(self, node, ("record", record))

    def tell_everything(self) -> None:
        """Records lost on gray links come late: the engine's deltas, which are not what is looked at here."""
        for peer in self.config.peers:
            for record in self.table.values():
                self.world.send(self, peer, ("record", record))

    def version_of(self, key: str) -> Version:
        record = self.table.get(key)
        return record.version if record is not None else NO_VERSION


def mark_of(node: Node, log: list[bytes | Record]) -> tuple[str, int]:
    registers = Registers(node.config, "", node)
    for entry in log:
        if isinstance(entry, bytes):
            registers.restore(entry)
    return registers._seat.seat, registers._seat.count


def remembered(node: Node, of: str) -> tuple[str, int]:
    registers = Registers(node.config, "", node)
    for entry in node.log[: node.synced]:
        if isinstance(entry, bytes):
            registers.restore(entry)
    return registers._seat.known.get(of, ("", 0))
