"""Registers of real processes are linearizable while nodes die, stand still, lose their disks or are cut off.

Each test drives callers through rounds of one trouble, asserts that enough was done meanwhile, and has
Porcupine judge the whole history.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.syncstore.nodes import run
from tests.syncstore.real import disks, judged
from tests.syncstore.real.callers import History, calling, planted
from tests.syncstore.real.cluster import Cluster, Node, cluster

REGION = "sg"
Trouble = Callable[[Cluster, Node], Awaitable[None]]
"""One round of it, of which this node is the victim; all is mended when it returns."""
CALM_S = 1.5
HEARD_MS = 1000
FORGET_MS = 4000
"""Longer than any call may be retried (`callers.TIMEOUT_S`): that is what makes forgetting safe."""
ENOUGH_HZ = {"get": 5.0, "update": 1.0, "put": 1.0}
"""So many must succeed a second while there is trouble; without any it is several times as many."""


async def whole(node: Node, patience_s: float = 20) -> None:
    """Return when its votes count again."""
    await node.ready()
    until_s = time.monotonic() + patience_s
    while not (await node.status())["engine"]["registers"]["votes"]:
        assert time.monotonic() < until_s, f"{node.name} does not vote: {(await node.status())['engine']['registers']}"
        await asyncio.sleep(0.1)


async def linked(one: Cluster, patience_s: float = 20) -> None:
    """Return when each node hears all others of the region: the next victim must be the only one."""
    until_s = time.monotonic() + patience_s
    for node in one.nodes:
        while len(await _heard(node)) < len(one.nodes) - 1:
            assert time.monotonic() < until_s, f"{node.name} hears only {await _heard(node)}"
            await asyncio.sleep(0.1)


async def _heard(node: Node) -> set[str]:
    return {peer["node"] for peer in (await node.status())["engine"]["peers"] if peer["heard_ms_ago"] < HEARD_MS}


async def killed(one: Cluster, node: Node) -> None:
    node.kill()
    await asyncio.sleep(1)
    node.start()
    await whole(node)
    await linked(one)


async def all_killed(one: Cluster, node: Node) -> None:
    for each in one.nodes:
        each.kill()
    for each in one.nodes:
        each.start()
    for each in one.nodes:
        await whole(each)
    await linked(one)
    await asyncio.sleep(2)


async def paused(one: Cluster, node: Node) -> None:
    node.pause()
    await asyncio.sleep(2.5)
    node.go_on()
    await linked(one)


async def paused_shortly(one: Cluster, node: Node) -> None:
    """What it was asked before may have been tried elsewhere since."""
    for _ in range(3):
        node.pause()
        await asyncio.sleep(0.7)
        node.go_on()
        await asyncio.sleep(0.3)
    await linked(one)


async def blank(one: Cluster, node: Node) -> None:
    node.kill()
    disks.wipe(node)
    await asyncio.sleep(0.5)
    node.start()
    await whole(node)
    await linked(one)


async def restored(one: Cluster, node: Node) -> None:
    """Its disk is one of two seconds ago: it has forgotten votes that it gave."""
    copy = disks.keep_copy(node)
    await asyncio.sleep(2)
    node.kill()
    disks.put_back(node, copy)
    node.start()
    await whole(node)
    await linked(one)


async def blank_in_a_quorum(one: Cluster, node: Node) -> None:
    await _forgets_in_a_quorum(one, node, disks.wipe)


async def restored_in_a_quorum(one: Cluster, node: Node) -> None:
    copy = disks.keep_copy(node)
    await _forgets_in_a_quorum(one, node, lambda each: disks.put_back(each, copy))


async def _forgets_in_a_quorum(one: Cluster, node: Node, forget: Callable[[Node], None]) -> None:
    """It forgets what it and another node decided, and then hears only the third, who never knew of it: those
    two are a majority, and must not decide anything until the other is back."""
    knows, missed = (each for each in one.nodes if each is not node)
    for way in one.around(missed.name):
        way.stall()
    await asyncio.sleep(1)
    node.kill()
    forget(node)
    for way in one.around(knows.name):
        way.stall()
    for way in one.between(node.name, missed.name):
        way.through()
    node.start()
    await node.ready()
    await asyncio.sleep(1.5)
    for way in one.around(knows.name):
        way.through()
    await whole(node)
    await linked(one)
    await asyncio.sleep(1)


async def cut_off(one: Cluster, node: Node) -> None:
    for way in one.around(node.name):
        way.cut()
    await asyncio.sleep(2.5)
    for way in one.around(node.name):
        way.through()
    await linked(one)


async def stalled(one: Cluster, node: Node) -> None:
    """What is on its way when the partition begins arrives when it ends."""
    for way in one.around(node.name):
        way.stall()
    await asyncio.sleep(2.5)
    for way in one.around(node.name):
        way.through()
    await linked(one)


async def parted(one: Cluster, node: Node) -> None:
    """The two others lose each other, and both hear this one."""
    pair = [each.name for each in one.regions[REGION] if each is not node]
    for way in one.between(*pair):
        way.stall()
    await asyncio.sleep(2.5)
    for way in one.between(*pair):
        way.through()
    await linked(one)


TROUBLES: dict[str, Trouble] = {
    "kill": killed,
    "kill of all": all_killed,
    "pause": paused,
    "short pauses": paused_shortly,
    "lost disk": blank,
    "restored disk": restored,
    "lost disk in a quorum": blank_in_a_quorum,
    "restored disk in a quorum": restored_in_a_quorum,
    "cut off": cut_off,
    "stalled": stalled,
    "parted": parted,
}


async def forgotten(one: Cluster, patience_s: float = 30) -> None:
    """Return when some deleted register is forgotten, by those who run now."""
    until_s = time.monotonic() + patience_s
    while not any([(await node.status())["engine"]["registers"]["forgotten"] for node in one.nodes]):
        assert time.monotonic() < until_s, f"nothing that was deleted is forgotten after {patience_s:g} s"
        await asyncio.sleep(0.2)


async def rounds(one: Cluster, chosen: list[Trouble], seconds: float, *, forgets: bool = False) -> History:
    """One trouble after the other, each node the victim in turn. forgets: call on until registers are forgotten."""
    await one.ready()
    for node in one.nodes:
        await whole(node)
    async with calling(one, REGION) as history:
        await asyncio.sleep(CALM_S)
        began_s, number = time.monotonic(), 0
        while time.monotonic() < began_s + seconds:
            await chosen[number % len(chosen)](one, one.nodes[number % len(one.nodes)])
            number += 1
        ended_s = time.monotonic()
        if forgets:
            await forgotten(one)
        await asyncio.sleep(CALM_S)
    enough(history, began_s, ended_s, number)
    return history


def enough(history: History, began_s: float, ended_s: float, number: int) -> None:
    ok, seconds = history.ok(began_s, ended_s), ended_s - began_s
    print(f"{number} rounds in {seconds:.1f} s: {history.results()}; ok meanwhile: {ok}")
    for op, hz in ENOUGH_HZ.items():
        assert ok[op] >= hz * seconds, f"{ok} in {seconds:.1f} s of trouble; not done: {history.not_done[:5]}"


@pytest.mark.slow
@pytest.mark.parametrize("trouble", list(TROUBLES))
def test_linearizable_through(tmp_path: Path, trouble: str):
    async def work() -> History:
        history = await rounds(one, [TROUBLES[trouble]], 12)
        await judged.converged(one)
        return history

    with cluster(tmp_path, [REGION], ways="peers") as one:
        history = run(work(), 60)
    history.judged(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_linearizable_through_all_of_it(tmp_path: Path, seed: int):
    """What was deleted is forgotten after seconds, so that registers begin anew all the time."""
    chosen = list(TROUBLES.values())
    random.Random(seed).shuffle(chosen)

    async def work() -> History:
        history = await rounds(one, chosen, 30, forgets=True)
        await judged.converged(one)
        return history

    with cluster(tmp_path, [REGION], ways="peers", limits=f"register_forget_ms = {FORGET_MS}") as one:
        history = run(work(), 120)
    history.judged(tmp_path)


def test_linearizable_and_a_planted_stale_read_is_found(tmp_path: Path):
    """In seconds: one node is killed; then the same history with one read made stale."""

    async def work() -> History:
        return await rounds(one, [killed], 3)

    with cluster(tmp_path, [REGION]) as one:
        history = run(work(), 60)
    history.judged(tmp_path)
    with pytest.raises(AssertionError, match="not linearizable"):
        History(planted(history.lines)).judged(tmp_path)
