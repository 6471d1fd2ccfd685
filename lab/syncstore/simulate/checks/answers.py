"""What clients are told, judged at the moment they are told it."""

from __future__ import annotations

from collections.abc import Iterator

from lab.syncstore.record import Record
from lab.syncstore.simulate.clients import LOCAL, OWN
from lab.syncstore.simulate.history import OK, Operation, WatchLog, version_seen
from lab.syncstore.simulate.host import Host
from lab.syncstore.simulate.settings import EPOCH_MS
from lab.syncstore.simulate.world import World
from lab.syncstore.version import Version, node_of, parts, version_of
from lab.syncstore.watched import Event

YOUNG_MS = 1500.0
"""A node that started so recently may still be catching up with what a power cut took from it."""

CLOCK_MS = 5
"""Of several writes in one ms only the counter rises, so times stay within this of the clock."""


def answer(world: World, operation: Operation) -> Iterator[str]:
    """Invariants 2, 4, 6 and 9, of one answer at the moment it comes."""
    if operation.outcome != OK:
        operation.reset_away = _reset_away(world, operation)
        return
    what = f"{operation.client} {operation.op} {operation.bucket} {operation.key} at {operation.node}"
    when = f"at {operation.completed_ms:.1f} ms"
    before, shown = version_seen(operation.before), version_seen(operation.seen)
    if operation.op == "get":
        if before > shown and _was_lost(world, operation):
            return
        yield from _read(world, operation, what, when, before, shown)
    else:
        if operation.seen is None:
            yield f"{what} was acknowledged {when} without a version"
        elif shown <= before and not (operation.register and operation.attempts > 1):
            yield f"{what} was acknowledged {when} with {shown}, not above {before}, which its session had seen"
        yield from _durable(world, operation, what, when)
    if not (operation.register and operation.op == "get"):
        yield from _held(world, operation, what, when)


def _read(world: World, operation: Operation, what: str, when: str, before: Version, shown: Version) -> Iterator[str]:
    host = world.hosts[operation.node]
    place = (operation.region if operation.bucket.startswith("region/") else "", operation.bucket, operation.key)
    if operation.present:
        if shown < before:
            yield f"{what} showed {shown} {when}, after its session had seen {before}"
        one = world.oracle.find(place, shown)
        if one is None and operation.register:
            world.unwritten.append(operation)  # decided; its record is written a little later
        elif one is None or one.value != operation.found:
            yield f"{what} showed {operation.found[:40]!r} at {shown} {when}, which nobody wrote"
        elif one.expires and _steady(world, operation) and one.expires <= operation.sent_wall_ms:
            yield f"{what} showed a record {when} that had expired {operation.sent_wall_ms - one.expires} ms before"
        return
    latest_ms = max(world.latest_wall_ms(host.place), world.all_past_ms())
    if operation.seen is not None:
        if shown < before:
            yield f"{what} showed a deletion at {shown} {when}, after its session had seen {before}"
        one = world.oracle.find(place, shown)
        if one is not None and not one.tombstone and not 0 < one.expires <= latest_ms:
            yield f"{what} showed nothing {when}, though {shown} has not expired by any clock there"
    elif before.time:
        seen = world.oracle.find(place, before)
        if seen is None or seen.tombstone or 0 < seen.expires <= latest_ms:
            return
        later = world.oracle.keys.get(place, ())
        if not any(one.version > before and (one.tombstone or 0 < one.expires <= latest_ms) for one in later):
            yield f"{what} showed nothing {when}, though its session had seen {before} and nobody deleted it"


def _was_lost(world: World, operation: Operation) -> bool:
    """What the session had seen went with its node's disk, and nobody else had it: that incarnation is closed without
    it. Had it not been degraded, it would be missed at the end."""
    seen, scope = operation.before, operation.bucket.partition("/")[0]
    if seen is None or not seen.origin or not world.hosts[node_of(seen.origin)].lost_disks:
        return False
    engine = world.hosts[operation.node].engine
    return engine is not None and engine.replicas[scope].vector.is_closed(seen.origin)


def _steady(world: World, operation: Operation) -> bool:
    """Whether the node's clock was not set while it answered."""
    went_ms = operation.completed_ms - operation.sent_ms
    return abs(world.hosts[operation.node].clocks.wall_ms() - operation.sent_wall_ms - went_ms) <= 2


def _durable(world: World, operation: Operation, what: str, when: str) -> Iterator[str]:
    """Invariant 2, as the disk has it: what was acknowledged is on it, behind where the log ended before."""
    seen = operation.seen
    if seen is None:
        return
    host, scope = world.hosts[operation.node], operation.bucket.partition("/")[0]
    boots, ended = world.written.get((f"{scope} {seen.origin}", seen.sequence), (0, 0))
    if host.boots == boots and node_of(seen.origin) == host.place and host.drive.log.durable <= ended:
        yield f"{what} was acknowledged {when}, but nothing is durable there since it was accepted"


def _held(world: World, operation: Operation, what: str, when: str) -> Iterator[str]:
    """Invariants 2 and 4 while everybody is up: two nodes of the region hold what was acknowledged or shown."""
    seen, region = operation.seen, world.region(operation.region)
    if seen is None or not seen.origin or operation.degraded or not _all_there(world, region):
        return
    scope = operation.bucket.partition("/")[0]
    holders = [one for one in region if _holds(one, scope, operation, version_seen(seen))]
    if len(holders) < 2:
        yield f"{what} was answered {when}, not as degraded, but only {len(holders)} nodes hold it"


def event(world: World, log: WatchLog, shown: Event) -> Iterator[str]:
    """The same of what a watch shows."""
    region = world.region(log.region)
    if not shown.revision or shown.degraded or not _all_there(world, region):
        return
    scope, version = log.bucket.partition("/")[0], version_of(shown.revision)
    place = (log.region if scope == "region" else "", log.bucket, shown.key)
    written = [one for one in world.oracle.keys.get(place, ()) if one.version >= version]
    holders = 0
    for replica in (one.engine.replicas[scope] for one in region):
        held = replica.table.get(log.bucket, shown.key)  # half a delta is in the table before the vector names it
        here = held is not None and held.version >= version
        holders += here or any(replica.vector.covers(one.origin, one.sequence) for one in written)
    if holders < 2:
        yield (
            f"a watch of {log.client} was shown {shown.revision} of {shown.key} by {log.node} at"
            f" {world.timeline.now_ms:.1f} ms, not as degraded, but only {holders} nodes hold it"
        )


def _reset_away(world: World, operation: Operation) -> bool:
    """Whether a session waits for what its region held, until a reset from a region that had less took its place."""
    seen, scope = operation.before, operation.bucket.partition("/")[0]
    if operation.op != "get" or seen is None:
        return False
    replicas = [host.engine.replicas[scope] for host in world.region(operation.region) if host.engine is not None]
    return any(one.given_up.covers(seen.origin, seen.sequence) for one in replicas) and not any(
        one.vector.covers(seen.origin, seen.sequence) for one in replicas
    )


def _all_there(world: World, region: list[Host]) -> bool:
    """Whether more nodes than one could hold what they should, and have all of what they held."""
    young_ms = world.timeline.now_ms - YOUNG_MS
    up = all(one.engine is not None and not one.lost_disks and one.booted_ms <= young_ms for one in region)
    return up and len(region) > 1


def _holds(host: Host, scope: str, operation: Operation, shown: Version) -> bool:
    """By its vector; or, after a reset that took the sequence from it, as a record that was written again."""
    replica, seen = host.engine.replicas[scope], operation.seen
    assert seen is not None
    held = replica.table.get(operation.bucket, operation.key)
    return replica.vector.covers(seen.origin, seen.sequence) or (held is not None and held.version >= shown)


def overwrites(world: World, record: Record) -> Iterator[str]:
    """Invariant 9: whoever holds a version of the future can overwrite it, whatever its session has seen."""
    if "/register/" in record.bucket or record.maker != record.origin:
        return
    scope = record.bucket.partition("/")[0]
    held = world.hosts[node_of(record.origin)].engine.replicas[scope].table.get(record.bucket, record.key)
    if held is not record:
        yield f"{record.origin} accepted {record.key} at {record.version} below what it held, which is {held.version}"


def version(world: World, record: Record) -> Iterator[str]:
    """Invariant 9, of every write where it is accepted: nobody else's clock moves this node's.

    Only keys that nobody but this region writes are asked: on others what is present must be passed.
    """
    region, _, _ = parts(record.origin)
    if record.bucket not in (OWN, LOCAL) or record.maker != record.origin:
        return
    if world.was_skewed(region) or world.was_led_astray(region):
        return
    right_ms = EPOCH_MS + int(world.timeline.now_ms)
    if record.time > right_ms + CLOCK_MS:
        yield (
            f"{record.origin} gave {record.key} a version {record.time - right_ms} ms ahead of its clock at"
            f" {world.timeline.now_ms:.1f} ms, though no clock of its region was ever wrong"
        )
