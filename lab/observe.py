"""Looking on while a run is under way: witnesses attest and read every link, the backend is sampled,
and someone notices when Toxiproxy or a node dies. Harms nothing, decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from math import inf
from statistics import median
from typing import Any

from lab.books import Books, read_nodes
from lab.clock import NS_PER_S, now_ns, sleep_until
from lab.errors import RunBroken
from lab.events import Note
from lab.protocols import TOXIPROXY, Deployment, Witness
from lab.topology import Link

ATTEST_ROUNDS, ATTEST_READINGS, ATTEST_WITHIN_MS, ATTEST_WITHIN = 3, 5, 5.0, 0.05
WITNESS_EVERY_S, SAMPLE_EVERY_S, GUARD_EVERY_S = 1.0, 0.5, 0.5
STAGGER_S = 0.01


@asynccontextmanager
async def observed(deployment: Deployment, books: Books) -> AsyncIterator[None]:
    """Witnesses attest every link, then read it every second; the backend is sampled at 2 Hz."""
    witnesses = [deployment.network.witness(link, books.record) for link in deployment.topology.links]

    async def read(index: int) -> None:
        await asyncio.sleep(index / len(witnesses) * WITNESS_EVERY_S)  # six questions at once wait for each other
        while True:
            began_ns = now_ns()
            await witnesses[index].probe("run")
            await sleep_until(began_ns + int(WITNESS_EVERY_S * NS_PER_S))

    async def sample() -> None:
        while True:
            began_ns = now_ns()
            await read_nodes(deployment.runtime, books.record)
            for one in await deployment.backend.sample(deployment):
                books.sample(one)
            await sleep_until(began_ns + int(SAMPLE_EVERY_S * NS_PER_S))

    await _attested(deployment, books, witnesses)
    tasks = [asyncio.create_task(sample()), *(asyncio.create_task(read(i)) for i in range(len(witnesses)))]
    try:
        yield
        _still_looking(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(witness.close() for witness in witnesses), return_exceptions=True)


async def guard(deployment: Deployment, books: Books) -> None:
    """Toxiproxy dead: the run is broken. A node dead that nobody harmed: a fact for the report."""
    told: set[str] = set()
    while True:
        for name in set(await deployment.runtime.dead()) - told:
            last = "; ".join(deployment.runtime.logs(name)[-2:]) or "nothing"
            if name == TOXIPROXY:
                raise RunBroken(f"Toxiproxy died in mid-run; its last words: {last}.")
            told.add(name)
            books.record(Note(at_ns=now_ns(), name="backend", text=f"node {name} died; its last words: {last}"))
        await asyncio.sleep(GUARD_EVERY_S)


async def _attested(deployment: Deployment, books: Books, witnesses: Sequence[Witness]) -> None:
    """Read every link a few times; raises RunBroken when a round trip is not what the topology says.

    A busy moment only ever adds delay, so a bad first reading gets two more chances.
    """
    books.phase("attest")
    for _ in range(ATTEST_ROUNDS):
        books.attested.clear()
        for _ in range(ATTEST_READINGS):
            await asyncio.gather(*(_after(i * STAGGER_S, w.probe("attest")) for i, w in enumerate(witnesses)))
        off = _not_as_far_as_stated(deployment, books)
        if not off:
            return
    raise RunBroken(f"{'; '.join(off)}: is the machine overloaded? Nothing was harmed yet.")


def _not_as_far_as_stated(deployment: Deployment, books: Books) -> list[str]:
    """Sentences on pairs of regions whose measured round trip is not the topology's."""
    sentences = []
    for a, b in combinations(deployment.topology.regions, 2):
        stated_ms = deployment.topology.rtt(a, b)
        read_ms = sum(median(books.attested[str(link)] or [inf]) for link in (Link(a, b), Link(b, a)))
        if abs(read_ms - stated_ms) > max(ATTEST_WITHIN_MS, ATTEST_WITHIN * stated_ms):
            sentences.append(f"{a}-{b} takes {read_ms:.1f} ms there and back, the topology says {stated_ms:g} ms")
    return sentences


def _still_looking(tasks: Sequence[asyncio.Task[None]]) -> None:
    """An observer that died left a hole in the history that looks like peace."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            raise RunBroken(f"an observer died: {type(error).__name__}: {error}.") from error


async def _after(seconds: float, step: Coroutine[Any, Any, None]) -> None:
    await asyncio.sleep(seconds)
    await step
