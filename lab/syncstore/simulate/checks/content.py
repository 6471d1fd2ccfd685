"""What nodes hold: equal where their vectors are equal, and exactly the merge of what those name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lab.syncstore.record import SCOPES, Record
from lab.syncstore.simulate.host import Host
from lab.syncstore.simulate.oracle import Accepted
from lab.syncstore.simulate.world import World


def _vector_key(replica: Any) -> tuple[Any, ...]:
    vector = replica.vector
    return (
        tuple(sorted((origin, entry) for origin, entry in vector.entries.items() if entry > 0)),
        tuple(sorted(vector.closed.items())),
    )


def equal_where_vectors_are(hosts: Iterable[Host]) -> Iterator[str]:
    """Invariant 1, at any instant."""
    found: dict[tuple[Any, ...], Host] = {}
    for host in hosts:
        for scope in SCOPES:
            replica = host.engine.replicas[scope]
            if replica.applying is not None:
                continue
            key = (scope, host.region if scope == "region" else "", *_vector_key(replica))
            other = found.setdefault(key, host)
            if other is not host and other.engine.replicas[scope].table.digest.sums != replica.table.digest.sums:
                found_out = _differences(other, host, scope)
                yield f"{other.place} and {host.place} have equal {scope} vectors but {found_out}"


def _differences(one: Host, other: Host, scope: str) -> str:
    mine = {(record.bucket, record.key): record for record in one.engine.replicas[scope].table.records()}
    theirs = {(record.bucket, record.key): record for record in other.engine.replicas[scope].table.records()}
    differing = []
    for place in sorted(mine.keys() | theirs.keys()):
        a, b = mine.get(place), theirs.get(place)
        if a is None or b is None or a.version != b.version or (a.value != b.value and not a.expires):
            differing.append(f"{place[0]} {place[1]}: {told(a)} against {told(b)}")
    return f"differ in {len(differing)} keys: " + "; ".join(differing[:3])


def told(record: Record | Accepted | None) -> str:
    if record is None:
        return "nothing"
    dead = record.tombstone if isinstance(record, Accepted) else record.value is None
    return f"{'tombstone' if dead else 'value'} {record.version} ({record.origin} #{record.sequence})"


def merge_of_its_vector(world: World, host: Host) -> Iterator[str]:
    """A node's state is exactly the merge of what its vector names: nothing lost, nothing brought back."""
    for scope in SCOPES:
        replica = host.engine.replicas[scope]
        if replica.applying is not None:
            continue
        region = host.region if scope == "region" else ""
        vector, table, names = replica.vector, replica.table, world.oracle.names
        for place, line in world.oracle.keys.items():
            if place[0] != region or not place[1].startswith(scope):
                continue
            due = next((one for one in line if names(vector, scope, one.origin, one.sequence)), None)
            held = table.get(place[1], place[2])
            if held is None:
                if due is not None and not _may_be_gone(due, line, replica, world):
                    yield f"{host.place} lost {place[1]} {place[2]}: its vector names {told(due)}, it holds nothing"
            elif due is None:
                yield f"{host.place} holds {place[1]} {place[2]} as {told(held)}, which its vector doesn't name"
            elif held.version != due.version:
                if held.value is None and due.tombstone and _may_be_gone(due, line, replica, world):
                    continue  # what was deleted, and forgotten, may be deleted again
                verb = "brought back" if due.tombstone and held.value is not None else "holds"
                yield f"{host.place} {verb} {place[1]} {place[2]}: {told(held)} where its vector names {told(due)}"


def _may_be_gone(due: Accepted, line: Iterable[Accepted], replica: Any, world: World) -> bool:
    """A tombstone, or what expired by some clock of the region, once the floor has passed it: by either origin where
    one version came by two (a register's record that was made again)."""
    ended = due.tombstone or (due.expires and due.expires <= max(map(world.latest_wall_ms, world.hosts)))
    copies = (one for one in line if one.version == due.version)
    return bool(ended) and any(replica.floor.vector.covers(one.origin, one.sequence) for one in copies)
