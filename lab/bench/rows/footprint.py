"""Row 6: what a record costs in memory, and how soon a node with many is back.

One node, since a region of one acknowledges by its own disk alone and loads fastest; each node of a larger
region holds the same. The baseline is a node that has worked: its rings and buffers are full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from signal import SIGKILL
from typing import Any

from lab.bench import clients
from lab.bench.lines import Line, alone
from lab.bench.load import Put, all_of
from lab.bench.processes import rss_bytes
from lab.bench.sizes import Sizes
from lab.bench.stage import Stage, regions, staged, syncstore
from lab.bench.told import Told
from lab.errors import RunBroken
from lab.protocols import Deployment

ROW, REGION, NODE = 6, "one", "one-1"
ABOUT = "One node: memory of a record, and a restart"
KEY_BYTES, VALUE_BYTES = 65, 100
"""165 together."""
BYTES_AT_MOST, READY_WITHIN_S = 600.0, 20.0
LOG_BYTES = 64 * 2**20
FILLED, LOT, FILL_LOTS = 0.85, 20_000, 20
WARM_KEYS, WARM_PUTS = 1_000, 100_000
AT_REST_S, GIVEN_UP_S, LOOK_S = 2.0, 300.0, 0.02


async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    async with staged(directory, syncstore("syncstore", regions(REGION, nodes=1))) as stage, Told() as told:
        ours = stage.deployments["syncstore"]
        async with clients.syncstore(ours, REGION) as client:
            put = client.bucket(clients.BUCKET).put
            say("warming up")
            await _put(put, _names(min(WARM_PUTS, sizes.records), WARM_KEYS))
            before, had = await _rested(stage, told, ours), await _records(told, ours)
            say(f"{sizes.records:,} records are put")
            await _put(put, _names(sizes.records, sizes.records))
            after, have = await _rested(stage, told, ours), await _records(told, ours)
            say("the log is filled up")
            log_bytes = await _filled(put, told, ours, sizes)
        say("killed, and started again")
        ready_s = await _restarted(told, ours)
        if (again := await _records(told, ours)) != have:
            raise RunBroken(f"expected {have} records after the restart, found {again}: records were lost.")
    return lines((after - before) / (have - had), ready_s, have, log_bytes)


def lines(bytes_each: float, ready_s: float, records: int, log_bytes: int) -> list[Line]:
    restart = f"kill −9 to ready, {records:,} records, snapshot and {log_bytes / 2**20:.0f} MiB of log"
    return [
        alone(
            ROW, f"resident for an lww record of {KEY_BYTES} + {VALUE_BYTES} bytes", bytes_each, "bytes",
            at_most=BYTES_AT_MOST, records=records,
        ),
        alone(ROW, restart, ready_s, "s", at_most=READY_WITHIN_S, log_bytes=log_bytes),
    ]  # fmt: skip


def _names(puts: int, several: int) -> Iterator[str]:
    return (f"{number % several:0{KEY_BYTES}d}" for number in range(puts))


async def _put(put: Put, names: Iterator[str]) -> None:
    window = await all_of(put, names, b"v" * VALUE_BYTES, in_flight=500)
    if window.failed:
        raise RunBroken(f"expected every put to be acknowledged, found failures: {dict(window.failed)}.")


async def _rested(stage: Stage, told: Told, ours: Deployment) -> int:
    """Resident bytes, once no snapshot is due or in the making."""
    until_s = time.perf_counter() + GIVEN_UP_S
    last: Any = None
    while time.perf_counter() < until_s:
        status = (await told.statuses(ours)).get(NODE)
        log = status["log"] if status else {}
        if log and log == last and log["bytes_since_snapshot"] <= LOG_BYTES:
            return rss_bytes(stage.servers("syncstore"), NODE)
        last = log
        await asyncio.sleep(AT_REST_S)
    raise RunBroken(f"expected the node to come to rest within {GIVEN_UP_S:g} s, found it still writing its log.")


async def _filled(put: Put, told: Told, ours: Deployment, sizes: Sizes) -> int:
    """Bytes of log behind the snapshot: as many as there may be without a new one, or little less. The same keys
    are put again, so that there are no more records."""
    names = cycle(_names(sizes.records, sizes.records))
    for _ in range(FILL_LOTS):
        behind = int((await told.statuses(ours))[NODE]["log"]["bytes_since_snapshot"])
        if behind >= FILLED * LOG_BYTES or sizes.records < 10 * LOT:
            break
        await _put(put, islice(names, LOT))
    return behind


async def _records(told: Told, ours: Deployment) -> int:
    return int((await told.states(ours))[NODE]["records"])


async def _restarted(told: Told, ours: Deployment) -> float:
    """Seconds from its start to ready."""
    [node] = ours.topology.nodes
    await ours.runtime.stop(NODE, SIGKILL)
    began = time.perf_counter()
    await ours.runtime.restart(NODE)
    while not await told.ready(ours.addresses.at(node, "monitor")):
        if time.perf_counter() - began > GIVEN_UP_S:
            raise RunBroken(f"the node is not ready {GIVEN_UP_S:g} s after its start.")
        await asyncio.sleep(LOOK_S)
    return time.perf_counter() - began
