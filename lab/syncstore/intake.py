"""Records that come in: streams, deltas, resets and repairs, from peers at once, from regions in slices.

Owns the order in which they are taken, logged and acknowledged. Records of the own region are merged
as they arrive; another region's wait in its link's inbox and are worked off a slice at a time, so
that whatever a region sends, the own one's requests are looked at first.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from lab.syncstore import entries, resets
from lab.syncstore.acks import Waiting
from lab.syncstore.core import STATES, Core
from lab.syncstore.delta import RESET, Staging
from lab.syncstore.divergence import taken
from lab.syncstore.entries import Repaired
from lab.syncstore.errors import Malformed
from lab.syncstore.links import PEER, Link
from lab.syncstore.record import GLOBAL, Record
from lab.syncstore.replica import Applying, Replica
from lab.syncstore.vector import Vector
from lab.syncstore.version import AHEAD_MS, region_of
from lab.syncstore.wire import (
    Delta,
    DeltaEnd,
    Exchange,
    Message,
    Reset,
    ResetEnd,
    Stream,
    Want,
    array_of,
    encode,
    encode_record,
    records_of,
)

OWN, FROM_PEER, FROM_REGION = "own", "peer", "region"
BUCKET_RECORDS = 2000
"""Of a hash bucket that differs, at most so many are exchanged at once."""


@dataclass(eq=False)
class _Whole:
    """A delta or reset of which every part is here. unlogged: what of it the log has still to take, before the first
    record is merged."""

    replica: Replica
    applying: Applying
    link: Link
    is_reset: bool = False
    unlogged: deque[bytes] = field(default_factory=deque)


class Intake:
    def __init__(self, core: Core) -> None:
        self.core = core
        self._source = OWN
        self._queue: list[_Whole] = []
        """In order; the first one is being logged or merged, in slices."""
        self._unmet: dict[tuple[Link, str], None] = {}
        """Who sent what could not be taken while a delta was on its way in: asked for again when that is done."""
        self._waits_for_disk = False
        self._room_bytes = self._room_since = 0
        self.inboxes: dict[Link, None] = {}
        self.lost: list[Waiting] = []
        """Own writes whose incarnation ended before they were acknowledged: they may have happened."""
        self.was_reset: list[str] = []
        """Scopes whose table was replaced."""
        for replica in core.replicas.values():
            replica.on_placed = self._placed

    # -- one by one ------------------------------------------------------------------------------

    def arrived(self, link: Link, message: Message, body: bytes) -> None:
        """A frame that brings records. Raises Malformed."""
        if not link.receives:
            raise Malformed("expected nothing to store from whoever subscribed here")
        if link.purpose == PEER:
            self._take(link, message, body)
            return
        link.inbox.append((message, body))
        link.inbox_bytes += len(body)
        self.inboxes[link] = None
        if link.inbox_bytes > 2 * self.core.config.limits.credit_bytes:
            self.core.drop(link, "it sends more than it was given credit for", "credit_exceeded")

    @property
    def has_work(self) -> bool:
        return bool(self.inboxes or self._queue)

    def work(self, count: int) -> bool:
        """Work off about `count` records of what other regions sent; True while there is more."""
        self._apply(count)
        effort = sum(one.effort for one in self.core.replicas.values())
        for link in list(self.inboxes):
            while link.inbox and not link.dropped:
                if sum(one.effort for one in self.core.replicas.values()) - effort >= count:
                    return True
                message, body = link.inbox.popleft()
                link.inbox_bytes -= len(body)
                link.worked_bytes += len(body)
                try:
                    self._take(link, message, body)
                except Malformed as error:
                    self.core.drop(link, str(error), "malformed")
            self.inboxes.pop(link, None)
        return bool(self._queue) and not self._waits_for_disk

    def _take(self, link: Link, message: Message, body: bytes) -> None:
        if isinstance(message, Stream):
            self._stream(link, message, body)
        elif isinstance(message, Delta):
            self._part(link, message, message.cut, body)
        elif isinstance(message, Reset):
            if message.scope in link.asked_reset_ms:
                self._part(link, message, RESET, body)
        elif isinstance(message, DeltaEnd):
            self._delta_end(link, message, body)
        elif isinstance(message, ResetEnd):
            self._reset_end(link, message, body)

    def _replica(self, link: Link, scope: str) -> Replica:
        replica = self.core.replicas.get(scope)
        if replica is None or (scope != GLOBAL and link.purpose != PEER):
            raise Malformed(f"expected a scope that crosses here, found {scope[:20]!r}")
        return replica

    def may_take(self, link: Link, scope: str) -> bool:
        """Nothing is taken from one whose floor is not covered here, but a reset; nor from one who is away."""
        theirs = link.floors.get(scope)
        if theirs is None:
            return True
        return self.core.replicas[scope].vector.covers_all(theirs.vector) and not self.core.away(link, scope)

    # -- streams ---------------------------------------------------------------------------------

    def _stream(self, link: Link, message: Stream, body: bytes) -> None:
        replica = self._replica(link, message.scope)
        if not self.may_take(link, message.scope) or replica.vector.is_closed(message.origin):
            return
        if message.origin == replica.origin:
            self.core.counters["own_stream_came_back"] += 1
            return
        self.core.heard_of_me(message.scope, Vector({message.origin: 0}, {}))
        self._source = FROM_PEER if link.purpose == PEER else FROM_REGION
        try:
            found = replica.take(message, body)
        finally:
            self._source = OWN
        if found is None:
            self._lack(link, replica)
            return
        last, fresh = found
        if fresh:
            self.core.append(body, (replica.scope, message.origin, last))
            self.core.advanced(replica, message.origin)
        if link.purpose == PEER:
            replica.second.raise_to(message.origin, last)  # the peer holds what it sent, and no more is known
            link.held.setdefault(replica.scope, {})[message.origin] = replica.vector.get(message.origin)

    def _lack(self, link: Link, replica: Replica) -> None:
        """Something came that goes on beyond what is held here; a delta that is on its way in may reach that far."""
        if replica.applying is None:
            self._want(link, replica)
        else:
            self._unmet[link, replica.scope] = None

    def _want(self, link: Link, replica: Replica) -> None:
        """Say where to go on from; not again before the answer can be here."""
        now_ms = self.core.now.mono_ms
        if now_ms - link.wanted_ms.get(replica.scope, -1e9) < self.core.config.limits.beacon_ms:
            return
        link.wanted_ms[replica.scope] = now_ms
        self.core.counters["gaps"] += 1
        self.core.outlet.send(link.number, encode(Want(replica.scope, replica.vector)))

    # -- deltas and resets -----------------------------------------------------------------------

    def _part(self, link: Link, part: Delta | Reset, cut: int, body: bytes) -> None:
        """Looked through as it comes: once its end is here it stands in the log, and must be sound."""
        replica = self._replica(link, part.scope)
        records = records_of(part.records, part.origin, part.scope)
        replica.effort += 1 + len(records) // 4
        staging = link.staging.get(part.scope)
        if staging is None or staging.cut != cut:
            staging = link.staging[part.scope] = Staging(cut)
        top = max((one.sequence for one in records), default=0)
        if not staging.add(part.number, part.origin, body, top):
            del link.staging[part.scope]
        elif staging.size > self.core.config.limits.staging_bytes:
            raise Malformed(f"expected a delta below {self.core.config.limits.staging_bytes} bytes")

    def _delta_end(self, link: Link, end: DeltaEnd, body: bytes) -> None:
        replica = self._replica(link, end.scope)
        staging = link.staging.pop(end.scope, None) or Staging(end.cut)
        if staging.cut != end.cut or len(staging.parts) != end.parts:
            self._want(link, replica)
            return
        if not staging.within(end.vector):
            raise Malformed("expected a delta of what its vector names")
        self.core.heard_of_me(end.scope, end.vector)
        if replica.vector.covers_all(end.vector):
            return
        if replica.applying is not None:
            self._lack(link, replica)
            return
        if not self.may_take(link, end.scope) or not replica.covers_delta(end):
            self.core.counters["deltas_refused"] += 1
            self._want(link, replica)
            return
        unlogged = deque([*(part for _, part in staging.parts), body])
        self._queue.append(_Whole(replica, Applying(replica, staging.parts, end), link, unlogged=unlogged))
        self.core.counters["deltas_taken"] += 1
        if link.purpose == PEER:
            self._apply(self.core.config.limits.slice_records)

    def _apply(self, count: int) -> None:
        while self._queue and count > 0:
            one = self._queue[0]
            self._waits_for_disk = not self._logged(one.unlogged)
            if self._waits_for_disk:
                return
            self._source = FROM_PEER if one.link.purpose == PEER else FROM_REGION
            try:
                done = one.applying.step(count)
            finally:
                self._source = OWN
            if not done:
                return
            self._queue.pop(0)
            count -= self.core.config.limits.slice_records // 4
            if one.is_reset:
                self._replaced(one.replica, one.link)
            else:
                self._applied(one.replica, one.applying, one.link)

    def _logged(self, unlogged: deque[bytes]) -> bool:
        """Log some more; True once all of it stands in the log. A disk that fails is not waited for: only a snapshot
        mends it then, and there is none of half a delta."""
        core = self.core
        if core.synced > self._room_since:
            self._room_bytes, self._room_since = core.config.limits.logged_a_sync_bytes, core.synced
        while unlogged:
            if self._room_bytes <= 0 and not core.storage:
                core.urgent = True
                return False
            self._room_bytes -= len(unlogged[0])
            core.append(unlogged.popleft())
        return True

    def _applied(self, replica: Replica, applying: Applying, link: Link) -> None:
        vector: Vector = applying.end.vector
        # All of it stood in the log before the first record was merged.
        self.core.holds(replica, vector)
        if link.purpose == PEER:
            replica.second.join(vector)
            link.beacon_ms = -1e9  # tell at once how far this node has come
        for origin in vector.entries:
            self.core.advanced(replica, origin)
        for lacked, scope in [one for one in self._unmet if one[1] == replica.scope]:
            del self._unmet[lacked, scope]
            lacked.wanted_ms.pop(scope, None)
            self._want(lacked, replica)

    def _reset_end(self, link: Link, end: ResetEnd, body: bytes) -> None:
        replica = self._replica(link, end.scope)
        staging = link.staging.pop(end.scope, None) or Staging(RESET)
        if end.scope not in link.asked_reset_ms or len(staging.parts) != end.parts:
            return
        if not staging.within(end.vector):
            raise Malformed("expected a reset of what its vector names")
        self.core.heard_of_me(end.scope, end.vector)
        del link.asked_reset_ms[end.scope]
        needless = replica.vector.covers_all(end.vector) and not self.core.blank and not link.sends_away
        if needless and self.may_take(link, end.scope):
            return
        fresh = Replica(end.scope, 0)
        fresh.on_placed = lambda record, old: None
        self._queue.append(_Whole(fresh, Applying(fresh, [*staging.parts], end), link, is_reset=True))

    def _replaced(self, fresh: Replica, link: Link) -> None:
        """The snapshot takes the table's place; whoever fed this node or was fed by it begins anew."""
        core, replica = self.core, self.core.replicas[fresh.scope]
        self._queue = [one for one in self._queue if one.replica.scope != replica.scope]
        self._unmet = {one: None for one in self._unmet if one[1] != replica.scope}
        self.lost.extend(core.acks[replica.scope].give_up())
        again = resets.take(core, replica, fresh)
        core.counters["resets_taken"] += 1
        core.tell(f"took a reset of the {replica.scope} scope from {link.node}; {again} records written again")
        for one in list(core.links.values()):
            if one.purpose != "client" and (replica.scope == GLOBAL or one.purpose == PEER):
                core.drop(one, "this node took a reset", "ended_by_reset")
        self.was_reset.append(replica.scope)

    # -- repairs ---------------------------------------------------------------------------------

    def exchange(self, link: Link, scope: str, place: int, *, answer: bool) -> None:
        """Send all records of a hash bucket."""
        found = self.core.watchmen[scope].records(place)
        records, count = [], 0
        for origin, some in found.items():
            some = some[: BUCKET_RECORDS - count]
            count += len(some)
            records.append((origin, array_of([encode_record(one) for one in some])))
        body = encode(Exchange(scope, place, answer, records))
        if len(body) < 1024 * 1024:
            self.core.outlet.send(link.number, body)

    def exchanged(self, link: Link, message: Exchange) -> None:
        replica = self._replica(link, message.scope)
        if not self.may_take(link, message.scope) or replica.applying is not None:
            return
        if message.answer:
            self.exchange(link, message.scope, message.bucket, answer=False)
        for origin, raw in message.records:
            records = [one for one in records_of(raw, origin, message.scope) if self._known(replica, one)]
            for record in taken(replica, records):
                self.core.counters["repairs"] += 1
                self.core.tell(f"repaired {record.bucket} after a divergence from {link.node}")
                self.core.append(entries.encode(Repaired(replica.scope, origin, array_of([encode_record(record)]))))

    def _known(self, replica: Replica, record: Record) -> bool:
        """A repair takes only what the vector says should be here."""
        return replica.vector.covers(record.origin, record.sequence)

    # -- what became present ---------------------------------------------------------------------

    def _placed(self, record: Record, old: Record | None) -> None:
        core = self.core
        if record.time > core.now.wall_ms + AHEAD_MS:
            core.counters["future_versions"] += 1
        if record.bucket == STATES:
            core.on_state_of_region()
        if self._source == OWN:
            return
        mine = old is not None and old.value is not None and region_of(old.maker or old.origin) == core.config.region
        if core.let_in(record) and mine:
            core.counters["superseded"] += 1
            if core.watches:
                core.watches.show(record, "superseded", False)
            return
        if core.watches and core.watches.of(record.bucket):
            if self._source == FROM_PEER:
                core.show(record, False)
            else:
                core.acks[record.bucket.partition("/")[0]].add_foreign(record, core.now.mono_ms)
