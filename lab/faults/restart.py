"""Nodes ended, by force or politely, and started again on the disk they left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from signal import SIGKILL, SIGTERM
from typing import Literal

from lab.errors import DoesNotFit
from lab.faults import where
from lab.finish import to_the_end
from lab.protocols import Deployment, FaultContext, GoesLameDuck, Impairment, Runtime
from lab.topology import Link, Topology

ENDED_WITHIN_S = 10.0
LAME_DUCK_WITHIN_S = 60.0


@dataclass(frozen=True)
class RestartFault:
    """Every node of a whole `region`, or the `nodes` named, ends at once and is started again when
    the fault leaves; it has entered when the last one is gone.

    how: `kill` (SIGKILL, as a crash), `terminate` (SIGTERM, as a deployment), `lame_duck` (the
    backend first moves leaders and clients away, which may take longer than `for_s`).
    """

    region: str = ""
    nodes: tuple[str, ...] = ()
    how: Literal["kill", "terminate", "lame_duck"] = "kill"

    @property
    def targets(self) -> tuple[str, ...]:
        return where.regions(self.region, self.nodes)

    def check(self, context: FaultContext) -> None:
        where.known_nodes("restart", self.region, self.nodes, context)
        if self.how == "lame_duck" and not isinstance(context.backend, GoesLameDuck):
            raise DoesNotFit(
                f"fault restart: how: lame_duck needs a backend that knows it, {context.backend.name} does not; "
                "use terminate."
            )

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {}

    def harmed(self, topology: Topology) -> dict[str, str]:
        return dict.fromkeys(where.names(self.region, self.nodes, topology), "gone")

    @asynccontextmanager
    async def apply(self, deployment: Deployment, impairments: Mapping[Link, Impairment]) -> AsyncIterator[None]:
        nodes, runtime = list(self.harmed(deployment.topology)), deployment.runtime
        try:
            await asyncio.gather(*(self._end(deployment, node) for node in nodes))
            yield
        finally:
            await to_the_end(self._heal(runtime, nodes))

    async def _heal(self, runtime: Runtime, nodes: Sequence[str]) -> None:
        await asyncio.gather(*(runtime.restart(node) for node in nodes))

    async def _end(self, deployment: Deployment, node: str) -> None:
        backend = deployment.backend
        match self.how:
            case "kill":
                await deployment.runtime.stop(node, SIGKILL)
            case "lame_duck" if isinstance(backend, GoesLameDuck):
                await deployment.runtime.stop(node, backend.lame_duck_signal, LAME_DUCK_WITHIN_S)
            case _:
                await deployment.runtime.stop(node, SIGTERM, ENDED_WITHIN_S)
