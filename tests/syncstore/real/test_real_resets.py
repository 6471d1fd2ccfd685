"""Who has missed that deletes were forgotten comes back by a reset, while everybody writes.

Deletes are forgotten after a second here, not after ten minutes, so that it happens at all.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.syncstore.nodes import run
from tests.syncstore.real import disks, judged
from tests.syncstore.real.cluster import Cluster, Node, cluster
from tests.syncstore.real.load import loads
from tests.syncstore.real.scene import FAULTED, OTHER, all_is_well, calm

pytestmark = pytest.mark.slow

FORGETFUL = "tombstone_age_ms = 1000"
DELETED = 50


async def deleted_and_forgotten(one: Cluster, region: str, prefix: str) -> None:
    """Keys are written, deleted, and their tombstones dropped everywhere but in regions that are evicted."""
    async with one.connect(region) as client:
        bucket = client.bucket("forgotten", timeout=10)
        dropped = [await _dropped(node) for node in one.regions[region]]
        await asyncio.gather(*(bucket.put(f"{prefix}/{n}", b"x") for n in range(DELETED)))
        await asyncio.gather(*(bucket.delete(f"{prefix}/{n}") for n in range(DELETED)))
        async with asyncio.timeout(20):
            for node, before in zip(one.regions[region], dropped, strict=True):
                while await _kept(node) > DELETED // 2 or await _dropped(node) < before + DELETED:
                    await asyncio.sleep(0.1)


async def _dropped(node: Node) -> int:
    return int((await node.status())["counters"].get("tombstones_dropped", 0))


async def _kept(node: Node) -> int:
    return int((await node.status())["engine"]["scopes"]["global"]["tombstones"])


async def absent(one: Cluster, prefix: str) -> None:
    """No node shows what was deleted."""
    for node in one.nodes:
        async with node.connect() as client:
            assert await client.bucket("forgotten").keys(f"{prefix}/") == [], f"{node.name}: what was deleted is back"


def resets(statuses: dict[str, dict], *names: str) -> int:
    return sum(statuses[name]["counters"].get("resets_taken", 0) for name in names)


def test_restored_disk_from_before_deletes_were_forgotten(tmp_path: Path):
    async def work() -> None:
        node = one["sg-2"]
        await one.ready()
        async with loads(one) as going:
            async with one.connect(FAULTED) as client:
                await asyncio.gather(*(client.bucket("forgotten").put(f"old/{n}", b"x") for n in range(DELETED)))
            await asyncio.sleep(2)
            copy = disks.keep_copy(node)
            began_s = await calm()
            await deleted_and_forgotten(one, FAULTED, "old")
            node.kill()
            disks.put_back(node, copy)
            await node.restart()
            await asyncio.sleep(4)
            ended_s = time.monotonic()
        statuses = await all_is_well(one, going)
        await absent(one, "old")
        assert resets(statuses, "sg-2"), statuses["sg-2"]["counters"]
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.98)

    with cluster(tmp_path, [FAULTED, OTHER], limits=FORGETFUL) as one:
        run(work(), 60)


def test_evicted_region_comes_back(tmp_path: Path):
    """Cut off, it goes on writing; evicted, it holds nothing up; then it is reset, and what it wrote is there."""

    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            async with one.connect(OTHER) as client:
                await asyncio.gather(*(client.bucket("forgotten").put(f"old/{n}", b"x") for n in range(DELETED)))
            began_s = await calm()
            ways = [way for node in one.regions[OTHER] for way in one.around(node.name)]
            for way in ways:
                way.cut()
            await asyncio.sleep(1)
            async with one.connect(FAULTED) as client:
                await client.evict(OTHER)
            await deleted_and_forgotten(one, FAULTED, "old")
            for way in ways:
                way.through()
            await asyncio.sleep(6)
            async with one.connect(FAULTED) as client:
                await client.serve(OTHER)
            await asyncio.sleep(2)
            ended_s = time.monotonic()
        statuses = await all_is_well(one, going, repeats=True)
        await absent(one, "old")
        assert resets(statuses, *(node.name for node in one.regions[OTHER])), statuses
        assert not any(status["counters"].get("forced_conflict") for status in statuses.values())
        judged.undisturbed(going[FAULTED], began_s, ended_s)
        judged.done(going[OTHER].since(began_s, ended_s), 0.95)

    with cluster(tmp_path, [FAULTED, OTHER], ways="regions", limits=FORGETFUL) as one:
        run(work(), 60)
