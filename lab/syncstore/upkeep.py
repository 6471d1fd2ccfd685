"""What a node does on its own: beacons, expiry, forgetting, closing incarnations, getting ready.

Owns the timers' deeds. Each is small and bounded: what is left waits for the next time.
"""

from __future__ import annotations

from lab.syncstore import entries, reports
from lab.syncstore.core import EVICTED, Core
from lab.syncstore.dials import Dials
from lab.syncstore.intake import Intake
from lab.syncstore.links import CLIENT, PEER, Link
from lab.syncstore.record import GLOBAL, SCOPES, Record
from lab.syncstore.replica import Replica
from lab.syncstore.reports import Report
from lab.syncstore.vector import Vector
from lab.syncstore.version import incarnation_of
from lab.syncstore.wire import Beacon, Credit, encode

SWEEP_MS = 500.0
LOOKED_AT = 2000
"""Tombstones looked at in one sweep; expiries and strippings likewise."""


class Upkeep:
    def __init__(self, core: Core, intake: Intake, dials: Dials) -> None:
        self.core, self.intake, self.dials = core, intake, dials
        self._started_ms = 0.0
        self._sweep_ms = 0.0
        self._peer_wants: dict[str, dict[str, Vector]] = {}
        self._to_show: list[tuple[Replica, Record, float]] = []
        """What has expired and no watcher was told yet, and since when."""

    def start(self) -> None:
        self._started_ms = self.core.now.mono_ms

    def tick(self) -> None:
        core = self.core
        now_ms = core.now.mono_ms
        self._get_ready(now_ms)
        self.beacons(now_ms)
        self._expire()
        self._show_expired()
        if now_ms >= self._sweep_ms:
            self._sweep_ms = now_ms + SWEEP_MS
            self.dials.forget_old()
            self._own_report()
            for scope in SCOPES:
                self._close(scope)
                self._forget(scope)

    def next_ms(self) -> float:
        limits = self.core.config.limits
        due = [self._sweep_ms]
        for link in self.core.links.values():
            if link.purpose != CLIENT:
                due.append(link.beacon_ms + (limits.beacon_ms if link.purpose == PEER else limits.wan_beacon_ms))
        return min(due)

    # -- getting ready ---------------------------------------------------------------------------

    def greeted(self, link: Link) -> None:
        """A peer said what it holds: a starting node serves once it holds that too."""
        if not self.core.ready and link.purpose == PEER:
            self._peer_wants[link.node] = {scope: link.stated[scope].copy() for scope in SCOPES}

    def _get_ready(self, now_ms: float) -> None:
        core = self.core
        if core.ready:
            return
        waited = now_ms - self._started_ms >= core.config.limits.ready_after_ms
        alone = not core.config.peers
        if self._peer_wants:
            core.ready = all(
                core.replicas[scope].vector.covers_all(vector)
                for wants in self._peer_wants.values()
                for scope, vector in wants.items()
            ) and (waited or len(self._peer_wants) >= len(core.config.peers))
        else:
            core.ready = waited or alone
        if core.ready:
            core.blank = False
            core.tell("ready")

    # -- beacons ---------------------------------------------------------------------------------

    def beacons(self, now_ms: float) -> None:
        limits = self.core.config.limits
        bodies: dict[tuple[str, str], bytes] = {}
        for link in list(self.core.links.values()):
            if link.purpose == CLIENT or link.dropped or (link.hello is None and not link.dialled):
                continue
            every = limits.beacon_ms if link.purpose == PEER else limits.wan_beacon_ms
            if now_ms - link.beacon_ms < every or self.core.outlet.unsent(link.number) > limits.unsent_bytes:
                continue
            link.beacon_ms = now_ms
            if link.hello is None:  # its hello may take a slow way back: the other side must not think us dead
                self.core.outlet.send(link.number, encode(Credit(0)))
                continue
            kind = link.purpose, self.core.away(link, GLOBAL)
            body = bodies.get(kind)
            if body is None:
                body = bodies[kind] = encode(self._beacon(*kind))
            self.core.outlet.send(link.number, body)

    def _beacon(self, purpose: str, away: str) -> Beacon:
        core = self.core
        scopes = SCOPES if purpose == PEER else (GLOBAL,)
        known = core.reports[GLOBAL]
        return Beacon(
            core.now.wall_ms,
            {scope: core.replicas[scope].vector for scope in scopes},
            {scope: core.replicas[scope].durable for scope in scopes} if purpose == PEER else {},
            {GLOBAL: {region: one.low for region, one in known.items()}},
            {GLOBAL: {region: one.high for region, one in known.items()}},
            {scope: core.watchmen[scope].to_state() for scope in scopes},
            sorted(core.hearing()) if purpose == PEER else [],
            {scope: core.replicas[scope].floor for scope in scopes},
            core.synced,
            core.ready,
            core.written(),
            {region: one.clock_ms for region, one in known.items()},
            away,
        )

    def heard(self, link: Link, beacon: Beacon) -> None:
        core = self.core
        link.beacon = beacon
        if beacon.away != link.sends_away and beacon.away == EVICTED:
            core.tell(f"{link.node} says that this region was evicted: it comes back by a reset, once it serves again")
        link.sends_away = beacon.away
        for scope in SCOPES if link.purpose == PEER else (GLOBAL,):
            vector, floor = beacon.vectors.get(scope), beacon.floors.get(scope)
            if vector is None or floor is None or scope not in link.stated:
                continue
            # A closed incarnation is left out of what is stated; it is not forgotten therefore.
            link.stated[scope].join(vector)
            link.floors[scope] = floor
            core.heard_of_me(scope, vector)
            feed = link.feeds.get(scope)
            if link.purpose == PEER:
                if beacon.written and feed is not None and feed.open:
                    core.replicas[scope].peer_holds(link.node, vector)
                if scope in beacon.durable:
                    link.durable[scope] = beacon.durable[scope]
            if feed is not None:
                feed.states(vector, core.now.mono_ms)
            self.dials.agree(link, scope)
            self._compare(link, scope, vector, beacon)
        for region, low in beacon.lows.get(GLOBAL, {}).items():
            high = beacon.highs.get(GLOBAL, {}).get(region)
            if region not in core.config.members or region == core.config.region or high is None:
                continue
            if core.came_back(region, low):
                core.reports[GLOBAL].setdefault(region, Report()).join(low, high, beacon.clocks.get(region, 0))

    def _compare(self, link: Link, scope: str, vector: Vector, beacon: Beacon) -> None:
        core = self.core
        if not self.intake.may_take(link, scope):
            return
        for place in core.watchmen[scope].compare(link.node, vector, beacon.digests.get(scope, {})):
            core.counters["divergence"] += 1
            core.tell(f"divergence: hash bucket {place} of the {scope} scope differs from {link.node}'s")
            self.intake.exchange(link, scope, place, answer=True)

    # -- forgetting ------------------------------------------------------------------------------

    def _own_report(self) -> None:
        """What all nodes of the own region state: none while one of them is to take a reset, for what it holds that the
        others lack will be gone by then, and would be waited for for ever."""
        core, clock_ms = self.core, self._region_clock() or 0
        for scope in SCOPES:
            own = core.replicas[scope]
            stated = [(own.vector, own.durable)]
            for node in core.config.peers:
                link = next((one for one in core.peers() if one.node == node and scope in one.durable), None)
                if link is None or self._apart(link, own):
                    break
                stated.append((link.stated[scope], link.durable[scope]))
            else:
                low, high = reports.of_region(stated)
                if scope != GLOBAL or core.came_back(core.config.region, low):
                    core.reports[scope].setdefault(core.config.region, Report()).join(low, high, clock_ms)

    def _apart(self, link: Link, own: Replica) -> bool:
        return not (link.stated[own.scope].covers_all(own.floor.vector) and self.intake.may_take(link, own.scope))

    def _expire(self) -> None:
        core = self.core
        for replica in core.replicas.values():
            for record in replica.tombstones.expire(replica.table, core.now.wall_ms, LOOKED_AT):
                core.counters["expired"] += 1
                if core.watches:
                    self._to_show.append((replica, record, core.now.mono_ms))
            replica.tombstones.tidy(replica.table)
            clock = self._region_clock()
            if clock is not None:
                replica.tombstones.strip(replica.table, clock, LOOKED_AT)

    def _show_expired(self) -> None:
        """Not before the record itself may be shown: an end that is lost with it would be the last that is told."""
        core = self.core
        late_ms = core.now.mono_ms - core.config.limits.degraded_after_ms
        waiting, self._to_show = self._to_show, []
        for replica, record, since_ms in waiting:
            present, acks = replica.table.get(record.bucket, record.key), core.acks[replica.scope]
            if present is None or present.version != record.version:
                continue
            secured = acks.secured(record)
            if secured or (since_ms <= late_ms and acks.durable(record)):
                core.watches.show(record, "expired", not secured)
            else:
                self._to_show.append((replica, record, since_ms))

    def _region_clock(self) -> int | None:
        """The slowest clock of the region; None while a node has not told its own."""
        core = self.core
        clocks = {one.node: one.beacon.clock_ms for one in core.peers() if one.beacon is not None}
        if any(node not in clocks for node in core.config.peers):
            return None
        return min([core.now.wall_ms, *clocks.values()])

    def _forget(self, scope: str) -> None:
        core, replica = self.core, self.core.replicas[scope]
        if replica.applying is not None:
            return
        low = reports.all_hold(core.reports[scope], core.counted(scope), replica.vector)
        if low is None:
            return
        age_ms = core.config.limits.tombstone_age_ms
        # Not above anybody's clock: a floor ahead of a clock would drag along whoever takes a reset from here.
        wall_ms = min(core.now.wall_ms, reports.all_past(core.reports[scope], core.counted(scope)))
        needed = core.needs_tombstone
        going = list(replica.tombstones.droppable(replica.table, wall_ms, age_ms, low, LOOKED_AT, needed))
        if going:
            core.flush_batch(replica)
            core.append(replica.drop(going))
            for record in going:
                core.on_tombstone_dropped(record)
            core.clock.raise_to(replica.floor.time, replica.floor.counter)
            core.counters["tombstones_dropped"] += len(going)
        self._lower_floor(replica, low)

    def _lower_floor(self, replica: Replica, low: Vector) -> None:
        """Incarnations that everybody has closed are named by their mark alone."""
        for member, mark in low.closed.items():
            if any(one.startswith(f"{member}/") for one in replica.floor.vector.entries):
                replica.dropped_of_closed |= {
                    origin: entry
                    for origin, entry in replica.floor.vector.entries.items()
                    if origin.startswith(f"{member}/") and incarnation_of(origin) < mark
                }
                replica.floor.vector.close_below(member, mark)

    def _close(self, scope: str) -> None:
        core, replica = self.core, self.core.replicas[scope]
        for member, mark in reports.closable(core.reports[scope], core.counted(scope), replica.vector):
            replica.close(member, mark)
            core.append(entries.encode(entries.Closed(scope, member, mark)))
            core.counters["incarnations_closed"] += 1
