"""Nodes frozen in mid-step and thawed again: their connections stay open, and time goes on without them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lab.faults import where
from lab.finish import to_the_end
from lab.protocols import Deployment, FaultContext, Impairment, Runtime
from lab.topology import Link, Topology


@dataclass(frozen=True)
class PauseFault:
    """The processes of a whole `region`, or of the `nodes` named, are stopped (SIGSTOP), then continued."""

    region: str = ""
    nodes: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        return where.regions(self.region, self.nodes)

    def check(self, context: FaultContext) -> None:
        where.known_nodes("pause", self.region, self.nodes, context)

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {}

    def harmed(self, topology: Topology) -> dict[str, str]:
        return dict.fromkeys(where.names(self.region, self.nodes, topology), "paused")

    @asynccontextmanager
    async def apply(self, deployment: Deployment, impairments: Mapping[Link, Impairment]) -> AsyncIterator[None]:
        nodes, runtime = list(self.harmed(deployment.topology)), deployment.runtime
        try:
            await asyncio.gather(*(runtime.pause(node) for node in nodes))
            yield
        finally:
            await to_the_end(self._heal(runtime, nodes))

    async def _heal(self, runtime: Runtime, nodes: Sequence[str]) -> None:
        await asyncio.gather(*(runtime.resume(node) for node in nodes))
