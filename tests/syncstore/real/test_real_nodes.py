"""Nodes of one region die or stand still while all regions work: nothing is lost, others notice nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.syncstore.nodes import run
from tests.syncstore.real import judged
from tests.syncstore.real.cluster import cluster
from tests.syncstore.real.load import OK, loads
from tests.syncstore.real.scene import FAULTED, OTHER, THIRD, all_is_well, calm

pytestmark = pytest.mark.slow

BURST = 3000


def test_kill_of_each_node(tmp_path: Path):
    """One after the other, each away for seconds."""

    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            for node in one.regions[FAULTED]:
                node.kill()
                await asyncio.sleep(4)
                await node.restart()
                await asyncio.sleep(2)
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.99)

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 80)


def test_kills_in_turn_without_a_rest(tmp_path: Path):
    """Each is killed as soon as the one before is ready."""

    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            for node in one.regions[FAULTED] * 2:
                node.kill()
                await asyncio.sleep(1)
                await node.restart()
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.95)

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


def test_pause_of_30_s(tmp_path: Path):
    """One node of a region, and all of another; the third region notices nothing."""

    async def work() -> None:
        await one.ready()
        standing = [one["sg-1"], *one.regions[THIRD]]
        async with loads(one, 100) as going:
            began_s = await calm()
            for node in standing:
                node.pause()
            await asyncio.sleep(30)
            resumed_s = time.monotonic()
            for node in standing:
                node.go_on()
            await asyncio.sleep(5)
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.98)
        judged.done(going[THIRD].since(resumed_s + 2, ended_s), 0.9)

    with cluster(tmp_path, [FAULTED, OTHER, THIRD]) as one:
        run(work(), 80)


def test_short_pauses(tmp_path: Path):
    """Too short for anybody to hang up: what was asked meanwhile is answered late, or elsewhere."""

    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            began_s = await calm()
            for node in one.regions[FAULTED] * 3:
                node.pause()
                await asyncio.sleep(0.8)
                node.go_on()
                await asyncio.sleep(0.5)
            ended_s = time.monotonic()
        await all_is_well(one, going)
        judged.undisturbed(going[OTHER], began_s, ended_s)
        judged.done(going[FAULTED].since(began_s, ended_s), 0.98)

    with cluster(tmp_path, [FAULTED, OTHER]) as one:
        run(work(), 60)


def test_kill_of_a_whole_region(tmp_path: Path):
    async def work() -> None:
        await one.ready()
        async with loads(one, 100) as going:
            began_s = await calm()
            for node in one.regions[FAULTED]:
                node.kill()
            await asyncio.sleep(5)
            for node in one.regions[FAULTED]:
                node.start()
            for node in one.regions[FAULTED]:
                await node.ready()
            back_s = time.monotonic()
            await asyncio.sleep(6)
            ended_s = time.monotonic()
        await all_is_well(one, going, degraded_too=False)
        for region in (OTHER, THIRD):
            judged.undisturbed(going[region], began_s, ended_s)
        judged.done(going[FAULTED].since(back_s + 2, ended_s), 0.8)

    with cluster(tmp_path, [FAULTED, OTHER, THIRD]) as one:
        run(work(), 60)


@pytest.mark.parametrize("victims", [["sg-2"], ["sg-1", "sg-2", "sg-3"]], ids=["node", "region"])
def test_kill_in_a_burst(tmp_path: Path, victims: list[str]):
    """While thousands of writes wait for disks and peers: what was acknowledged was really held."""

    async def work() -> None:
        await one.ready()
        async with loads(one, 50) as going:
            await asyncio.sleep(1)
            for patience_s in (0.02, 0.05, 0.1, 0.2):
                going[FAULTED].burst(BURST)
                await asyncio.sleep(patience_s)
                for name in victims:
                    one[name].kill()
                for name in reversed(victims):
                    one[name].start()
                for name in victims:
                    await one[name].ready()
                await asyncio.sleep(1)
        await all_is_well(one, going, degraded_too=len(victims) == 1)
        assert sum(each.result == OK for each in going[FAULTED].operations) >= BURST / 2

    with cluster(tmp_path, [FAULTED]) as one:
        run(work(), 60)


def test_partition_inside_a_region(tmp_path: Path):
    """A node that hears no peer any more takes over clients who have seen what it lacks: they never go back."""

    async def work() -> None:
        await one.ready()
        async with loads(one) as going:
            await calm()
            for way in one.around("sg-3"):
                way.stall()
            await asyncio.sleep(2)
            one["sg-2"].kill()
            await asyncio.sleep(2)
            for way in one.around("sg-3"):
                way.through()
            await one["sg-2"].restart()
            await asyncio.sleep(2)
            one["sg-1"].kill()
            await asyncio.sleep(1)
            await one["sg-1"].restart()
            await asyncio.sleep(2)
        await all_is_well(one, going)

    with cluster(tmp_path, [FAULTED], ways="peers") as one:
        run(work(), 60)
