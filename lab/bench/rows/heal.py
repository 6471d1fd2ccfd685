"""Row 5: a partition in which much is changed on both sides, and how soon all nodes are equal again.

sg is cut from us and eu; each side changes as many keys, half of them the other side's too. Puts at a
steady rate go on in both, before the cut and while it heals: what they take is the second line. Since they
would keep digests from ever being equal, nodes are first waited for until they hold all that was written
before the heal, then the puts end, and then digests must be equal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.bench import clients
from lab.bench.equal import covered, equal
from lab.bench.lines import Line, alone, worded
from lab.bench.load import VALUE, Put, Window, all_of, keys, paced
from lab.bench.rows.one_region import blemishes
from lab.bench.sizes import Sizes
from lab.bench.stage import staged, syncstore, three
from lab.bench.told import Told
from lab.errors import RunBroken
from lab.protocols import Cut, Deployment

ROW = 5
ABOUT = "After a partition: all nodes equal again"
SIDES = ("us", "sg")
"""Each writes on its side of the cut."""
WITHIN_S = 30.0
TIMES, OR_MS = 3.0, 10.0
CHUNK = 500
STEADY_S = 10.0


@dataclass
class Seen:
    """covered_s, equal_s: from the begin of the heal. cut_s: how long it was a partition."""

    covered_s: float = 0.0
    equal_s: float = 0.0
    cut_s: float = 0.0


async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    async with (
        staged(directory, syncstore("syncstore", three())) as stage,
        AsyncExitStack() as stack,
        Told() as told,
    ):
        ours, seen = stage.deployments["syncstore"], Seen()
        puts = {
            side: (await stack.enter_async_context(clients.syncstore(ours, side))).bucket(clients.BUCKET).put
            for side in SIDES
        }
        say(f"{sizes.changed * 3 // 2:,} keys come to be")
        await _all(puts["us"], range(sizes.changed * 3 // 2))
        await equal(told, ours)
        say("steady")
        async with _probing(puts, sizes) as steady:
            await asyncio.sleep(min(STEADY_S, 4 * sizes.window_s))
        say(f"cut for {sizes.partition_s:g} s; {sizes.changed:,} keys are changed on each side")
        async with AsyncExitStack() as cut:
            await cut.enter_async_context(_cut(ours))
            seen.cut_s = await _change(puts, sizes)
            say("healing")
            healed_s = time.perf_counter()
            async with _probing(puts, sizes) as meanwhile:
                await cut.aclose()  # takes a moment, in which data flows already
                await covered(told, ours)
                seen.covered_s = time.perf_counter() - healed_s
        await equal(told, ours)
        seen.equal_s = time.perf_counter() - healed_s
    return lines(seen, steady, meanwhile, sizes)


@asynccontextmanager
async def _cut(ours: Deployment) -> AsyncIterator[None]:
    links = [link for link in ours.topology.links if "sg" in (link.source, link.target)]
    async with ours.network.harm({link: Cut("stall") for link in links}):
        yield


async def _change(puts: Mapping[str, Put], sizes: Sizes) -> float:
    """The partition: us changes the first keys, sg as many that begin half-way. Returns its length in s."""
    began, half = time.perf_counter(), sizes.changed // 2
    await asyncio.gather(
        _spread(puts["us"], range(sizes.changed), sizes.partition_s),
        _spread(puts["sg"], range(half, half + sizes.changed), sizes.partition_s),
    )
    await asyncio.sleep(max(0.0, began + sizes.partition_s - time.perf_counter()))
    return time.perf_counter() - began


async def _spread(put: Put, numbers: range, seconds: float) -> None:
    """In lots, over nine tenths of the time."""
    began = time.perf_counter()
    for first in range(0, len(numbers), CHUNK):
        due = began + 0.9 * seconds * first / len(numbers)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await _all(put, numbers[first : first + CHUNK])


async def _all(put: Put, numbers: range) -> None:
    """Raises RunBroken where one could not be put: then too few were changed."""
    window = await all_of(put, _names(numbers), VALUE, in_flight=200)
    if window.failed:
        raise RunBroken(f"expected {len(numbers)} keys to be put, found failures: {dict(window.failed)}.")


def _names(numbers: range) -> Iterator[str]:
    return (f"changed.{number:07d}" for number in numbers)


@asynccontextmanager
async def _probing(puts: Mapping[str, Put], sizes: Sizes) -> AsyncIterator[dict[str, Window]]:
    """Puts at a steady rate in both regions while entered; the windows are filled when it is left."""
    over, found = asyncio.Event(), dict[str, Window]()
    tasks = {
        side: asyncio.create_task(paced(put, keys(f"probe.{side}", 1000), sizes.probe_per_s, lambda _: over.is_set()))
        for side, put in puts.items()
    }
    try:
        yield found
    finally:
        over.set()
        for side, task in tasks.items():
            found[side] = await task


def lines(seen: Seen, steady: Mapping[str, Window], meanwhile: Mapping[str, Window], sizes: Sizes) -> list[Line]:
    what = f"heal to equal digests ({sizes.changed:,} keys a side, cut {seen.cut_s:.0f} s)"
    return [
        alone(ROW, what, seen.equal_s, "s", at_most=WITHIN_S, covered_s=seen.covered_s, cut_s=seen.cut_s),
        *(_local(side, steady[side].p99_ms, meanwhile[side].p99_ms) for side in SIDES),
        *blemishes(ROW, {"steady": list(steady.values()), "healing": list(meanwhile.values())}),
    ]


def _local(side: str, steady_ms: float, healing_ms: float) -> Line:
    most_ms = max(TIMES * steady_ms, steady_ms + OR_MS)
    what = f"local p99 in {side} meanwhile (steady {worded(steady_ms, 'ms')})"
    return alone(ROW, what, healing_ms, "ms", at_most=most_ms, steady_ms=steady_ms)
