"""The witness of one link: a probe that is neither backend nor workload.

Its proxy bears the link's impairments on the way out only, and leads to Toxiproxy's own API, so
one `GET /version` on a kept connection takes one one-way delay, plus the millisecond or so that the
question takes without any link (`cost_of_asking`), which is taken off every reading. The question
is as heavy as `events.WITNESS_BYTES`, so that a narrow link shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from statistics import median

import aiohttp

from lab.clock import NS_PER_MS, now_ns
from lab.events import WITNESS_BYTES, Event, WitnessReading
from lab.topology import Link

PATIENCE_S = 1.0
WEIGHT = {"X-Weight": "w" * WITNESS_BYTES}  # a header, since a server may answer before it reads a body
CALIBRATIONS = 15


class LinkWitness:
    """Asks over one link, one question at a time."""

    def __init__(self, link: Link, address: str, cost_ns: int, record: Callable[[Event], None]) -> None:
        self._link, self._cost_ns, self._record = link, cost_ns, record
        self._url = f"http://{address}/version"
        self._session: aiohttp.ClientSession | None = None
        self._pending: asyncio.Task[tuple[str, int]] | None = None
        self._asked_ns = 0

    async def probe(self, stage: str) -> None:
        """Record one reading; a question without an answer stays open and is read again later."""
        if self._pending is None:
            self._asked_ns = now_ns()
            self._pending = asyncio.create_task(self._ask())
        await asyncio.wait({self._pending}, timeout=PATIENCE_S)
        if not self._pending.done():
            self._say(self._asked_ns, "silent", now_ns() - self._asked_ns, stage)
            return
        answer, answered_ns = self._pending.result()
        self._pending = None
        self._say(self._asked_ns, answer, answered_ns - self._asked_ns - self._cost_ns, stage)

    async def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait({self._pending})
        if self._session is not None:
            await self._session.close()

    async def _ask(self) -> tuple[str, int]:
        if self._session is None:
            self._session = _session()
        try:
            async with self._session.get(self._url, headers=WEIGHT) as response:
                await response.read()
            return "ok", now_ns()
        except aiohttp.ClientConnectorError:
            return "refused", now_ns()
        except (aiohttp.ClientError, OSError):
            return "closed", now_ns()

    def _say(self, at_ns: int, answer: str, delay_ns: int, stage: str) -> None:
        self._record(
            WitnessReading(
                at_ns=at_ns,
                source=self._link.source,
                target=self._link.target,
                answer=answer,
                delay_ms=delay_ns / NS_PER_MS,
                stage=stage,
            )
        )


async def cost_of_asking(address: str) -> int:
    """What the question takes where no link is, in ns: the median of several."""
    took_ns = []
    async with _session() as session:
        for _ in range(CALIBRATIONS + 1):
            asked_ns = now_ns()
            async with session.get(f"http://{address}/version", headers=WEIGHT) as response:
                await response.read()
            took_ns.append(now_ns() - asked_ns)
    return int(median(took_ns[1:]))  # the first also opened the connection


def _session() -> aiohttp.ClientSession:
    """One kept connection, no limit in time, never through a configured HTTP proxy."""
    connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=3600)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None), trust_env=False)
