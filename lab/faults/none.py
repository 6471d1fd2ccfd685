"""The no-op: enters, harms nothing, leaves. Every other fault grew from a copy of this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lab.protocols import Deployment, FaultContext, Impairment
from lab.topology import Link


@dataclass(frozen=True)
class NoFault:
    """Nothing happens, but it is on the schedule and in the history."""

    @property
    def targets(self) -> tuple[str, ...]:
        return ()

    def check(self, context: FaultContext) -> None:
        """It fits everywhere."""

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        return {}

    @asynccontextmanager
    async def apply(self, deployment: Deployment, impairments: Mapping[Link, Impairment]) -> AsyncIterator[None]:
        yield
