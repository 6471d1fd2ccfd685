"""Clients of one region's registers, each making one call at a time, and the history of all they were told.

Owns what is called, and the shape that Porcupine's judge takes (see tests/linearizable/main.go). All times
are of this process's one monotonic clock.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.syncstore.client import Bucket, Client, SyncStoreError, Timeout, WrongRevision
from lab.syncstore.record import REGISTER
from tests.syncstore.porcupine import Verdict, judge
from tests.syncstore.real.cluster import Cluster

Line = dict[str, Any]

TIMEOUT_S = 3.0
PAUSE_S = 0.02
"""Between two calls of one caller, on average."""
OPS = {"get": 40, "update": 28, "put": 14, "create": 10, "delete": 8}
LASTING_KEYS, FLEETING_KEYS, FLEETING_S = 8, 6, 2.0
LASTING_SHARE = 0.35
"""Lasting registers live through all of it; the others are new every FLEETING_S: so histories stay judgeable."""
LONG_AGO_SHARE = 0.15
"""Of the calls to fleeting registers, so many are to one of long ago: it may have been deleted and forgotten."""
STALE_SHARE = 0.1
"""Of the updates that expect a revision the caller knows to be old."""


@dataclass
class History:
    """lines: what ended as ok, wrong or indefinite. not_done: calls that certainly did not happen, as
    (when called, sentence)."""

    lines: list[Line] = field(default_factory=list)
    not_done: list[tuple[float, str]] = field(default_factory=list)

    def judged(self, pages: Path) -> Verdict:
        """Raises AssertionError where it isn't linearizable, or can't be judged."""
        verdict = judge(self.lines, pages)
        assert not verdict.broken, f"not linearizable: {verdict.broken}, see {verdict.pages}"
        assert not verdict.undecided, verdict.undecided
        return verdict

    def ok(self, began_s: float, ended_s: float) -> dict[str, int]:
        """op → how many were called in this stretch and succeeded."""
        found = dict.fromkeys(OPS, 0)
        for line in self.lines:
            if line["result"] == "ok" and began_s <= line["call_ns"] / 1e9 < ended_s:
                found[line["op"]] += 1
        return found

    def results(self) -> dict[str, int]:
        found: dict[str, int] = {"not done": len(self.not_done)}
        for line in self.lines:
            found[line["result"]] = found.get(line["result"], 0) + 1
        return found


class Caller:
    """One session, one call at a time."""

    def __init__(self, name: str, client: Client, history: History) -> None:
        self.name, self.history = name, history
        self._bucket: Bucket = client.bucket("registers", kind=REGISTER, timeout=TIMEOUT_S)
        self._chance = random.Random(name)
        self._known: dict[str, list[str]] = {}
        self._number = 0
        self._began_s = time.monotonic()

    async def go(self) -> None:
        """Until cancelled: the call that is open then is indefinite."""
        while True:
            await self._one()
            await asyncio.sleep(self._chance.expovariate(1 / PAUSE_S))

    def _key(self) -> str:
        if self._chance.random() < LASTING_SHARE:
            return f"lasting/{self._chance.randrange(LASTING_KEYS)}"
        era = int((time.monotonic() - self._began_s) / FLEETING_S)
        if self._chance.random() < LONG_AGO_SHARE:
            era = self._chance.randrange(era + 1)
        return f"fleeting/{era}/{self._chance.randrange(FLEETING_KEYS)}"

    async def _one(self) -> None:
        key, op = self._key(), self._chance.choices(list(OPS), list(OPS.values()))[0]
        known = self._known.get(key, [])
        if op == "update" and not known:
            op = "get"
        line: Line = {"process": self.name, "op": op, "key": key, "result": "indefinite"}
        if op in ("put", "create", "update"):
            self._number += 1
            line["value"] = f"{self.name}.{self._number}"
        if op == "update":
            line["expected"] = known[0] if self._chance.random() < STALE_SHARE else known[-1]
        line["call_ns"] = time.monotonic_ns()
        self.history.lines.append(line)
        try:
            await self._call(op, key, line)
            line["result"] = "ok"
        except WrongRevision:
            line["result"] = "wrong"
        except Timeout:
            return
        except SyncStoreError as error:
            self.history.lines.remove(line)
            self.history.not_done.append((line["call_ns"] / 1e9, f"{type(error).__name__}: {error}"))
            return
        line["return_ns"] = time.monotonic_ns()
        if line.get("revision") and line.get("value"):
            self._known[key] = [*known, line["revision"]][-3:]

    async def _call(self, op: str, key: str, line: Line) -> None:
        bucket = self._bucket
        if op == "get":
            entry = await bucket.get(key)
            line |= {"present": entry.value is not None, "revision": entry.revision}
            if entry.value is not None:
                line["value"] = entry.value.decode()
            return
        if op == "delete":
            written = await bucket.delete(key)
        elif op == "update":
            written = await bucket.update(key, line["value"].encode(), line["expected"])
        else:
            written = await (bucket.put if op == "put" else bucket.create)(key, line["value"].encode())
        line["revision"] = written.revision


@asynccontextmanager
async def calling(cluster: Cluster, region: str, count: int = 6) -> AsyncIterator[History]:
    """So many callers, each of whom prefers another node; their history, complete once this is left."""
    history = History()
    async with AsyncExitStack() as stack:
        nodes = len(cluster.regions[region])
        tasks = []
        for number in range(count):
            client = await stack.enter_async_context(cluster.connect(region, number % nodes))
            tasks.append(asyncio.ensure_future(Caller(f"c{number}", client, history).go()))
        try:
            yield history
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def planted(lines: Iterable[Line]) -> list[Line]:
    """The same history, with one read made to show what had been overwritten before it began."""
    history = [dict(line) for line in lines]
    done = [line for line in history if line["result"] == "ok"]
    writes = [line for line in done if line["op"] in ("put", "create", "update")]
    for read in done:
        if read["op"] != "get" or not read["present"]:
            continue
        before = [one for one in writes if one["key"] == read["key"] and one["return_ns"] < read["call_ns"]]
        for newer in before:
            older = [one for one in before if one["return_ns"] < newer["call_ns"]]
            if older:
                read |= {"value": older[-1]["value"], "revision": older[-1]["revision"]}
                return history
    raise ValueError("expected a read after two writes of its key, found none: plant in a longer history")
