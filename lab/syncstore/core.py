"""What a node holds in memory, for the parts of its engine to work on.

Owns the node's state and the few steps every part needs: logging what must be logged, and keeping
count. Which input does what is told in `engine`, `intake`, `dials`, `requests` and `upkeep`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from lab.syncstore import entries
from lab.syncstore.acks import Acks, Waiting
from lab.syncstore.config import Config
from lab.syncstore.delta import Cut, Staging
from lab.syncstore.divergence import Watchman
from lab.syncstore.errors import Malformed
from lab.syncstore.links import PEER, Link
from lab.syncstore.ports import Disk, Moment, Outlet
from lab.syncstore.record import GLOBAL, REGION, REGISTER, SCOPES, Record
from lab.syncstore.replica import Replica
from lab.syncstore.reports import Report
from lab.syncstore.tombstones import absent
from lab.syncstore.vector import Vector
from lab.syncstore.version import LATEST_MS, VersionClock, incarnation, origin, parts, region_of
from lab.syncstore.watches import Watches, seen
from lab.syncstore.wire import Replies, Reply, encode

STATES = f"{GLOBAL}/lww/$regions"
"""Region → serving, draining, drained, evicted; and what else an operator tells all nodes."""
EVICTED, RETURNING = "evicted", "returning"
RETURNED = "/returned"
"""Behind a region's name, the key of what its nodes hold only after the reset by which it came back."""


@dataclass(frozen=True)
class Unsynced:
    """What becomes durable when the disk holds `position`: an origin up to a sequence, or a whole vector."""

    position: int
    scope: str
    origin: str
    sequence: int
    vector: Vector | None = None


class Core:
    def __init__(self, config: Config, outlet: Outlet, disk: Disk) -> None:
        self.config, self.outlet, self.disk = config, outlet, disk
        limits = config.limits
        self.replicas = {scope: Replica(scope, limits.ring_bytes) for scope in SCOPES}
        alone = not config.peers
        self.acks = {
            scope: Acks(replica, alone=alone, degraded_after_ms=limits.degraded_after_ms)
            for scope, replica in self.replicas.items()
        }
        self.watchmen = {scope: Watchman(replica) for scope, replica in self.replicas.items()}
        self.reports: dict[str, dict[str, Report]] = {scope: {} for scope in SCOPES}
        self.watches = Watches()
        self.clock = VersionClock()
        self.links: dict[int, Link] = {}
        self.counters: Counter[str] = Counter()
        self.incarnation = ""
        self.began_wall_ms = 0
        """Since when this node knows all that was forgotten: its start, or its last reset."""
        self.known_incarnation = ""
        """The highest incarnation of this node that anybody was found to know."""
        self.storage = ""
        """Why the disk takes no writes; "" when it does."""
        self.ready = False
        self.blank = False
        self.now = Moment(0.0, 0)
        self.to_tell: list[str] = []
        """Sentences for the node's log; the runner takes them."""
        self._unsynced: deque[Unsynced] = deque()
        self._since_ms = 0.0
        self.urgent = False
        """Somebody waits for the next sync."""
        self.position = 0
        self.synced = 0
        self._replies: dict[int, list[Reply]] = {}
        self.cuts: dict[tuple[str, str], tuple[Cut, float]] = {}
        """(node, scope) → the cut that was being sent when the link broke, and when."""
        self.stagings: dict[tuple[str, str], tuple[Staging, float]] = {}
        """(node, scope) → what had come of a delta when the link broke, and when."""
        self.needs_tombstone: Callable[[Record], bool] = lambda record: False
        """Whether this node's acceptor holds an older value of the key, which would be finished again."""
        self.on_tombstone_dropped: Callable[[Record], None] = lambda record: None
        self.on_foreign_register: Callable[[Record], None] = lambda record: None
        self.on_state_of_region: Callable[[], None] = lambda: None

    # -- members ---------------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        return origin(self.config.region, self.config.node, self.incarnation)

    def take_incarnation(self, above: str = "") -> None:
        """Begin a new incarnation: what is written from now on is written under it."""
        above = self.known_incarnation = max(above, self.incarnation, self.known_incarnation)
        for replica in self.replicas.values():
            self.flush_batch(replica)
            above = max(above, replica.vector.latest_incarnation(self.config.region, self.config.node))
        self.incarnation = incarnation(self.now.wall_ms, self.outlet.bits(), above)
        self.append(entries.encode(entries.Started(self.incarnation)))
        for replica in self.replicas.values():
            replica.renew(self.origin)

    def is_member(self, of: str) -> bool:
        """Whether an origin is one of a configured node."""
        try:
            region, node, _ = parts(of)
        except ValueError:
            return False
        return node in self.config.members.get(region, ())

    def heard_of_me(self, scope: str, vector: Vector) -> None:
        """Somebody states what it holds: an old disk of this node was restored, or its clock went back,
        where that is more of this node than it knows of itself. Raises Malformed."""
        replica, member = self.replicas[scope], f"{self.config.region}/{self.config.node}"
        mine = [(parts(one)[2], entry) for one, entry in vector.entries.items() if one.startswith(f"{member}/")]
        if member in vector.closed:
            mine.append((vector.closed[member], 0))
        if any(int(of[:12], 16) > LATEST_MS for of, _ in mine):
            raise Malformed("expected incarnations of this node from before the year 2200")
        replica.know(one for one in vector.entries if self.is_member(one))
        knew = self.incarnation if self.blank else self.known_incarnation
        for of, entry in sorted(mine):
            self.known_incarnation = max(self.known_incarnation, of)
            above = (of, entry) > (self.incarnation, replica.sequence)
            if above or (entry and knew < of < self.incarnation):
                self.counters["restored_disk"] += 1
                self.tell("others know writes of this node that it does not: was an old disk restored?")
            if above:
                self.take_incarnation()

    def peers(self) -> list[Link]:
        """Links to live nodes of the own region."""
        return [one for one in self.links.values() if one.purpose == PEER and one.hello is not None]

    def hearing(self) -> set[str]:
        """Foreign regions whose stream is live here."""
        since = self.now.mono_ms - self.config.limits.silent_ms
        return {
            one.region
            for one in self.links.values()
            if one.purpose != PEER and one.dialled and one.hello is not None and one.heard_ms >= since
        }

    def counted(self, scope: str) -> list[str]:
        """Regions whose reports count before anything is forgotten."""
        if scope == REGION:
            return [self.config.region]
        shelf = self.replicas[GLOBAL].table.shelves.get(STATES)
        if shelf is None:
            return list(self.config.members)
        gone = {key for key, record in shelf.records.items() if record.value == EVICTED.encode()}
        return [one for one in self.config.members if one not in gone]

    def away(self, link: Link, scope: str) -> str:
        """Why nothing passes but a reset, or "": the other side's region was evicted, and that node has had no
        reset since. What was dropped meanwhile was dropped without asking it, so that anything it sends may bring
        back what a delete had seen. No reset before the region is let in: until then more may be dropped so.
        """
        if scope != GLOBAL:
            return ""
        if link.purpose != PEER and self.state_of(link.region) == EVICTED:
            return EVICTED
        return "" if self.came_back(link.region, link.stated[scope]) else RETURNING

    def let_in(self, record: Record) -> bool:
        """Have its register look whether it knows what no round of it made: another region's record, or a delete
        that followed from a reset. Whether it is another region's."""
        if f"/{REGISTER}/" not in record.bucket:
            return False
        foreign = region_of(record.maker or record.origin) != self.config.region
        if foreign or record.value is None:
            self.on_foreign_register(record)
        return foreign

    def came_back(self, region: str, held: Vector) -> bool:
        """Whether what is stated for a region is of now: it never was away, or had its reset since. What its nodes
        held before that may be known by other names since, and would be waited for in vain."""
        back = self.replicas[GLOBAL].table.get(STATES, region + RETURNED)
        return back is None or held.covers(back.origin, back.sequence)

    def state_of(self, region: str) -> str:
        record = self.replicas[GLOBAL].table.get(STATES, region)
        return "serving" if record is None or record.value is None else record.value.decode(errors="replace")

    # -- the log ---------------------------------------------------------------------------------

    def append(self, payload: bytes, what: tuple[str, str, int] = ("", "", 0)) -> int:
        """Log an entry. what: (scope, origin, sequence) that is durable once it is synced."""
        self.position = self.disk.append(payload)
        if not self._unsynced:
            self._since_ms = self.now.mono_ms
        self._unsynced.append(Unsynced(self.position, *what))
        return self.position

    def written(self) -> bool:
        """Whether all that was logged is with the operating system now, and so survives kill −9."""
        return self.disk.write_unsynced() >= self.position

    def holds(self, replica: Replica, vector: Vector) -> None:
        """All of `vector` is in the log as it stands: durable once that is synced."""
        if self.position <= self.synced:
            replica.durable.join(vector)
        else:
            self._unsynced.append(Unsynced(self.position, replica.scope, "", 0, vector.copy()))

    def now_durable(self, position: int) -> None:
        self.synced = max(self.synced, position)
        while self._unsynced and self._unsynced[0].position <= position:
            one = self._unsynced.popleft()
            if not one.scope:
                continue
            replica = self.replicas[one.scope]
            if one.vector is not None:
                replica.durable.join(one.vector)
            else:
                replica.durable.raise_to(one.origin, one.sequence)
        self._since_ms = self.now.mono_ms

    def forget_unsynced(self, scope: str) -> None:
        """After a reset: what was waiting spoke of a vector that is no more."""
        self._unsynced = deque(
            Unsynced(one.position, "", "", 0) if one.scope == scope else one for one in self._unsynced
        )

    def oldest_unsynced_ms(self) -> float:
        return self._since_ms if self._unsynced else float("inf")

    def flush_batch(self, replica: Replica) -> None:
        """Hand the own writes gathered so far to the log and to every link."""
        chunk = replica.take_batch()
        if chunk is None:
            return
        self.append(chunk.body, (replica.scope, replica.origin, chunk.last))
        self.urgent = True
        self.advanced(replica, replica.origin)

    def advanced(self, replica: Replica, of: str) -> None:
        """More of an origin is held: whoever is fed it here gets it."""
        for link in self.links.values():
            feed = link.feeds.get(replica.scope)
            if feed is not None:
                feed.advanced(of)

    # -- own writes ------------------------------------------------------------------------------

    def write(self, record: Record, waiting: Waiting) -> None:
        replica = self.replicas[record.bucket.partition("/")[0]]
        replica.write(record)
        self.acks[replica.scope].add(waiting)
        if replica.batch_bytes() > self.config.limits.wan_frame_bytes * 3 // 4:
            self.flush_batch(replica)

    def new_version(self, present: Record | None, *above: tuple[int, int]) -> tuple[int, int]:
        if present is not None:
            above = (*above, (present.time, present.counter))
        return self.clock.next(self.now.wall_ms, *above)

    def show(self, record: Record, degraded: bool) -> None:
        """Tell watchers of a record, if it still is the key's present one."""
        if not self.watches:
            return
        present = self.replicas[record.bucket.partition("/")[0]].table.get(record.bucket, record.key)
        if present is record:
            kind = "delete" if absent(record, self.now.wall_ms) else "put"
            self.watches.show(record, kind, degraded)

    # -- replies ---------------------------------------------------------------------------------

    def reply(self, link: int, reply: Reply) -> None:
        if link in self.links:
            self._replies.setdefault(link, []).append(reply)

    def reply_written(self, waiting: Waiting, degraded: bool) -> None:
        record = waiting.record
        if waiting.link:
            self.reply(
                waiting.link,
                Reply(waiting.number, revision=str(record.version), seen=seen(record), degraded=degraded),
            )
        if waiting.done is not None:
            waiting.done(record, degraded)

    def send_replies(self) -> None:
        for link, replies in self._replies.items():
            for some in _frames(replies):
                self.outlet.send(link, encode(Replies(some)))
        self._replies.clear()

    # -- telling ---------------------------------------------------------------------------------

    def tell(self, sentence: str) -> None:
        if len(self.to_tell) < 1000:
            self.to_tell.append(sentence)

    def drop(self, link: Link, why: str, counter: str = "") -> None:
        """End a connection."""
        if not link.dropped:
            link.dropped = counter or "connections_dropped"
            self.counters[link.dropped] += 1
            self.outlet.close(link.number, why)


def _told(reply: Reply) -> bool:
    return bool(reply.keys or reply.info)


def _frames(replies: list[Reply]) -> list[list[Reply]]:
    """Replies in lots that stay well below a frame's limit."""
    if len(replies) < 256 and sum(len(one.value) for one in replies) < 512 * 1024 and not any(map(_told, replies)):
        return [replies]
    lots: list[list[Reply]] = [[]]
    size = 0
    for one in replies:
        cost = 512 + len(one.value) + 4 * len(one.info) + sum(4 * len(key) + 8 for key in one.keys or ())
        if lots[-1] and size + cost > 512 * 1024:
            lots.append([])
            size = 0
        lots[-1].append(one)
        size += cost
    return lots
