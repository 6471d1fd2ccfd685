"""Moving leaders where an experiment wants them, by asking them to step down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

import nats.errors
from nats.aio.client import Client as Connection

from lab.backends.jetstream.monitoring import JSZ, Monitor, majority, streams
from lab.clock import NS_PER_S, now_ns
from lab.errors import NodeNotReady

WITHIN_S = 60.0
SETTLE_S = 0.5


async def place(
    monitor: Monitor,
    system: Connection,
    user: Connection,
    wanted: Mapping[str, Sequence[str]],
    nodes: Mapping[str, Sequence[str]],
) -> None:
    """Ask until every subject's leader is in one of its wanted regions, twice in a row.

    nodes: region → its nodes. Raises NodeNotReady after a minute, naming what stayed elsewhere.
    """
    deadline_ns = now_ns() + int(WITHIN_S * NS_PER_S)
    agreed = 0
    while now_ns() < deadline_ns:
        jsz = await monitor.all(JSZ)
        leaders = majority(jsz)
        misplaced = {
            subject: regions
            for subject, regions in wanted.items()
            if leaders.get(subject, "").rpartition("-")[0] not in regions
        }
        agreed = 0 if misplaced else agreed + 1
        if agreed == 2:
            return
        for subject, regions in misplaced.items():
            if leaders.get(subject):
                candidates = [node for region in regions for node in nodes[region]]
                await _step_down(subject, system if subject == "meta" else user, candidates, jsz)
        await asyncio.sleep(SETTLE_S)
    where = ", ".join(f"{s} led by {leaders.get(s) or 'nobody'}, wanted in {'/'.join(r)}" for s, r in misplaced.items())
    raise NodeNotReady(f"leaders are not where the experiment wants them after {WITHIN_S:g} s: {where}.")


async def _step_down(
    subject: str, connection: Connection, candidates: Sequence[str], jsz: Mapping[str, Mapping[str, object]]
) -> None:
    """One request. 2.11+ takes a preferred successor; older servers draw one, so we ask again."""
    request = f"$JS.API.{'META' if subject == 'meta' else 'STREAM'}.LEADER.STEPDOWN"
    if subject != "meta":
        request += f".KV_{subject}"
    for node in _peers(subject, candidates, jsz):
        body = json.dumps({"placement": {"preferred": node}}).encode()
        for payload in (body, b""):
            try:
                answer = json.loads((await connection.request(request, payload, timeout=3)).data)
            except (TimeoutError, nats.errors.Error):
                return
            if "error" not in answer:
                return


def _peers(subject: str, candidates: Sequence[str], jsz: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Candidates that hold a replica of the subject; for `meta` all of them do."""
    if subject == "meta":
        return list(candidates)[:1]
    return [node for node in candidates if f"KV_{subject}" in streams(jsz.get(node, {}))][:1] or list(candidates)[:1]
