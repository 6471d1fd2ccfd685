"""One node of three is killed and comes back, in seconds: that the harness of the slow tests works."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.syncstore.nodes import run
from tests.syncstore.real import judged
from tests.syncstore.real.cluster import cluster
from tests.syncstore.real.load import loads, of_all


def test_a_node_is_killed_under_load_and_comes_back(tmp_path: Path):
    async def work() -> None:
        await one.ready()
        async with loads(one, 100) as going:
            await asyncio.sleep(1)
            began_s = time.monotonic()
            one["sg-2"].kill()
            await asyncio.sleep(1)
            meanwhile = going["sg"].since(began_s)
            await asyncio.sleep(2)
            judged.done(meanwhile, 0.95)
            await one["sg-2"].restart()
            await asyncio.sleep(0.5)
        await judged.converged(one)
        await judged.kept(one, of_all(going))
        assert not judged.going_back(going["sg"].operations)

    with cluster(tmp_path, ["sg"]) as one:
        run(work(), 60)


def test_cluster_end_kills_whatever_state_a_node_is_in(tmp_path: Path):
    async def work() -> None:
        await one.ready()
        one["sg-1"].pause()

    with cluster(tmp_path, ["sg"], nodes=2) as one:
        run(work(), 60)
    assert not any(node.runs for node in one.nodes)
