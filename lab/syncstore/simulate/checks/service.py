"""What a region may expect of its own nodes whatever befalls the others, and what nobody may do to anybody.

The harms of a world are looked at only to know which regions were harmed inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.history import OK, Operation
from lab.syncstore.simulate.host import Host
from lab.syncstore.simulate.world import World

INSIDE = (
    "kill",
    "power",
    "all-blank",
    "pause",
    "blank",
    "restored",
    "disk",
    "resets",
    "flood",
    "evict",
    "away",
    "busy",
)
"""Harms inside a region, in which its own operations may be slow or fail."""
OTHERS = "others-dead"
PARTED = "inside"
"""In which they may be slower, and degraded, but go on."""
STARTED_MS = 1500.0
"""Until then a world's nodes find each other."""
AFTER_MS = 2500.0
"""A region harmed inside may show it for so long afterwards."""
RESET_BEFORE_MS, RESET_AFTER_MS = 150.0, 500.0
"""A reset ends the connections of who takes it, one node of a region after the other: around each that was seen."""
RESETTING = ("evict", "blank", "restored", "all-blank")
"""Harms after which a region takes resets: once it is reached again, which may be late."""
WRITE_MS, READ_MS = 40.0, 60.0
PARTED_MS = 200.0
"""What an operation may take: alone for a moment a write waits 50 ms for a peer's word, and a read as long
for what its session has seen, at each node of its region until it comes to one that holds it."""
WAIT_MS, ROUND_MS = 50.0, 10.0
OUTSTANDING_BYTES = 128 * 1024
"""Nobody keeps more than that for one connection: it is cut off, or goes on from a cursor."""
SPARE_DIALS, DIALS_PER_S = 25, 2.5
"""A node dials another one so often at most: full jitter, doubling, and at least once in `probe_ms`."""
THIRD_MS = 3200.0
"""What reaches a region through a third one takes no longer: `third_region_after_ms`, two beacons, two
delays, a delta, and the same again where a delta was under way."""


def served(world: World, harms: Sequence[Harm]) -> Iterator[str]:
    """Operations of a region that nothing harms inside succeed, and quickly: invariants 3, 8 and 9."""
    operations = world.operations()
    syncs_ms = 3 * world.plan.costs.sync_ms
    parted_ms = max(PARTED_MS, (WAIT_MS + ROUND_MS) * world.plan.nodes)
    for region in world.plan.names:
        harmed = [one for one in harms if any(_region(place) == region for place in one.where)]
        harmed = [one for one in harmed if one.kind != OTHERS]
        harmed += [replace(one, kind="power") for one in harms if one.kind == OTHERS and region not in one.where]
        worse = [(one.at_ms, one.at_ms + one.for_ms + AFTER_MS) for one in harmed if one.kind in INSIDE]
        if any(one.kind in RESETTING for one in harmed):
            worse += [(at - RESET_BEFORE_MS, at + RESET_AFTER_MS) for of, at in world.resets if of == region]
        parted = [(one.at_ms, one.at_ms + one.for_ms + AFTER_MS) for one in harmed if one.kind == PARTED]
        for one in operations:
            if one.region != region or one.invoked_ms < STARTED_MS or _within(one, worse):
                continue
            what = f"{one.client} {one.op} {one.bucket} {one.key} at {one.invoked_ms:.1f} ms"
            apart = _within(one, parted)
            if one.register and (apart or one.error == "WrongRevision"):
                continue
            if one.outcome != OK:
                if not (apart and one.op == "get") and not one.reset_away:
                    yield f"{what} failed with {one.error or 'nothing'}, though nothing harmed its region inside"
            elif one.latency_ms - syncs_ms > (
                parted_ms if apart or one.register else WRITE_MS if one.writes else READ_MS
            ):
                yield f"{what} took {one.latency_ms:.1f} ms, though nothing harmed its region inside"
            elif one.degraded and not apart and (one.writes or (_of(one, region) and world.plan.nodes > 1)):
                yield f"{what} was answered as degraded, though nothing harmed its region inside"


def _region_of(origin: str) -> str:
    return origin.partition("/")[0]


def _region(place: str) -> str:
    return place.partition("n")[0]


def _of(one: Operation, region: str) -> bool:
    return one.seen is not None and _region_of(one.seen.origin) == region


def _within(one: Operation, spans: list[tuple[float, float]]) -> bool:
    return any(since <= one.completed_ms and one.invoked_ms <= until for since, until in spans)


def retried(world: World) -> Iterator[str]:
    """Invariant 8: retries within the budget, dials within theirs."""
    for region, load in world.loads.items():
        tries = sum(one.attempts for one in load.operations)
        allowed = 1.1 * len(load.operations) + 10 * len(load.callers)
        if tries > allowed:
            yield f"clients of {region} tried {tries} times for {len(load.operations)} operations"
    lived_s = world.timeline.now_ms / 1000
    for (dialler, target), count in world.network.dialled.items():
        boots = world.hosts[dialler].boots if dialler in world.hosts else 0
        if boots and count > SPARE_DIALS * boots + DIALS_PER_S * lived_s:
            yield f"{dialler} dialled {target} {count} times in {lived_s:.0f} s"


def kept(world: World, host: Host) -> Iterator[str]:
    """Invariant 11, of memory: a peer that takes nothing costs a cursor."""
    for pipe in host.pipes():
        if pipe.outstanding > OUTSTANDING_BYTES and pipe.target.place in world.hosts:
            yield f"{host.place} keeps {pipe.outstanding} bytes for {pipe.target.place}, which doesn't take them"


def through_third(world: World, harm: Harm, others: Sequence[Harm]) -> Iterator[str]:
    """Two regions that don't reach each other hear of each other through a third, if any. Asked when `harm` ends."""
    now_ms = world.timeline.now_ms
    since_ms = now_ms - THIRD_MS
    if len(world.plan.names) < 3:
        return
    if since_ms < harm.at_ms or any(one.at_ms + one.for_ms + AFTER_MS > since_ms for one in others):
        return
    for source, target in (harm.where, harm.where[::-1]):
        for (region, bucket, key), line in world.oracle.keys.items():
            late = [one for one in line if one.at_ms < since_ms and one.origin.startswith(f"{source}/")]
            for host in world.region(target) if late and not region else ():
                one = next((one for one in late if not _names(host, one.origin, one.sequence)), None)
                if one is not None:
                    yield (
                        f"{host.place} lacks {bucket} {key} of {one.origin} #{one.sequence},"
                        f" {now_ms - one.at_ms:.0f} ms old, though a third region reaches both"
                    )
                    return


def _names(host: Host, origin: str, sequence: int) -> bool:
    return host.engine is None or host.engine.replicas["global"].vector.covers(origin, sequence)
