"""What most tests of real nodes do before and after their trouble."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.syncstore.real import judged
from tests.syncstore.real.cluster import Cluster
from tests.syncstore.real.load import Load, of_all

FAULTED, OTHER, THIRD = "sg", "eu", "us"
CALM_S = 5.0


async def calm() -> float:
    """Let the load run undisturbed for a while; the instant at which that ends."""
    await asyncio.sleep(CALM_S)
    return time.monotonic()


async def all_is_well(one: Cluster, going: dict[str, Load], **rules: bool) -> dict[str, dict[str, Any]]:
    """After the load has ended; node → its /status. rules: of `judged.kept`."""
    statuses = await judged.converged(one)
    await judged.kept(one, of_all(going), **rules)
    back = judged.going_back(of_all(going))
    assert not back, "\n".join(back[: judged.SHOWN])
    return statuses
