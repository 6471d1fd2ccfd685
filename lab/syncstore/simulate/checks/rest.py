"""What must hold when a world has come to rest: all equal, nothing lost, nothing kept that may go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.syncstore.record import SCOPES, Record
from lab.syncstore.simulate.checks.content import equal_where_vectors_are, merge_of_its_vector, told
from lab.syncstore.simulate.history import FAIL, OK, Operation, WatchLog, version_seen
from lab.syncstore.simulate.host import Host
from lab.syncstore.simulate.world import World
from lab.syncstore.version import Version

NEVER = ("divergence", "forced_conflict")
UNPROVOKED = ("malformed", "credit_exceeded", "hello_refused")
VECTOR_ENTRIES_A_NODE = 3
"""In the end: a node's present incarnation, and a few that aren't closed yet."""


def unsettled(world: World) -> list[str]:
    """What still has to come to rest: empty when all nodes are up and equal, and nothing is left to forget."""
    found = []
    hosts = list(world.hosts.values())
    down = [host.place for host in hosts if host.engine is None]
    if down:
        return [f"{', '.join(down)} did not come back"]
    found += [f"{host.place} is not ready" for host in hosts if not host.engine.ready]
    for scope in SCOPES:
        for group in _groups(world, scope):
            found += _unequal(group, scope)
    if not found:
        found += list(bounded(world))
    return found


def _groups(world: World, scope: str) -> list[list[Host]]:
    if scope == "global":
        return [list(world.hosts.values())]
    return [world.region(region) for region in world.plan.names]


def _unequal(group: list[Host], scope: str) -> Iterator[str]:
    first = group[0]
    for other in group[1:]:
        mine, theirs = first.engine.replicas[scope].vector, other.engine.replicas[scope].vector
        for low, high in ((first, other), (other, first)):
            a, b = (mine, theirs) if low is first else (theirs, mine)
            lacking = [f"{one} {a.get(one)} < {b.get(one)}" for one in b.beyond(a)]
            if lacking:
                yield f"{low.place} still lacks of {high.place} ({scope}): " + ", ".join(sorted(lacking)[:4])


def bounded(world: World) -> Iterator[str]:
    """Invariant 6: with all members reachable what is only kept for others is forgotten."""
    ahead_ms = max(world.skews.values(), default=0)
    for host in world.hosts.values():
        for scope in SCOPES:
            replica = host.engine.replicas[scope]
            # One waits for the slowest clock: what a clock that is an hour behind makes stay, stays for that hour.
            slowest_ms = min(one.clocks.wall_ms() for one in _members(world, host, scope))
            age_ms = 2 * host.config.limits.tombstone_age_ms
            left = [one for one in replica.table.records() if one.value is None and _past(one, slowest_ms - age_ms)]
            if left:
                yield f"{host.place} still keeps {len(left)} {scope} tombstones, of them {told(left[0])}"
            entries = len(replica.vector.entries)
            members = len(_members(world, host, scope))
            if entries > members * VECTOR_ENTRIES_A_NODE and ahead_ms < 60_000:
                yield f"{host.place} has {entries} entries in its {scope} vector, for {members} members"


def _members(world: World, host: Host, scope: str) -> list[Host]:
    """Whose word is waited for before a node forgets."""
    return list(world.hosts.values()) if scope == "global" else world.region(host.region)


def _past(record: Record, wall_ms: float) -> bool:
    """Whether a tombstone stands since before that."""
    return max(record.time, record.expires) < wall_ms


def final(world: World) -> Iterator[str]:
    """All that must hold when a world has come to rest."""
    yield from unsettled(world)
    if any(host.engine is None for host in world.hosts.values()):
        return
    yield from equal_where_vectors_are(world.hosts.values())
    for host in world.hosts.values():
        yield from merge_of_its_vector(world, host)
        for name in ("divergence",) if world.evicted else NEVER:
            if host.engine.counters.get(name):
                yield f"{host.place} counted {host.engine.counters[name]} of {name}, which ought never to be"
        for name in () if world.littered else UNPROVOKED:
            if host.engine.counters.get(name):
                yield f"{host.place} counted {host.engine.counters[name]} of {name}, though nobody sent garbage"
    yield from acknowledged(world)
    yield from refused(world)
    yield from last_shown(world)


def acknowledged(world: World) -> Iterator[str]:
    """Invariant 2: what was acknowledged is there, or superseded by version."""
    for operation in world.operations():
        seen = operation.seen
        if not operation.writes or operation.outcome != OK or seen is None:
            continue
        node = world.hosts[operation.node]
        if operation.degraded and node.lost_disks:
            continue
        if any(
            node.place == place and since <= operation.completed_ms <= until + 1
            for place, since, until in world.excused
        ):
            continue
        scope = operation.bucket.partition("/")[0]
        for host in world.region(operation.region) if scope == "region" else world.hosts.values():
            replica = host.engine.replicas[scope]
            held = replica.table.get(operation.bucket, operation.key)
            if held is not None and held.version >= version_seen(seen):
                continue
            if not _superseded(world, operation, scope, version_seen(seen), replica.vector):
                degraded = " (degraded)" if operation.degraded else ""
                yield (
                    f"{host.place} lacks what {operation.client} was told{degraded} at {operation.completed_ms:.1f} ms:"
                    f" {operation.op} {operation.bucket} {operation.key} {version_seen(seen)} by {operation.node}"
                    f" #{seen.sequence}"
                )
                break


def refused(world: World) -> Iterator[str]:
    """What was said to have failed for certain was never accepted by anybody."""
    values = {one.value for line in world.oracle.keys.values() for one in line}
    for operation in world.operations():
        if operation.value and operation.outcome == FAIL and operation.value in values:
            yield (
                f"{operation.client} was told {operation.error} at {operation.completed_ms:.1f} ms, that certainly"
                f" {operation.value[:20]!r} was not written to {operation.key}, but it was"
            )


def _superseded(world: World, operation: Operation, scope: str, version: Version, vector: Any) -> bool:
    """Whether a vector names a write of the key that is this one or above it (and may be forgotten by now)."""
    place = (operation.region if scope == "region" else "", operation.bucket, operation.key)
    line = world.oracle.keys.get(place, [])
    if line and line[0].tombstone and any(host.engine.counters["forced_conflict"] for host in world.hosts.values()):
        return True  # two evicted each other: one's forgotten deletes are not known to the other
    return any(one.version >= version and world.oracle.names(vector, scope, one.origin, one.sequence) for one in line)


def last_shown(world: World) -> Iterator[str]:
    """Invariant 7: a watch's last word on a key is its final state.

    What expires does so by the clock of the node that serves the watch; where another clock of the region has
    passed an expiry before, a node that served it earlier may have told of it already.
    """
    for watched in world.watches():
        for key, before, sentence in watched.went_back:
            if not _lost(world, watched, key, before):
                yield sentence
        host = world.hosts.get(watched.node) or world.region(watched.region)[0]
        scope = watched.bucket.partition("/")[0]
        shelf = host.engine.replicas[scope].table.shelves.get(watched.bucket)
        records = {} if shelf is None else dict(shelf.records)
        wall_ms = host.clocks.wall_ms()
        latest_ms = max(world.latest_wall_ms(one.place) for one in world.region(watched.region))
        live = {
            key: one
            for key, one in records.items()
            if key.startswith(watched.prefix) and one.value is not None and not 0 < one.expires <= wall_ms
        }
        shown = {key: revision for key, (revision, there) in watched.latest.items() if there}
        for key in sorted(live.keys() | shown.keys()):
            mine, theirs = live.get(key), shown.get(key)
            if theirs is None and mine is not None and 0 < mine.expires <= latest_ms:
                continue
            if mine is None or theirs is None or str(mine.version) != theirs:
                yield (
                    f"the watch of {watched.client} on {watched.bucket} ends with {key!r} at"
                    f" {theirs or 'nothing'}, not {told(mine)}"
                )


def _lost(world: World, watched: WatchLog, key: str, version: Version) -> bool:
    """Whether a version was accepted once, and its incarnations were closed without it."""
    scope = watched.bucket.partition("/")[0]
    place = (watched.region if scope == "region" else "", watched.bucket, key)
    written = [one for one in world.oracle.keys.get(place, ()) if one.version == version]
    vectors = [host.engine.replicas[scope].vector for host in world.region(watched.region)]
    return bool(written) and not any(
        world.oracle.names(vector, scope, one.origin, one.sequence) for one in written for vector in vectors
    )
