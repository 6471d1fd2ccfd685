"""A reset: a snapshot takes a table's place, and what only the own region wrote is written again.

Owns what of the old state outlives it. How the snapshot comes, and when all of it is here, is `intake`'s.
"""

from __future__ import annotations

from lab.syncstore.core import Core
from lab.syncstore.record import Record, later
from lab.syncstore.replica import Replica
from lab.syncstore.version import after, region_of


def take(core: Core, replica: Replica, fresh: Replica) -> int:
    """`replica` becomes what `fresh` is; how many records were written again."""
    core.flush_batch(replica)
    survivors = _survivors(core, replica, fresh)
    gone = _deleted_registers(replica, fresh, survivors)
    for body in fresh.state():
        core.append(body)
    replica.replace(fresh)
    core.on_state_of_region()
    core.began_wall_ms = core.now.wall_ms
    core.cuts.clear()
    core.stagings.clear()
    core.forget_unsynced(replica.scope)
    core.holds(replica, fresh.vector.copy())
    core.clock.raise_to(replica.floor.time, replica.floor.counter)
    core.take_incarnation()
    for record in survivors:
        _write_again(core, replica, record)
    core.flush_batch(replica)
    for record in gone:
        _delete_again(core, replica, record)
    for record in replica.table.records():
        core.let_in(record)
    core.blank = False
    return len(survivors)


def _survivors(core: Core, replica: Replica, fresh: Replica) -> list[Record]:
    """Records of the own region that the snapshot has not seen."""
    region = core.config.region
    return [
        record
        for origin, index in replica.table.indexes.items()
        if region_of(origin) == region
        for record in index.above(max(fresh.vector.get(origin), 0))
    ]


def _write_again(core: Core, replica: Replica, record: Record) -> None:
    present = replica.table.get(record.bucket, record.key)
    if present is not None and not later(record, present):
        return
    version = (record.time, record.counter, record.maker)
    if present is None:
        floor = replica.floor
        if (record.time, record.counter, record.maker or "") <= (floor.time, floor.counter, floor.maker):
            made = after(floor.time, floor.counter)
            version = (*made, replica.origin)
            core.clock.raise_to(*made)
    time, counter, maker = version
    replica.write(Record(0, record.bucket, record.key, record.value, time, counter, record.expires, maker))


def _deleted_registers(replica: Replica, fresh: Replica, survivors: list[Record]) -> list[Record]:
    """What the snapshot knows to be deleted and names no more, though acceptors here may still hold it."""
    kept = {(one.bucket, one.key) for one in survivors}
    return [
        record
        for bucket, shelf in replica.table.shelves.items()
        if "/register/" in bucket
        for key, record in shelf.records.items()
        if record.value is not None and (bucket, key) not in kept and fresh.table.get(bucket, key) is None
    ]


def _delete_again(core: Core, replica: Replica, record: Record) -> None:
    """A tombstone for the registers, just above what it deletes: else they would finish that value anew."""
    if replica.table.get(record.bucket, record.key) is None:
        tombstone = Record(0, record.bucket, record.key, None, *after(record.time, record.counter))
        replica.write(tombstone)
        core.on_foreign_register(tombstone)
