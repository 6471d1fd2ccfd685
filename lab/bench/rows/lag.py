"""Row 4: how long after a put watchers in other regions see it, less the way there.

Counted from the call of the put, so its own time is part of it. What a watcher has not been shown within
some seconds counts as that late.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from lab.bench import clients
from lab.bench.lines import Line, alone
from lab.bench.load import VALUE, Window, paced_for
from lab.bench.rows.one_region import blemishes
from lab.bench.sizes import Sizes
from lab.bench.spread import percentile
from lab.bench.stage import staged, syncstore, three
from lab.syncstore.client import Bucket
from lab.topology import Link, Topology

ROW, KEYS = 4, 1_000
ABOUT = "From a put to watchers in other regions, less the one-way delay"
AT_MOST_MS = 50.0
LATE_S = 5.0
WARM_S = 2.0
_STAMP = struct.Struct(">Qd")


class Marks:
    """When each put was called and when each region was shown it; a put is (region, number)."""

    def __init__(self) -> None:
        self.called_s: dict[tuple[str, int], float] = {}
        self.shown_s: dict[tuple[str, str, int], float] = {}
        self.begun_s = 0.0
        self._number = 0

    def value(self, region: str) -> bytes:
        """A fresh one that tells which put it is of."""
        self._number += 1
        now_s = time.perf_counter()
        self.called_s[region, self._number] = now_s
        return _STAMP.pack(self._number, now_s) + VALUE[_STAMP.size :]

    def shown(self, watcher: str, region: str, value: bytes) -> None:
        number, _ = _STAMP.unpack_from(value)
        self.shown_s.setdefault((watcher, region, number), time.perf_counter())

    def lags_ms(self, topology: Topology) -> dict[str, list[float]]:
        """link → one number for each put since the begin."""
        found: dict[str, list[float]] = {str(link): [] for link in topology.links}
        for (region, number), called_s in self.called_s.items():
            for watcher in topology.regions:
                if watcher == region or called_s < self.begun_s:
                    continue
                link = Link(region, watcher)
                shown_s = self.shown_s.get((watcher, region, number), called_s + LATE_S)
                found[str(link)].append((shown_s - called_s) * 1000 - topology.one_way_ms(link))
        return found


async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    where, marks = three(), Marks()
    async with staged(directory, syncstore("syncstore", where)) as stage, AsyncExitStack() as stack:
        ours = stage.deployments["syncstore"]
        buckets = {
            region: (await stack.enter_async_context(clients.syncstore(ours, region))).bucket(clients.BUCKET)
            for region in where.regions
        }
        watching = [asyncio.create_task(_watch(region, bucket, marks)) for region, bucket in buckets.items()]
        try:
            say(f"{sizes.lag_per_s:g} puts/s for {sizes.lag_s:g} s")
            per_s = sizes.lag_per_s / len(buckets)
            windows = await asyncio.gather(
                *(_write(region, bucket, marks, per_s, sizes) for region, bucket in buckets.items()),
                _begin(marks, sizes),
            )
            await asyncio.sleep(min(LATE_S, sizes.settle_s + 1))
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
    for task in watching:
        if not task.cancelled() and (error := task.exception()):
            raise error
    return lines(marks.lags_ms(where)) + blemishes(ROW, {"SyncStore": [one for one in windows if one is not None]})


async def _write(region: str, bucket: Bucket, marks: Marks, per_s: float, sizes: Sizes) -> Window:
    names = (f"{region}.{number % KEYS:06d}" for number in range(10**9))
    return await paced_for(lambda key, _: bucket.put(key, marks.value(region)), names, per_s, WARM_S + sizes.lag_s)


async def _begin(marks: Marks, sizes: Sizes) -> None:
    """Connections and caches have had their time."""
    await asyncio.sleep(WARM_S)
    marks.begun_s = time.perf_counter()


async def _watch(watcher: str, bucket: Bucket, marks: Marks) -> None:
    async with bucket.watch("") as watch:
        async for event in watch:
            if event is not None and event.value is not None:
                region = event.key.partition(".")[0]
                if region != watcher:
                    marks.shown(watcher, region, event.value)


def lines(lags_ms: dict[str, list[float]]) -> list[Line]:
    every = [lag for lags in lags_ms.values() for lag in lags]
    worst = max(lags_ms, key=lambda link: percentile(lags_ms[link], 0.99))
    missing = sum(lag > (LATE_S - 1) * 1000 for lag in every)
    p99s = {link: percentile(lags, 0.99) for link, lags in lags_ms.items()}
    return [
        alone(ROW, "p50 of all", percentile(every, 0.5), "ms", shown=len(every)),
        alone(ROW, "p99 of all", percentile(every, 0.99), "ms", at_most=AT_MOST_MS, not_shown=missing),
        alone(ROW, f"p99 of the worst link, {worst}", p99s[worst], "ms", links=p99s),
    ]
