"""Reading nats-server's monitoring endpoints: who leads, who is current, who is connected.

Every server is asked, because in a partition each has its own opinion; a server that doesn't
answer is absent, never a guess.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import aiohttp

from lab.clock import now_ns
from lab.events import Sample

PATIENCE_S = 1.5
JSZ = "/jsz?accounts=1&streams=1"


class Monitor:
    """The monitoring ports of all servers. urls: node → URL; regions: node → region."""

    def __init__(self, urls: Mapping[str, str], regions: Mapping[str, str]) -> None:
        self._urls, self._regions = urls, regions
        self._session: aiohttp.ClientSession | None = None

    async def all(self, path: str) -> dict[str, dict[str, Any]]:
        """node → the JSON it answers to `path`; silent nodes are left out."""
        answers = await asyncio.gather(*(self._one(url + path) for url in self._urls.values()))
        return {node: answer for node, answer in zip(self._urls, answers, strict=True) if answer is not None}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _one(self, url: str) -> dict[str, Any] | None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        try:
            async with self._session.get(url) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
                return answer
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None

    async def samples(self) -> list[Sample]:
        """One reading: every server's opinion on leaders, and the messages it has handled."""
        at_ns = now_ns()
        jsz, varz = await asyncio.gather(self.all(JSZ), self.all("/varz"))
        leaders = [
            Sample(at_ns=at_ns, node=node, region=self._regions[node], name="leader", subject=subject, text=text)
            for node, answer in jsz.items()
            for subject, text in opinions(answer).items()
        ]
        messages = [
            Sample(
                at_ns=at_ns,
                node=node,
                region=self._regions[node],
                name="messages_total",
                number=float(answer.get("in_msgs", 0)),
            )
            for node, answer in varz.items()
        ]
        return leaders + messages

    async def connections(self) -> dict[tuple[str, str], int]:
        """(node, peer) → connections. 2.9 tells peers by server id only, so ids are mapped."""
        varz, routez = await asyncio.gather(self.all("/varz"), self.all("/routez"))
        names = {answer["server_id"]: node for node, answer in varz.items()}
        found: Counter[tuple[str, str]] = Counter()
        for node, answer in routez.items():
            for route in answer.get("routes") or []:
                peer = route.get("remote_name") or names.get(route["remote_id"], route["remote_id"])
                found[node, peer] += 1
        return dict(found)


def opinions(jsz: Mapping[str, Any]) -> dict[str, str]:
    """`meta` and each bucket → the node this server takes for its leader, "" for none."""
    meta = jsz.get("meta_cluster") or {}
    return {"meta": meta.get("leader", "")} | {
        name.removeprefix("KV_"): (stream.get("cluster") or {}).get("leader", "")
        for name, stream in streams(jsz).items()
    }


def streams(jsz: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Stream name → its detail as this server tells it."""
    return {
        stream["name"]: stream
        for account in jsz.get("account_details") or []
        for stream in account.get("stream_detail") or []
    }


def majority(jsz: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """`meta` and each bucket → the leader most servers name."""
    votes: dict[str, Counter[str]] = {}
    for answer in jsz.values():
        for subject, leader in opinions(answer).items():
            votes.setdefault(subject, Counter())[leader] += 1
    return {subject: count.most_common(1)[0][0] for subject, count in votes.items()}


def unsettled(jsz: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What keeps the group from being at rest, as its leaders see it; empty when nothing does.

    Only leaders know how far their replicas are, so one that doesn't answer leaves it open.
    """
    if not jsz:
        return ["no server answers"]
    found = []
    for node, answer in jsz.items():
        meta = answer.get("meta_cluster") or {}
        groups = {"meta": meta} | {n: s.get("cluster") or {} for n, s in streams(answer).items()}
        for name, group in groups.items():
            if group.get("leader") != node:
                continue
            for replica in group.get("replicas") or []:
                if replica.get("offline") or not replica.get("current") or replica.get("lag"):
                    found.append(f"{name}: {replica.get('name')} is not current")
    leaders = majority(jsz)
    return found + [
        f"{subject}'s leader {leader} does not answer" if leader else f"{subject} has no leader"
        for subject, leader in leaders.items()
        if leader not in jsz
    ]
