"""Row 3: a put in the own region while both others are dead, while they are gray, while one floods.

Steady and harmed windows take turns, and all regions have caught up before the next begins. The flood's control
is a second store, unconnected to the first, that is flooded in the same way: it burns the same CPU and writes the
same to the disk, which regions of their own would not share.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from signal import SIGKILL

from lab.bench import clients
from lab.bench.equal import equal
from lab.bench.flood import flooding
from lab.bench.lines import Line, against, alone
from lab.bench.load import Put, Window, keys, paced_for
from lab.bench.processes import cpu_s
from lab.bench.rows.one_region import blemishes
from lab.bench.sizes import Sizes
from lab.bench.stage import Stage, staged, syncstore, three
from lab.bench.told import Told
from lab.protocols import Deployment, Latency

ROW, HOME, KEYS = 3, "us", 10_000
ABOUT = "The same local put while other regions are unwell"
GRAY_MS = 1500.0
WITHIN, OR_MS = 0.10, 2.0
OURS, TWIN, APART = "syncstore", "twin", "2"


async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    found: list[Line] = []
    async with staged(directory / "a", syncstore(OURS, three())) as stage:
        ours = stage.deployments[OURS]
        async with clients.syncstore(ours, HOME) as client:
            put = client.bucket(clients.BUCKET).put
            await _window(put, sizes)  # warms up
            for name, harm in (("dead", _dead), ("gray", _gray)):
                found += await _paired(name, put, harm, ours, sizes, say)
    async with (
        staged(directory / "b", syncstore(OURS, three()), syncstore(TWIN, three(APART))) as stage,
        clients.syncstore(stage.deployments[OURS], HOME) as client,
    ):
        found += await _flooded(stage, client.bucket(clients.BUCKET).put, sizes, say)
    return found


async def _paired(
    name: str,
    put: Put,
    harm: Callable[[Deployment], AbstractAsyncContextManager[None]],
    ours: Deployment,
    sizes: Sizes,
    say: Callable[[str], None],
) -> list[Line]:
    steady, harmed = list[Window](), list[Window]()
    for turn in range(sizes.pairs):
        say(f"others {name}: pair {turn + 1} of {sizes.pairs}")
        steady.append(await _window(put, sizes))
        async with harm(ours):
            harmed.append(await _window(put, sizes))
        await _at_rest(sizes, ours)
    return lines(f"both others {name}", harmed, steady, "steady")


@asynccontextmanager
async def _dead(ours: Deployment) -> AsyncIterator[None]:
    """Measured from the moment of their death; started again from their disks."""
    others = [node.name for node in ours.topology.nodes if node.region != HOME]
    try:
        await asyncio.gather(*(ours.runtime.stop(name, SIGKILL) for name in others))
        yield
    finally:
        await asyncio.gather(*(ours.runtime.restart(name) for name in others))


@asynccontextmanager
async def _gray(ours: Deployment) -> AsyncIterator[None]:
    """Both alive, and everything to, from and between them that much later."""
    async with ours.network.harm({link: Latency(GRAY_MS) for link in ours.topology.links}):
        yield


async def _flooded(stage: Stage, put: Put, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    """Which of a pair comes first alternates: the later one meets larger tables."""
    ours, twin = stage.deployments[OURS], stage.deployments[TWIN]
    targets = {OURS: clients.urls(ours, "eu"), TWIN: clients.urls(twin, f"eu{APART}")}
    windows: dict[str, list[Window]] = {OURS: [], TWIN: []}
    burnt: dict[str, list[float]] = {OURS: [], TWIN: []}
    for turn in range(sizes.pairs):
        for name in (OURS, TWIN) if turn % 2 else (TWIN, OURS):
            say(f"flood of {name}: pair {turn + 1} of {sizes.pairs}")
            before = _used(stage)
            async with flooding(targets[name]) as flooder:
                await asyncio.sleep(sizes.ramp_s)
                windows[name].append(await _window(put, sizes))
                burnt[name].append(_used(stage) - before + flooder.cpu_s())
            await _at_rest(sizes, ours, twin)
    told = lines("another floods", windows[OURS], windows[TWIN], "control")
    return [*told, _burnt(burnt)]


def _used(stage: Stage) -> float:
    return sum(sum(cpu_s(stage.servers(name)).values()) for name in (OURS, TWIN))


def _burnt(burnt: dict[str, list[float]]) -> Line:
    """So that a reader can see that the control was one."""
    return alone(
        ROW,
        "CPU of servers and flooder in a flood ÷ in its control",
        sum(burnt[OURS]) / max(1e-9, sum(burnt[TWIN])),
        "×",
        flood_s=burnt[OURS],
        control_s=burnt[TWIN],
    )


async def _at_rest(sizes: Sizes, *several: Deployment) -> None:
    """Nobody has anything to catch up with: else the next steady window would be a harmed one."""
    async with Told() as told:
        for one in several:
            await one.backend.ready(one)
            await equal(told, one)
    await asyncio.sleep(sizes.settle_s)


async def _window(put: Put, sizes: Sizes) -> Window:
    return await paced_for(put, keys("k", KEYS), sizes.rate_per_s, sizes.window_s)


def lines(what: str, harmed: list[Window], steady: list[Window], name: str) -> list[Line]:
    def line(share: str, of: Callable[[Window], float]) -> Line:
        slow, quick = [of(window) for window in harmed], [of(window) for window in steady]
        return against(ROW, f"{share}, {what}", slow, quick, within=WITHIN, or_ms=OR_MS, name=name)

    return [
        line("p50", lambda window: window.p50_ms),
        line("p99", lambda window: window.p99_ms),
        *blemishes(ROW, {what: harmed, name: steady}),
    ]
