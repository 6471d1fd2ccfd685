"""What SyncStore nodes say of themselves over HTTP."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp

from lab.protocols import Deployment

PATIENCE_S = 3.0
GLOBAL = "global"


class Told:
    """One session for all questions; silent nodes are left out of every answer."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S), trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def states(self, ours: Deployment) -> dict[str, dict[str, Any]]:
        """node → its global scope: vector, digest."""
        every = await self.statuses(ours)
        return {node: status["engine"]["scopes"][GLOBAL] for node, status in every.items() if "engine" in status}

    async def statuses(self, ours: Deployment) -> dict[str, dict[str, Any]]:
        nodes = ours.topology.nodes
        answers = await asyncio.gather(*(self._one(ours.addresses.at(node, "monitor"), "/status") for node in nodes))
        return {node.name: answer for node, answer in zip(nodes, answers, strict=True) if answer is not None}

    async def ready(self, address: str) -> bool:
        try:
            async with self._session.get(f"http://{address}/readyz") as response:
                return response.status == 200
        except (TimeoutError, aiohttp.ClientError, OSError):
            return False

    async def _one(self, address: str, path: str) -> dict[str, Any] | None:
        try:
            async with self._session.get(f"http://{address}{path}") as response:
                answer: dict[str, Any] = await response.json(content_type=None)
                return answer
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None
