"""What worlds made for a planted bug are looked at for, beside what every world must keep.

Each look is taken just before the harms are healed: what has to go on while a harm lasts is seen only then,
since everything comes right in the end. Knows nothing of mutants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.syncstore.simulate.checks.content import equal_where_vectors_are, told
from lab.syncstore.simulate.history import FAIL, OK, version_seen
from lab.syncstore.simulate.world import Plan, World

Look = Callable[[World], Iterator[str]]
ARRIVED_MS, SOON_MS = 2500.0, 500.0
FORGOTTEN_MS = 3000.0
THERE_MS = 1000.0
ROT_MS = 2000.0


def arrived(world: World, within_ms: float = ARRIVED_MS) -> Iterator[str]:
    """Every running node holds what any region wrote a while ago."""
    before_ms = world.timeline.now_ms - within_ms
    for host in world.running():
        vector = host.engine.replicas["global"].vector
        for (region, bucket, key), line in world.oracle.keys.items():
            late = [one for one in line if one.at_ms < before_ms and not vector.covers(one.origin, one.sequence)]
            if late and not region:
                age_ms = world.timeline.now_ms - late[-1].at_ms
                yield f"{host.place} lacks {bucket} {key} of {late[-1].origin}, {age_ms:.0f} ms old"
                return


def soon(world: World) -> Iterator[str]:
    """The same, of a world in which nothing is in the way."""
    yield from arrived(world, SOON_MS)


def forgotten(world: World) -> Iterator[str]:
    """No old tombstone is kept but by who is evicted."""
    before_ms = world.timeline.now_ms - FORGOTTEN_MS
    old = {
        one.version
        for line in world.oracle.keys.values()
        for one in line
        if one.at_ms < before_ms and one.tombstone and not one.expires
    }
    for host in world.running():
        for record in () if host.region in world.evicted else host.engine.replicas["global"].table.records():
            if record.value is None and record.version in old:
                yield f"{host.place} still keeps {told(record)}"
                return


def answered(world: World) -> Iterator[str]:
    """Every get is answered, by whichever node can."""
    for one in world.operations():
        if one.op == "get" and one.outcome == FAIL and one.invoked_ms > 1000:
            yield f"{one.client} get {one.key} at {one.node} failed with {one.error} at {one.completed_ms:.1f} ms"


def repeated(world: World) -> Iterator[str]:
    """What a node did not answer before it died is done by another one."""
    if not any(one.op in ("put", "delete") and one.attempts > 1 and one.outcome == OK for one in world.operations()):
        yield "no put or delete was repeated"


def forward(world: World) -> Iterator[str]:
    """What a client is shown of a key never goes back, whatever its session remembers."""
    for client in {one.client for one in world.operations()}:
        mine = [one for one in world.operations() if one.client == client and one.outcome == OK and one.seen]
        ended = sorted(mine, key=lambda one: one.completed_ms)
        for one in mine:
            for other in ended:
                if other.completed_ms >= one.invoked_ms:
                    break
                same = (other.bucket, other.key) == (one.bucket, one.key)
                if same and version_seen(one.seen) < version_seen(other.seen):
                    yield f"{client} was shown {one.key} at {version_seen(one.seen)} after {version_seen(other.seen)}"
                    return


def risen(world: World) -> Iterator[str]:
    """Whoever writes a key is above what has long been there, however far ahead that is."""
    for (_, bucket, key), line in world.oracle.keys.items():
        for one in line:
            there = [other for other in line if other.version > one.version and other.at_ms + THERE_MS < one.at_ms]
            if there:
                yield f"{one.origin} wrote {bucket} {key} as {one.version}, below {there[0].version} of before"
                return


def rotten(plan: Plan) -> list[str]:
    """A calm world in which one node loses a record that its vector names: it must get it back by itself."""
    world = World(plan)
    world.begin()
    world.timeline.run_until(ROT_MS)
    replica = next(iter(world.hosts.values())).engine.replicas["global"]
    replica.table.remove(next(one for one in replica.table.records() if one.value is not None and not one.expires))
    world.timeline.run_until(plan.virtual_s * 1000)
    return list(equal_where_vectors_are(world.hosts.values()))
