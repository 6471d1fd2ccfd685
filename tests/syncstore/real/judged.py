"""What must hold after a day's troubles: all nodes equal, nothing acknowledged lost, other regions undisturbed.

Owns the rules. Each raises AssertionError with what was found; none changes anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from lab.syncstore.client import Entry
from lab.syncstore.config import Limits
from lab.syncstore.record import GLOBAL, REGION
from lab.syncstore.version import NO_VERSION, Version, version_of
from tests.syncstore.real.cluster import Cluster, Node
from tests.syncstore.real.load import BUCKET, DEFINITE, INDEFINITE, OK, Load, Operation, shares

CONVERGED_S = 20.0
SLOWER, SLOWER_MS = 3.0, 25.0
"""Another region's p99 may rise to so many times what it was, or by so much: machines are noisy."""
TURNS = 4
"""Processes that must get their turn before a call is answered; each may wait for it as this one did."""
SYNCS = 2
"""A write waits for the sync that is under way, and for its own."""
SLOWEST_MS = 1500.0
"""No call of another region takes longer: what waits for a time-out of 2 s or more anywhere is found, however rare."""
DEGRADED = 0.03
"""Of another region's calls so many may be: a node that waits 50 ms for its turn on a busy machine says so.
Where the machine alone takes that long, nothing can be told from it."""
ENOUGH = 100
"""Calls in a stretch, below which its p99 says nothing."""
SHOWN = 12

Key = tuple[str, str, str]
"""region ("" for a global key), scope, key."""


# -- equal -----------------------------------------------------------------------------------------


async def converged(cluster: Cluster, patience_s: float = CONVERGED_S) -> dict[str, dict[str, Any]]:
    """Return once all nodes hold the same; node → its /status. Checks what must never be counted."""
    until_s = time.monotonic() + patience_s
    while True:
        statuses = {node.name: await node.status() for node in cluster.nodes}
        unlike = differences(cluster, statuses)
        if not unlike:
            break
        assert time.monotonic() < until_s, f"not equal after {patience_s:g} s: " + "; ".join(unlike)
        await asyncio.sleep(0.2)
    for name, status in statuses.items():
        assert status["bugs"] == 0, f"{name} met bugs of its own: {cluster[name].said[-2000:]}"
        assert status["counters"].get("divergence", 0) == 0, f"{name} found a divergence: {cluster[name].said[-2000:]}"
    return statuses


def differences(cluster: Cluster, statuses: dict[str, dict[str, Any]]) -> list[str]:
    """Sentences; none when all are equal, and ready."""
    found = [f"{name} is {status['phase']}" for name, status in statuses.items() if "engine" not in status]
    if found:
        return found
    digests = {name: _digests(status) for name, status in statuses.items()}
    found += _unlike({name: digest[GLOBAL] for name, digest in digests.items()}, GLOBAL)
    for region, nodes in cluster.regions.items():
        found += _unlike({node.name: digests[node.name][REGION] for node in nodes}, f"{region}'s own")
    return found


def _digests(status: dict[str, Any]) -> dict[str, str]:
    scopes = status["engine"]["scopes"]
    return {scope: f"{told['digest']} of {told['records'] - told['tombstones']}" for scope, told in scopes.items()}


def _unlike(digests: dict[str, str], what: str) -> list[str]:
    if len(set(digests.values())) == 1:
        return []
    return [f"{what}: " + ", ".join(f"{name} {digest}" for name, digest in digests.items())]


# -- kept ------------------------------------------------------------------------------------------


async def kept(
    cluster: Cluster, operations: Iterable[Operation], *, degraded_too: bool = True, repeats: bool = False
) -> None:
    """Every acknowledged write is there, on every node, or a later one is; nothing else is.

    degraded_too: also those that one node alone held. repeats: a put that was tried twice may have been
    applied after a later one of the same session.
    """
    by_key = sorted_by_key(operations)
    lost: list[str] = []
    for node in cluster.nodes:
        keys = [key for key in by_key if key[0] in ("", node.region)]
        for key, entry in zip(keys, await _read(node, keys), strict=True):
            why = wrong(entry, by_key[key], degraded_too=degraded_too, repeats=repeats)
            if why:
                lost.append(f"{node.name} {'/'.join(key)}: {why}")
    assert not lost, f"{len(lost)} wrong: " + "\n".join(lost[:SHOWN])


async def _read(node: Node, keys: list[Key]) -> list[Entry]:
    async with node.connect() as client:
        buckets = {scope: client.bucket(BUCKET, scope=scope, timeout=10) for scope in (GLOBAL, REGION)}
        return list(await asyncio.gather(*(buckets[scope].get(key) for _, scope, key in keys)))


def sorted_by_key(operations: Iterable[Operation]) -> dict[Key, list[Operation]]:
    """The writes."""
    found: dict[Key, list[Operation]] = {}
    for one in operations:
        if one.writes:
            found.setdefault((one.region if one.scope == REGION else "", one.scope, one.key), []).append(one)
    return found


def wrong(entry: Entry, writes: list[Operation], *, degraded_too: bool = True, repeats: bool = False) -> str:
    """Why this can't be what a node holds after these writes of one key; "" if it can."""
    best, latest = _latest(one for one in writes if one.result == OK and (degraded_too or not one.degraded))
    maybe = [one for one in writes if one.result == INDEFINITE or (one.result == OK and one.degraded)]
    if repeats:
        maybe += [one for one in writes if one.result == OK]
    if entry.value is None:
        if latest is None or latest.value is None or any(one.value is None for one in maybe):
            return ""
        return f"absent, though acknowledged: {latest}"
    version = version_of(entry.revision)
    written = [one for one in writes if one.value == entry.value]
    if latest is not None and version < best:
        return f"{entry.revision} is older than what was acknowledged: {latest}"
    if latest is not None and version == best:
        return "" if entry.value == latest.value else f"another value than was acknowledged: {latest}"
    if any(one in maybe or version_of(one.revision or "0.0.") == version for one in written):
        return ""
    if any(one.result == DEFINITE for one in written):
        return f"what certainly did not happen is there: {written[0]}"
    return f"{entry.value[:40]!r} at {entry.revision} is none that was written then; acknowledged last: {latest}"


def _latest(writes: Iterable[Operation]) -> tuple[Version, Operation | None]:
    done = [(version_of(one.revision), one) for one in writes]
    return max(done, key=lambda two: two[0]) if done else (NO_VERSION, None)


def going_back(operations: list[Operation]) -> list[str]:
    """Reads that showed an older version than a call of the same session had returned before they began."""
    found: list[str] = []
    by_key: dict[tuple[str, int, str, str], list[Operation]] = {}
    for one in operations:
        if one.result == OK and one.revision:
            by_key.setdefault((one.region, one.session, one.scope, one.key), []).append(one)
    for several in by_key.values():
        for one in several:
            if one.op == "get":
                before, shown = _latest(two for two in several if two.returned_s < one.called_s)
                if version_of(one.revision) < before:
                    found.append(f"{one} after {shown}")
    return found


# -- undisturbed -----------------------------------------------------------------------------------


def undisturbed(load: Load, began_s: float, ended_s: float) -> None:
    """In this stretch every call succeeded, hardly any was degraded, and all were about as fast as before it."""
    during = load.since(began_s, ended_s)
    bad = [one for one in during if one.result != OK]
    assert not bad, f"{load.region} noticed: {shares(during)}: " + "; ".join(map(str, bad[:SHOWN]))
    machine_ms, stall_ms = (_machine_ms(load, share, began_s, ended_s) for share in (0.99, 1.0))
    degraded = [one for one in during if one.degraded]
    before_ms, during_ms = p99_ms(load.since(0, began_s)), p99_ms(during)
    slowest = max(during, key=lambda one: one.took_ms)
    told = f"{load.region}'s p99: {before_ms:.1f} ms, then {during_ms:.1f} ms (the machine's: {machine_ms:.1f} ms)"
    told += f"; slowest: {slowest.took_ms:.1f} ms"
    print(f"{told}; {len(degraded)} of {len(during)} degraded")
    assert during_ms <= max(SLOWER * before_ms, before_ms + SLOWER_MS) + machine_ms, told
    assert slowest.took_ms <= SLOWEST_MS + stall_ms, f"{told}: {slowest}"
    when = ", ".join(f"{one.op} {one.key} at {one.called_s - began_s:.1f} s" for one in degraded[:SHOWN])
    few = len(degraded) <= DEGRADED * len(during) or machine_ms > Limits().degraded_after_ms
    assert few, f"{told}; {len(degraded)} of {len(during)} degraded: {when}"


def _machine_ms(load: Load, share: float, began_s: float, ended_s: float) -> float:
    """What the machine alone may have added to a call."""
    late_ms, sync_ms = (of(share, began_s, ended_s) for of in (load.witness.late_ms, load.witness.sync_ms))
    return TURNS * late_ms + SYNCS * sync_ms


def p99_ms(operations: list[Operation]) -> float:
    took = sorted(one.took_ms for one in operations if one.result)
    assert len(took) >= ENOUGH, f"expected at least {ENOUGH} calls to tell a p99, found {len(took)}"
    return took[int(len(took) * 0.99)]


def done(operations: list[Operation], share: float) -> None:
    """So much of it succeeded that it means something."""
    found = shares(operations)
    assert found[OK] >= share * max(ENOUGH, len(operations)), f"too little succeeded: {found}"
