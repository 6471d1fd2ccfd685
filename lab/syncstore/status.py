"""What a node tells of itself: peers, gaps, alarms. Values only; JSON and Prometheus are others' work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.syncstore.core import Core
from lab.syncstore.links import CLIENT, Link
from lab.syncstore.record import SCOPES
from lab.syncstore.vector import Vector

if TYPE_CHECKING:
    from lab.syncstore.requests import Requests

TOMBSTONE_SHARE = 0.2
"""More tombstones than this share of the records is an alarm."""


def gap(ahead: Vector, behind: Vector) -> int:
    """How many writes `behind` lacks of what `ahead` holds."""
    return sum(max(0, ahead.entries[one] - max(behind.get(one), 0)) for one in ahead.beyond(behind))


def status_of(core: Core, requests: Requests) -> dict[str, Any]:
    return {
        "cluster": core.config.cluster,
        "region": core.config.region,
        "node": core.config.node,
        "incarnation": core.incarnation,
        "ready": core.ready,
        "storage": core.storage,
        "regions": {region: core.state_of(region) for region in core.config.members},
        "hears": sorted(core.hearing()),
        "peers": [_peer(core, link) for link in core.links.values() if link.purpose != CLIENT],
        "clients": sum(link.purpose == CLIENT for link in core.links.values()),
        "scopes": {scope: _scope(core, scope) for scope in SCOPES},
        "watches": len(core.watches),
        "waiting_reads": len(requests.readers),
        "counters": dict(core.counters),
        "alarms": alarms(core),
    }


def _peer(core: Core, link: Link) -> dict[str, Any]:
    gaps = {scope: gap(core.replicas[scope].vector, stated) for scope, stated in link.stated.items()}
    return {
        "region": link.region,
        "node": link.node,
        "purpose": link.purpose,
        "dialled": bool(link.dialled),
        "behind_us": gaps,
        "ahead_of_us": {scope: gap(stated, core.replicas[scope].vector) for scope, stated in link.stated.items()},
        "heard_ms_ago": round(core.now.mono_ms - link.heard_ms),
        "credit_bytes": link.credit,
        "inbox_bytes": link.inbox_bytes,
        "unsent_bytes": core.outlet.unsent(link.number),
    }


def _scope(core: Core, scope: str) -> dict[str, Any]:
    replica = core.replicas[scope]
    return {
        "records": replica.table.count,
        "tombstones": replica.table.tombstones,
        "digest": f"{replica.table.digest.whole():016x}",
        "vector": dict(replica.vector.entries),
        "durable": dict(replica.durable.entries),
        "closed": dict(replica.vector.closed),
        "ring_bytes": replica.ring.size,
        "applying": replica.applying is not None,
    }


def alarms(core: Core) -> list[str]:
    """Sentences an operator should see."""
    found = []
    if core.storage:
        found.append(f"the disk takes no writes: {core.storage}")
    for name, sentence in _COUNTED.items():
        if core.counters[name]:
            found.append(f"{sentence} ({core.counters[name]})")
    for scope, replica in core.replicas.items():
        table = replica.table
        if table.tombstones > 1000 and table.tombstones > TOMBSTONE_SHARE * table.count:
            found.append(
                f"{table.tombstones} of {table.count} {scope} records are tombstones; {_holding_up(core, scope)}"
            )
        oldest = replica.tombstones.oldest(table) if table.tombstones else None
        if oldest is not None and core.now.wall_ms - oldest.time > core.config.limits.old_tombstone_ms:
            found.append(f"a {scope} tombstone is older than a day; {_holding_up(core, scope)}")
    return found


_COUNTED = {
    "divergence": "nodes that should hold the same did not",
    "future_versions": "records came with a time far ahead of this node's clock",
    "restored_disk": "others knew writes of this node that it did not",
    "forced_conflict": "two sides had each forgotten deletes that the other never saw",
    "members_differ": "a node was told other members",
    "superseded": "registers were overwritten by another region's later value",
}


def _holding_up(core: Core, scope: str) -> str:
    replica = core.replicas[scope]
    oldest = replica.tombstones.oldest(replica.table)
    slow = []
    for region in core.counted(scope):
        report = core.reports[scope].get(region)
        if report is None or (oldest is not None and not report.low.covers(oldest.origin, oldest.sequence)):
            slow.append(region)
    return f"held up by {', '.join(slow)}" if slow else "none is held up by a region"
