"""Strangers at the ports, other regions that hang, ways that spoil what they carry, and a wrong clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lab.syncstore.client import Bucket, Timeout
from tests.syncstore.nodes import run
from tests.syncstore.real import judged
from tests.syncstore.real.cluster import PORTS, Cluster, Node, cluster
from tests.syncstore.real.load import BUCKET, OK, loads
from tests.syncstore.real.scene import FAULTED, OTHER, THIRD, all_is_well, calm
from tests.syncstore.real.strangers import Greedy, deaf, throw

pytestmark = pytest.mark.slow

HOUR_MS = 3_600_000
GROWTH_BYTES = 64 * 2**20
"""A node's memory may grow by so much while somebody reads nothing of what it has to say, or says nonsense."""
BIG_BYTES, BIG_KEYS = 100_000, 300


def memory_bytes(node: Node) -> int:
    return int(psutil.Process(node.pid).memory_info().rss)


async def write_much(node: Node) -> None:
    """More than sockets, credit and ring hold. What a busy disk takes too long for is as good as written."""
    async with node.connect() as client:
        bucket = client.bucket(BUCKET, timeout=20)
        for number in range(BIG_KEYS):
            with suppress(Timeout):
                await bucket.put(f"big/{number}", bytes(BIG_BYTES))


def test_garbage_on_every_port_of_every_node(tmp_path: Path):
    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            before = [memory_bytes(node) for node in one.nodes]
            thrown = [asyncio.ensure_future(throw(node, seed)) for seed, node in enumerate(one.nodes)]
            await asyncio.sleep(15)
            for task in thrown:
                task.cancel()
            grown = [memory_bytes(node) - was for node, was in zip(one.nodes, before, strict=True)]
            ended_s = time.monotonic()
            await asyncio.sleep(2)
        await all_is_well(one, going)
        for region in (FAULTED, OTHER):
            judged.undisturbed(going[region], began_s, ended_s)
        assert max(grown) < GROWTH_BYTES, grown

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


def test_a_region_that_accepts_and_never_reads(tmp_path: Path):
    """Where a whole region should be there are listeners that take every call and read nothing."""

    async def work() -> None:
        missing = one.regions.pop(THIRD)
        one.nodes = [node for node in one.nodes if node not in missing]
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            async with deaf([node.port + offset for node in missing for offset in range(PORTS)]) as came:
                await asyncio.sleep(12)
                assert came, "nobody dialled it"
            ended_s = time.monotonic()
        await all_is_well(one, going)
        for region in (FAULTED, OTHER):
            judged.undisturbed(going[region], began_s, ended_s)

    with cluster(tmp_path, [FAULTED, OTHER, THIRD]) as one:
        run(work(), 60)


def test_a_subscriber_that_never_reads(tmp_path: Path):
    """It asks for everything at every node, and takes nothing: a slow region costs a cursor, not memory."""

    async def work() -> None:
        await one.ready()
        greedy = [Greedy(node, OTHER, "eu-3") for node in one.regions[FAULTED]]
        before = [memory_bytes(node) for node in one.regions[FAULTED]]
        async with loads(one) as going:
            began_s = await calm()
            tasks = [asyncio.ensure_future(each.go()) for each in greedy]
            await write_much(one.regions[FAULTED][0])
            await asyncio.sleep(8)
            grown = [memory_bytes(node) - was for node, was in zip(one.regions[FAULTED], before, strict=True)]
            for task in tasks:
                task.cancel()
            ended_s = time.monotonic()
        assert all(each.came for each in greedy)
        await all_is_well(one, going)
        bad = [each for load in going.values() for each in load.since(began_s, ended_s) if each.result != OK]
        assert not bad, bad[: judged.SHOWN]
        assert max(grown) < GROWTH_BYTES + BIG_BYTES * BIG_KEYS, grown

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


async def ways_go_bad(one: Cluster, how: str) -> None:
    """All that leads to or from a region stalls, or spoils bytes; later all is well again."""
    await one.ready()
    async with loads(one) as going:
        began_s = await calm()
        ways = [way for node in one.regions[OTHER] for way in one.around(node.name)]
        for way in ways:
            getattr(way, how)()
        await asyncio.sleep(12)
        for way in ways:
            way.through()
        ended_s = time.monotonic()
        await asyncio.sleep(3)
    await all_is_well(one, going)
    for region in one.regions:
        judged.undisturbed(going[region], began_s, ended_s)


@pytest.mark.parametrize("how", ["cut", "stall", "garble"])
def test_ways_between_regions(tmp_path: Path, how: str):
    """Garbled, it is TLS that must notice: a frame alone can't tell a wrong bit from a right one."""
    with cluster(tmp_path, [FAULTED, OTHER], ways="regions", tls=how == "garble") as one:
        run(ways_go_bad(one, how), 60)


def test_a_clock_an_hour_ahead(tmp_path: Path):
    """It wins where its future was not seen, and whoever has seen it can overwrite it; nobody is held up."""

    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            for node in one.regions[OTHER]:
                node.kill()
                node.options = ("--clock-offset-ms", str(HOUR_MS))
                await node.restart()
            await asyncio.sleep(3)
            await overwritten(one)
            ended_s = time.monotonic()
        statuses = await all_is_well(one, going)
        judged.undisturbed(going[FAULTED], began_s, ended_s)
        assert any(statuses[node.name]["counters"].get("future_versions") for node in one.regions[FAULTED])

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


async def overwritten(one: Cluster) -> None:
    """The fast region writes, the other sees it and overwrites it, and that is what the fast one then sees."""
    async with one.connect(OTHER) as fast, one.connect(FAULTED) as right:
        there, here = fast.bucket(BUCKET), right.bucket(BUCKET)
        for number in range(20):
            key = f"future/{number}"
            await there.put(key, b"from the future")
            await holds(here, key, b"from the future")
            await here.put(key, b"from now")
            await holds(there, key, b"from now")


async def holds(bucket: Bucket, key: str, value: bytes) -> None:
    async with asyncio.timeout(10):
        while (await bucket.get(key)).value != value:
            await asyncio.sleep(0.02)
