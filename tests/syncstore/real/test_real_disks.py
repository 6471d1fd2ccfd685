"""What befalls the disk of one node: nothing acknowledged is lost, and the node says what is wrong with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.syncstore.client import Storage
from lab.syncstore.node.serve import REFUSED
from tests.syncstore.nodes import run
from tests.syncstore.real import disks, judged
from tests.syncstore.real.cluster import Cluster, Node, cluster
from tests.syncstore.real.load import BUCKET, loads
from tests.syncstore.real.scene import FAULTED, OTHER, all_is_well, calm

pytestmark = pytest.mark.slow

VICTIM = "sg-2"
DISK_MIB = 24


async def restarted_with_other_disks(one: Cluster, *changes: Callable[[Node], None]) -> None:
    """Under load, for each change the victim is killed, its disk changed, and it starts again."""
    node = one[VICTIM]
    await one.ready()
    async with loads(one) as going:
        began_s = await calm()
        for change in changes:
            node.kill()
            change(node)
            await asyncio.sleep(1)
            await node.restart()
            await asyncio.sleep(3)
        ended_s = time.monotonic()
    await all_is_well(one, going)
    judged.undisturbed(going[OTHER], began_s, ended_s)
    judged.done(going[FAULTED].since(began_s, ended_s), 0.98)


def test_torn_tail(tmp_path: Path):
    """What was torn off had been acknowledged: its peers hold it."""
    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        work = restarted_with_other_disks(
            one,
            lambda node: disks.tear(node, cut_bytes=7, rubbish_bytes=0),
            lambda node: disks.tear(node, cut_bytes=0, rubbish_bytes=1000),
            lambda node: disks.tear(node, cut_bytes=150, rubbish_bytes=5000),
            lambda node: disks.tear(node, cut_bytes=100_000, rubbish_bytes=0),
        )
        run(work, 80)


def test_lost_disk(tmp_path: Path):
    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(restarted_with_other_disks(one, disks.wipe), 60)


def test_corrupt_middle_is_refused_and_rebuilt(tmp_path: Path):
    async def refused(node: Node) -> None:
        """It tells what is damaged, where, and what to do; it does not begin with what it could read."""
        node.start()
        code = await asyncio.to_thread(node.ended)
        assert code == REFUSED, node.said[-2000:]
        last = node.said.strip().splitlines()[-1]
        assert all(word in last for word in ("damaged at offset", "log-", "--rebuild")), last

    async def work() -> None:
        node = one[VICTIM]
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            node.kill()
            disks.damage(disks.segments(node)[-1], 0.5)
            await refused(node)
            await refused(node)
            await node.restart("--rebuild")
            assert list(node.data.glob("set-aside-*/log-*")), "what was damaged is kept"
            await asyncio.sleep(2)
            node.kill()
            await node.restart()
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.98)

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


@pytest.mark.parametrize("kind", ["killed", "stopped"])
def test_restored_old_disk(tmp_path: Path, kind: str):
    """What it wrote since is held by its peers, and its old numbers are not given out twice."""

    async def work() -> None:
        node = one[VICTIM]
        end = node.kill if kind == "killed" else node.stop
        await one.ready()
        async with loads(one) as going:
            await asyncio.sleep(3)
            end()
            copy = disks.keep_copy(node)
            await node.restart()
            began_s = await calm()
            end()
            disks.put_back(node, copy)
            await node.restart()
            await asyncio.sleep(4)
            ended_s = time.monotonic()
        statuses = await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.98)
        assert statuses[VICTIM]["counters"]["restored_disk"], "an operator should hear of it"

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


def test_copy_of_a_running_disk_put_back(tmp_path: Path):
    """The old disk knows the very incarnation whose later writes its peers hold."""

    async def work() -> None:
        node = one[VICTIM]
        await one.ready()
        async with loads(one) as going:
            await asyncio.sleep(2)
            copy = disks.keep_copy(node)
            began_s = await calm()
            node.kill()
            disks.put_back(node, copy)
            await node.restart()
            await asyncio.sleep(4)
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.98)

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


def test_full_disk(tmp_path: Path):
    """Its writes fail cleanly, or go to another node; it goes on reading and receiving; then all is well."""

    async def work(small: disks.Small) -> None:
        node = one[VICTIM]
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            small.fill()
            await asyncio.sleep(4)
            await refuses_writes_and_reads_on(node)
            small.free()
            freed_s = time.monotonic()
            await asyncio.sleep(4)
            await takes_writes(node)
            node.kill()
            await node.restart()
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, freed_s), 0.98)

    with cluster(tmp_path, [FAULTED, OTHER]) as one, disks.small_disk(one[VICTIM], DISK_MIB) as small:
        run(work(small), 60)


async def refuses_writes_and_reads_on(node: Node) -> None:
    async with node.connect() as client:
        bucket = client.bucket(BUCKET, timeout=5)
        for number in range(20):
            with pytest.raises(Storage):
                await bucket.put(f"refused/{number}", b"x")
            assert (await bucket.get(f"refused/{number}")).value is None
    status = await node.status()
    assert status["log"]["failing"] and status["engine"]["alarms"], status["log"]


async def takes_writes(node: Node) -> None:
    async with node.connect() as client:
        bucket = client.bucket(BUCKET, timeout=5)
        await bucket.put("again", b"x")
        assert (await bucket.get("again")).value == b"x"
    assert not (await node.status())["log"]["failing"]
