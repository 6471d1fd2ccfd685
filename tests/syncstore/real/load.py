"""Clients of one region that call at a steady rate, however slow the answers are, and note every outcome.

There is one for each node of the region, which prefers that node, so that every node has work. Owns
what is called and what is noted. Judges nothing: that is `judged`'s.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.syncstore.client import Bucket, Client, SyncStoreError, Timeout
from lab.syncstore.record import GLOBAL, REGION, SCOPES
from tests.syncstore.real.cluster import Cluster

OK, DEFINITE, INDEFINITE = "ok", "definite", "indefinite"
TIMEOUT_S = 5.0
VALUE_BYTES = 100
BURST_NUMBER = 10_000_000
"""Where the numbers of a burst's calls begin: values must differ."""
OWN_KEYS, SHARED_KEYS, FLEETING_KEYS, HOME_KEYS = 40, 20, 20, 20
"""own: written by one region. shared: by all. fleeting: deleted now and then. home: of the scope region."""
KINDS = {"own": 5, "shared": 2, "fleeting": 1, "home": 2}
"""How often each kind of key is chosen."""
READS, DELETES = 0.25, 0.3
"""Shares: of all calls, and of the other calls to fleeting keys."""
BUCKET = "real"


@dataclass(slots=True)
class Operation:
    """One call. result: ok; definite: certainly did not happen; indefinite: it may have; "": not answered yet.

    value: what was to be written, or what was read; None for absent, and of a delete. session: which of
    the region's clients called. Times are s of the monotonic clock.
    """

    region: str
    session: int
    op: str
    scope: str
    key: str
    value: bytes | None
    called_s: float
    returned_s: float = 0.0
    result: str = ""
    revision: str = ""
    degraded: bool = False
    error: str = ""

    @property
    def took_ms(self) -> float:
        return (self.returned_s - self.called_s) * 1000

    @property
    def writes(self) -> bool:
        return self.op != "get"

    def __str__(self) -> str:
        kept = f" {self.value.decode()[:40]}" if self.value is not None else ""
        told = f" {self.revision}" if self.revision else f" {self.error[:200]}" if self.error else ""
        result = f"{self.result}{' degraded' * self.degraded}"
        return f"{self.region}#{self.session} {self.op} {self.key}{kept} → {result}{told}"


class Load:
    """operations: all calls so far, in the order they were made."""

    def __init__(self, clients: list[Client], region: str, rate_hz: float, witness: Witness) -> None:
        self.clients, self.region, self.rate_hz, self.witness = clients, region, rate_hz, witness
        self.operations: list[Operation] = []
        self._buckets: list[dict[str, Bucket]] = [
            {scope: client.bucket(BUCKET, scope=scope, timeout=TIMEOUT_S) for scope in SCOPES} for client in clients
        ]
        self._chance = random.Random(region)
        self._calls: set[asyncio.Task[None]] = set()
        self._going: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._going = asyncio.ensure_future(self._go())

    def burst(self, count: int) -> None:
        """So many calls at once."""
        first = BURST_NUMBER + len(self.operations)
        for number in range(first, first + count):
            self._begin_one(number)

    async def end(self) -> None:
        """Call no more; return when all is answered."""
        if self._going is not None:
            self._going.cancel()
            with suppress(asyncio.CancelledError):
                await self._going
        if self._calls:
            await asyncio.wait(self._calls)

    def since(self, began_s: float, ended_s: float = float("inf")) -> list[Operation]:
        """Those called in this stretch."""
        return [one for one in self.operations if began_s <= one.called_s < ended_s]

    async def _go(self) -> None:
        due_s, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._begin_one(number)
            number += 1
            due_s += 1 / self.rate_hz

    def _begin_one(self, number: int) -> None:
        kind = self._chance.choices(list(KINDS), list(KINDS.values()))[0]
        scope, key = self._key(kind)
        op = "get" if self._chance.random() < READS else "put"
        if op == "put" and kind == "fleeting" and self._chance.random() < DELETES:
            op = "delete"
        value = f"{self.region}:{number}:".encode().ljust(VALUE_BYTES, b".") if op == "put" else None
        one = Operation(self.region, number % len(self.clients), op, scope, key, value, time.monotonic())
        self.operations.append(one)
        task = asyncio.ensure_future(self._call(one))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _key(self, kind: str) -> tuple[str, str]:
        pick = self._chance.randrange
        if kind == "shared":
            return GLOBAL, f"shared/{pick(SHARED_KEYS)}"
        if kind == "fleeting":
            return GLOBAL, f"fleeting/{self.region}/{pick(FLEETING_KEYS)}"
        if kind == "home":
            return REGION, f"home/{pick(HOME_KEYS)}"
        return GLOBAL, f"own/{self.region}/{pick(OWN_KEYS)}"

    async def _call(self, one: Operation) -> None:
        bucket = self._buckets[one.session][one.scope]
        try:
            if one.op == "get":
                entry = await bucket.get(one.key)
                one.value, one.revision, one.degraded = entry.value, entry.revision, entry.degraded
            else:
                call = bucket.delete(one.key) if one.value is None else bucket.put(one.key, one.value)
                written = await call
                one.revision, one.degraded = written.revision, written.degraded
            one.result = OK
        except SyncStoreError as error:
            one.result = INDEFINITE if isinstance(error, Timeout) else DEFINITE
            one.error = f"{type(error).__name__}: {error}"
        finally:
            one.returned_s = time.monotonic()


class Witness:
    """What the machine, not the store, adds to every call: how late this process itself gets its turn, and how
    long the disk that all nodes share takes for a few bytes."""

    EVERY_S = 0.01
    SYNC_EVERY_S = 0.05

    def __init__(self, directory: Path) -> None:
        self._late: list[tuple[float, float]] = []
        self._syncs: list[tuple[float, float]] = []
        self._file = (directory / "witness").open("ab", buffering=0)
        self._going = [asyncio.ensure_future(work) for work in (self._turns(), self._writes())]

    def late_ms(self, share: float, began_s: float, ended_s: float) -> float:
        """Of its turns in this stretch this share came no later; 1.0 for the latest of all."""
        return _quantile(self._late, share, began_s, ended_s)

    def sync_ms(self, share: float, began_s: float, ended_s: float) -> float:
        """The same of the times the disk took."""
        return _quantile(self._syncs, share, began_s, ended_s)

    async def end(self) -> None:
        for task in self._going:
            task.cancel()
        await asyncio.wait(self._going)
        self._file.close()

    async def _turns(self) -> None:
        while True:
            due_s = time.monotonic() + self.EVERY_S
            await asyncio.sleep(self.EVERY_S)
            self._late.append((due_s, max(0.0, time.monotonic() - due_s) * 1000))

    async def _writes(self) -> None:
        while True:
            began_s = time.monotonic()
            self._syncs.append((began_s, await asyncio.to_thread(self._write)))
            await asyncio.sleep(self.SYNC_EVERY_S)

    def _write(self) -> float:
        """ms it took, in the thread that waited for it."""
        began_s = time.monotonic()
        self._file.write(bytes(VALUE_BYTES))
        os.fsync(self._file.fileno())
        return (time.monotonic() - began_s) * 1000


def _quantile(told: list[tuple[float, float]], share: float, began_s: float, ended_s: float) -> float:
    found = sorted(took for at_s, took in told if began_s <= at_s < ended_s)
    return found[min(int(len(found) * share), len(found) - 1)] if found else 0.0


@asynccontextmanager
async def loads(cluster: Cluster, rate_hz: float = 150) -> AsyncIterator[dict[str, Load]]:
    """region → its load, already going; at the end every call is answered."""
    async with AsyncExitStack() as stack:
        witness = Witness(cluster.directory)
        stack.push_async_callback(witness.end)
        going: dict[str, Load] = {}
        for region, nodes in cluster.regions.items():
            orders = range(len(nodes))
            clients = [await stack.enter_async_context(cluster.connect(region, first)) for first in orders]
            going[region] = Load(clients, region, rate_hz, witness)
        try:
            for load in going.values():
                load.begin()
            yield going
        finally:
            await asyncio.gather(*(load.end() for load in going.values()))


def of_all(going: dict[str, Load]) -> list[Operation]:
    return [one for load in going.values() for one in load.operations]


def shares(operations: Iterable[Operation]) -> dict[str, int]:
    """result → how many."""
    found = {OK: 0, DEFINITE: 0, INDEFINITE: 0}
    for one in operations:
        found[one.result] = found.get(one.result, 0) + 1
    return found
