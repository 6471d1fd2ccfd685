"""A process that writes to one region as fast as it can: `python -m lab.bench.flood URL …`.

A process of its own, since the benchmark's own loop must be free to measure.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import psutil
import uvloop

from lab.bench.load import closed, keys
from lab.syncstore.client import connect

IN_FLIGHT, KEYS = 500, 10_000
AT_MOST_S = 600.0
BEGINS_WITHIN_S = 20.0
BEGUN = "begun"


class Flooder:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def cpu_s(self) -> float:
        """So far; 0 once it is gone."""
        with suppress(psutil.Error):
            times = psutil.Process(self._process.pid).cpu_times()
            return float(times.user + times.system)
        return 0.0


@asynccontextmanager
async def flooding(urls: Sequence[str]) -> AsyncIterator[Flooder]:
    """Entered, it writes; left, it is dead. Raises RuntimeError where it does not begin."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lab.bench.flood", *urls, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(BEGINS_WITHIN_S):
            said = (await process.stdout.readline()).decode().strip()
        if said != BEGUN:
            raise RuntimeError(f"the flood did not begin: {said or 'it said nothing'}")
        yield Flooder(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _flood(urls: list[str]) -> None:
    async with connect(urls, timeout=20.0) as client:
        put = client.bucket("bench").put
        print(BEGUN, flush=True)
        await closed(put, keys("flood", KEYS), IN_FLIGHT, AT_MOST_S)


if __name__ == "__main__":
    uvloop.run(_flood(sys.argv[1:]))
