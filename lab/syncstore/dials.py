"""Connections: who is dialled when, who is greeted how, and who is given up.

Owns links from their opening to their end, and the choice of gateways. A node that can't be reached is
tried again after a random part of a growing span, never less often than every few seconds; nothing
else of the node depends on whether it is reached.
"""

from __future__ import annotations

from lab.syncstore.core import EVICTED, Core
from lab.syncstore.delta import RESET, Position
from lab.syncstore.errors import Malformed
from lab.syncstore.feed import Feed
from lab.syncstore.gateway import should_hear, targets
from lab.syncstore.links import CLIENT, PEER, WAN, Link, refusal
from lab.syncstore.record import GLOBAL, SCOPES
from lab.syncstore.vector import Vector
from lab.syncstore.version import node_of, region_of
from lab.syncstore.wire import PROTOCOL, Hello, ResetAsk, encode

RESUME = "resume"
"""The feature: deltas that broke off go on."""
FIRST_WAIT_MS = 100.0
STOOD_MS = 1000.0
"""A link that stood for so long was a good one: when it ends, waits begin small again. A peer's is dialled at once,
since writes wait for a peer's word."""
AT_FAULT = ("", "malformed", "credit_exceeded", "hello_refused")
"""Links that end for these reasons are tried again later and later, as those that nobody answers."""
RESET_AGAIN_MS = 5000.0
SETTLE_MS = 1000.0
"""Two nodes that hear one region at once both go on for so long: their peers must have seen it first."""


class _Target:
    """A node, or a region of which any node will do, that is dialled until it answers."""

    __slots__ = ("due_ms", "failures", "node", "nodes", "since_ms")

    def __init__(self, nodes: list[str]) -> None:
        self.nodes = nodes
        self.node = ""
        """The one dialled now."""
        self.failures = 0
        self.due_ms = 0.0
        self.since_ms = 0.0


class Dials:
    def __init__(self, core: Core) -> None:
        self.core = core
        config = core.config
        # Of two nodes of a region the lower name dials.
        self._peers = {one: _Target([one]) for one in config.peers if config.node < one}
        self._regions = {region: _Target(targets(config.node, config.members[region])) for region in config.foreign}
        self._alone_ms: dict[str, float] = {}
        core.on_state_of_region = self.agree_all

    # -- opening and greeting --------------------------------------------------------------------

    def hello(self, purpose: str, node: str) -> Hello:
        core, config = self.core, self.core.config
        scopes = SCOPES if purpose == PEER else (GLOBAL,)
        nodes = purpose != CLIENT
        return Hello(
            config.cluster,
            PROTOCOL,
            config.features,
            config.members_hash,
            config.region,
            config.node,
            core.incarnation,
            purpose,
            core.now.wall_ms,
            {scope: core.replicas[scope].vector for scope in scopes} if nodes else {},
            {scope: core.replicas[scope].floor for scope in scopes} if nodes else {},
            core.synced,
            core.blank,
            self._to_resume(node) if nodes else {},
        )

    def opened(self, link: Link) -> None:
        self.core.links[link.number] = link
        link.heard_ms = link.opened_ms
        if link.dialled:
            self.core.outlet.send(link.number, encode(self.hello(link.purpose, link.node)))

    def greeted(self, link: Link, hello: Hello) -> None:
        """The other side's first frame."""
        core = self.core
        why = refusal(core.config, link, hello)
        if not why and link.hello is not None:
            why = "expected one hello, found a second"
        if why:
            core.drop(link, why, "hello_refused")
            return
        link.hello = hello
        if not link.dialled:
            core.outlet.send(link.number, encode(self.hello(link.purpose, link.node)))
        if link.purpose == CLIENT:
            return
        if hello.members != core.config.members_hash:
            core.counters["members_differ"] += 1
            core.tell(f"{hello.region}/{hello.node} was told other members than this node")
        link.credit = core.config.limits.credit_bytes
        for other in [one for one in core.links.values() if one is not link and one.hello is not None]:
            if other.purpose == link.purpose and other.node == link.node and bool(other.dialled) == bool(link.dialled):
                core.drop(other, "a newer connection took its place", "replaced")
        self._feed(link, hello)

    def _feed(self, link: Link, hello: Hello) -> None:
        core = self.core
        for scope in SCOPES if link.purpose == PEER else (GLOBAL,):
            stated = hello.vectors.get(scope)
            floor = hello.floors.get(scope)
            if stated is None or floor is None:
                raise Malformed("expected vectors and floors in a node's hello")
            link.stated[scope], link.floors[scope] = stated.copy(), floor
            core.heard_of_me(scope, stated)
            if link.purpose == PEER or not link.dialled:
                link.feeds[scope] = Feed(
                    core.replicas[scope],
                    stated,
                    self._own_and_heard if link.purpose == PEER else self._of_region,
                    core.config.limits,
                    core.outlet.bits,
                    everything=link.purpose == PEER,
                )
            self.agree(link, scope)
            if link.purpose == PEER:  # who is to take a reset holds nothing for long
                held = stated if link.feeds[scope].open else Vector({}, {})
                core.replicas[scope].peer_holds(link.node, held, greeting=True)
        self._resume(link, hello)

    def _own_and_heard(self, origin: str) -> bool:
        region = region_of(origin)
        if region == self.core.config.region:
            return node_of(origin) == self.core.config.node
        return region in self.core.hearing()

    def _of_region(self, origin: str) -> bool:
        return region_of(origin) == self.core.config.region

    def agree(self, link: Link, scope: str) -> None:
        """Whether records may pass, as far as what was forgotten goes; else ask for a reset."""
        core = self.core
        replica, floor = core.replicas[scope], link.floors[scope]
        covered = replica.vector.covers_all(floor.vector) and not (scope == GLOBAL and link.sends_away)
        covering = link.stated[scope].covers_all(replica.floor.vector) and not core.away(link, scope)
        feed = link.feeds.get(scope)
        if feed is not None:
            if feed.open and not (covered and covering):
                feed.stop()
            feed.open = covered and covering
        if covered or not link.receives or (scope == GLOBAL and link.sends_away == EVICTED):
            return
        if not covering:
            if (core.config.region, core.config.node) < (link.region, link.node):
                return  # neither covers the other: the lower name sends the reset
            core.counters["forced_conflict"] += 1
        asked = link.asked_reset_ms.get(scope)
        if asked is None or core.now.mono_ms - asked >= RESET_AGAIN_MS:
            link.asked_reset_ms[scope] = core.now.mono_ms
            link.staging.pop(scope, None)
            core.outlet.send(link.number, encode(ResetAsk(scope)))

    def agree_all(self) -> None:
        """A region's state changed: at once, before anything more passes."""
        known = self.core.reports[GLOBAL]
        for region in [one for one, report in known.items() if not self.core.came_back(one, report.low)]:
            del known[region]
        for link in self.core.links.values():
            if GLOBAL in link.floors:
                self.agree(link, GLOBAL)

    def closed(self, link: Link) -> None:
        self._keep(link)
        self.core.links.pop(link.number, None)
        self.core.watches.end_all(link.number)

    # -- deltas that broke off -------------------------------------------------------------------

    def _keep(self, link: Link) -> None:
        """What was half sent or half received goes on when the same two nodes meet again."""
        core, now_ms = self.core, self.core.now.mono_ms
        for scope, feed in link.feeds.items():
            cut = feed.keep()
            if cut is not None:
                self._forget_cut(link.node, scope)
                core.cuts[link.node, scope] = (cut, now_ms)
        for scope, staging in link.staging.items():
            if staging.parts and staging.cut != RESET and RESUME in core.config.features:
                core.stagings[link.node, scope] = (staging, now_ms)

    def _forget_cut(self, node: str, scope: str) -> None:
        kept = self.core.cuts.pop((node, scope), None)
        if kept is not None:
            kept[0].close()

    def forget_old(self) -> None:
        """Let go of what nobody came back for."""
        core = self.core
        since = core.now.mono_ms - core.config.limits.cut_kept_ms
        for node, scope in [at for at, (_, kept_ms) in core.cuts.items() if kept_ms < since]:
            self._forget_cut(node, scope)
        core.stagings = {at: one for at, one in core.stagings.items() if one[1] >= since}

    def _to_resume(self, node: str) -> dict[str, tuple[int, int, str, int]]:
        return {
            scope: (kept.cut, *kept.position) for (of, scope), (kept, _) in self.core.stagings.items() if of == node
        }

    def _resume(self, link: Link, hello: Hello) -> None:
        core = self.core
        for scope in SCOPES:
            kept = core.stagings.pop((link.node, scope), None)
            if kept is not None and link.receives:
                link.staging[scope] = kept[0]
            feed, asked, cut = link.feeds.get(scope), hello.resume.get(scope), core.cuts.get((link.node, scope))
            if feed is None or asked is None or cut is None or RESUME not in core.config.features:
                continue
            number, parts, origin, sequence = asked
            if cut[0].number == number:
                del core.cuts[link.node, scope]
                feed.resume(cut[0], Position(parts, origin, sequence))
                core.counters["deltas_resumed"] += 1

    # -- dialling --------------------------------------------------------------------------------

    def tick(self) -> None:
        """Dial who is due; let go of who is silent or not needed."""
        now_ms = self.core.now.mono_ms
        self._silent(now_ms)
        for node, target in self._peers.items():
            self._dial_peer(node, target)
        hearing = self._region_hearing()
        for region, target in self._regions.items():
            mine = [one for one in self.core.links.values() if one.purpose == WAN and one.dialled in target.nodes]
            if should_hear(region, self.core.config.node, hearing):
                self._alone_ms.pop(region, None)
                if not any(not one.dropped for one in mine):
                    self._dial(target, WAN, now_ms)
            elif mine and now_ms - self._alone_ms.setdefault(region, now_ms) >= SETTLE_MS:
                for link in mine:
                    self.core.drop(link, "another node of this region hears yours", "gateway_changed")

    def _dial_peer(self, node: str, target: _Target) -> None:
        if not any(one.purpose == PEER and one.node == node for one in self.core.links.values()):
            self._dial(target, PEER, self.core.now.mono_ms)

    def _region_hearing(self) -> dict[str, set[str]]:
        hearing = {one.node: set(one.beacon.hears) if one.beacon is not None else set() for one in self.core.peers()}
        hearing[self.core.config.node] = self.core.hearing()
        return hearing

    def _silent(self, now_ms: float) -> None:
        limits = self.core.config.limits
        for link in list(self.core.links.values()):
            patience_ms = limits.silent_ms if link.hello is not None else limits.greeting_ms
            if link.purpose != CLIENT and not link.dropped and now_ms - link.heard_ms >= patience_ms:
                self.core.drop(link, f"not a byte for {patience_ms / 1000:g} s", "silent")
                self._failed(link.purpose, link.dialled)

    def _dial(self, target: _Target, purpose: str, now_ms: float) -> None:
        limits = self.core.config.limits
        if target.node:
            if now_ms - target.since_ms < 2 * limits.dial_timeout_ms:
                return
            target.node = ""  # the runner never answered
        if now_ms < target.due_ms:
            return
        target.node = target.nodes[target.failures % len(target.nodes)]
        target.since_ms = now_ms
        self.core.counters["dials"] += 1
        self.core.outlet.dial(target.node, purpose)

    def failed(self, node: str, purpose: str) -> None:
        self.core.counters["dials_failed"] += 1
        self._failed(purpose, node)

    def _failed(self, purpose: str, node: str) -> None:
        target = self._target(purpose, node)
        if target is None:
            return
        limits = self.core.config.limits
        target.failures += 1
        target.node = ""
        rounds = target.failures // len(target.nodes)
        span = min(limits.probe_ms, FIRST_WAIT_MS * 2 ** min(rounds, 12))
        jitter = (self.core.outlet.bits() & 0xFFFF) / 0x10000
        target.due_ms = self.core.now.mono_ms + span * jitter

    def _target(self, purpose: str, node: str) -> _Target | None:
        if purpose == PEER:
            return self._peers.get(node)
        return next((one for one in self._regions.values() if node in one.nodes), None)

    def connected(self, link: Link) -> None:
        """The dial was answered; whether by the right one, its hello will tell."""
        target = self._target(link.purpose, link.dialled)
        if target is not None:
            target.node = ""

    def lost(self, link: Link) -> None:
        """A link that we dialled ended: try again, another node first where there is one."""
        target = self._target(link.purpose, link.dialled)
        if target is None:
            return
        stood = link.hello is not None and self.core.now.mono_ms - link.opened_ms >= STOOD_MS
        if stood:
            target.failures = target.nodes.index(link.dialled)
        if link.dropped not in AT_FAULT:
            return
        if stood and link.purpose == PEER and not link.dropped:
            self._dial_peer(link.dialled, target)
        else:
            self._failed(link.purpose, link.dialled)
