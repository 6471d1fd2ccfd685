"""What a log's entries make of an empty node, and what of a node makes a snapshot.

Owns the replay: every entry does again what it did when it was appended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab.syncstore import entries
from lab.syncstore.core import Core
from lab.syncstore.delta import RESET, Staging
from lab.syncstore.entries import Closed, Dropped, Entry, Repaired, Started, Voted
from lab.syncstore.errors import Malformed
from lab.syncstore.replica import Applying, Replica
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, Stream, records_of


def replay(core: Core, recovered: Iterable[tuple[str, bytes]]) -> list[bytes]:
    """Bring the replicas to where the log ends; returns what the acceptor must not forget, in order.
    Raises Malformed."""
    voted: list[bytes] = []
    stagings: dict[str, Staging] = {}
    for _, payload in recovered:
        entry = entries.decode(payload)
        if isinstance(entry, Voted):
            voted.append(entry.payload)
        elif isinstance(entry, Started):
            core.known_incarnation = max(core.known_incarnation, entry.incarnation)
        else:
            _again(core.replicas.get(entry.scope), stagings, entry, payload)
    for replica in core.replicas.values():
        replica.durable = replica.vector.copy()
        core.clock.raise_to(replica.floor.time, replica.floor.counter)
    return voted


def _again(replica: Replica | None, stagings: dict[str, Staging], entry: Entry, payload: bytes) -> None:
    if replica is None:
        raise Malformed("expected an entry of a known scope")
    if isinstance(entry, Stream):
        if not replica.vector.is_closed(entry.origin) and replica.take(entry, payload) is None:
            raise Malformed(f"expected the writes of {entry.origin} in sequence, found a gap before {entry.first}")
    elif isinstance(entry, Delta | Reset):
        cut = entry.cut if isinstance(entry, Delta) else RESET
        staging = stagings.get(replica.scope)
        if staging is None or staging.cut != cut or entry.number == 0:
            staging = stagings[replica.scope] = Staging(cut)
        if not staging.add(entry.number, entry.origin, payload):
            raise Malformed("expected a delta's parts in order")
    elif isinstance(entry, DeltaEnd | ResetEnd):
        _whole(replica, stagings.pop(replica.scope, Staging(RESET)), entry)
    elif isinstance(entry, Dropped):
        for bucket, key in entry.keys:
            record = replica.table.get(bucket, key)
            if record is not None:
                replica.table.remove(record)
        replica.floor = entry.floor
    elif isinstance(entry, Closed):
        replica.close(entry.member, entry.incarnation)
    elif isinstance(entry, Repaired):
        for record in records_of(entry.records, entry.origin, replica.scope):
            replica.repair(record)


def _whole(replica: Replica, staging: Staging, end: DeltaEnd | ResetEnd) -> None:
    if len(staging.parts) != end.parts:
        raise Malformed(f"expected a unit of {end.parts} parts, found {len(staging.parts)}")
    target = replica
    if isinstance(end, ResetEnd):
        target = Replica(replica.scope, 0)
    applying = Applying(target, staging.parts, end)
    while not applying.step(10_000):
        pass
    if target is not replica:
        replica.replace(target)


def snapshot(incarnation: str, states: list[Iterator[bytes]], votes: Iterator[bytes]) -> Iterator[bytes]:
    """The payloads of a snapshot: replayed into an empty node they are its state."""
    yield entries.encode(Started(incarnation))
    for payload in votes:
        yield entries.encode(Voted(payload))
    for state in states:
        yield from state
