"""The load of a world: open-loop clients of every region, doing what a seed says at the instants it says.

Owns the mix of operations, the keys and who writes which. What is done when never depends on answers,
so a world with faults and one without have the same load. Knows nothing of promises.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from lab.syncstore.record import bucket_name
from lab.syncstore.simulate.caller import Caller
from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.history import Operation, WatchLog
from lab.syncstore.simulate.settings import EPOCH_MS
from lab.syncstore.watched import Event

OWN = bucket_name("global", "lww", "own")
"""Keys `<region>/…`: only that region writes them."""
SHARED = bucket_name("global", "lww", "shared")
"""Every region writes them."""
LOCAL = bucket_name("region", "lww", "local")
REGISTERS = bucket_name("global", "register", "registers")
"""Keys `<region>/…`: only that region uses them; others: every region does."""
REGISTER_KEYS = 4
ONCE_SHARE = 0.3
"""Of plain puts, those to a key that nobody writes again: nothing hides that one was lost."""
MIX = ("put", "put", "put", "put", "put", "get", "get", "get", "delete", "delete", "ttl", "large")
REGISTER_MIX = ("create", "create", "update", "update", "update", "get", "get", "get", "put", "delete")
BUCKETS = (OWN, OWN, OWN, SHARED, SHARED, LOCAL, LOCAL, REGISTERS)
WATCHED_PREFIXES = ((OWN, ""), (SHARED, ""), (LOCAL, ""))


def key_of(bucket: str, region: str, number: int) -> str:
    return f"{region}/{number}" if bucket == OWN else f"{number}"


class Load:
    """One region's clients. They begin together with it and stop at `until_ms`."""

    def __init__(
        self,
        region: str,
        regions: list[str],
        callers: list[Caller],
        seed: int,
        rate_per_s: float,
        keys: int,
        until_ms: float,
    ) -> None:
        self.region, self.callers = region, callers
        self._regions, self._keys = regions, keys
        self.operations: list[Operation] = []
        self.watches: list[WatchLog] = []
        self.mix: tuple[str, ...] = MIX
        self.buckets: tuple[str, ...] = BUCKETS
        self.flood = 1
        """So many writes for each: a region gone wild."""
        self.skew_ms = 0
        """Of the clients' clocks: they count TTLs from them."""
        self.on_done: Callable[[Operation], None] = lambda operation: None
        self.on_shown: Callable[[WatchLog, Event], None] = lambda log, event: None
        self._timeline = callers[0].timeline
        self._rate_per_ms, self._until_ms = rate_per_s / 1000, until_ms
        self._chance = fork(seed, "load", region)
        self._flooding = fork(seed, "flood", region)
        self._count = 0

    def begin(self) -> None:
        for caller in self.callers:
            caller.connect()
        for caller, (bucket, prefix) in zip(self.callers, WATCHED_PREFIXES, strict=False):
            watched = WatchLog(self.region, caller.place, bucket, prefix, on_shown=self.on_shown)
            self.watches.append(watched)
            caller.watch(watched)
        self._next()

    def _next(self) -> None:
        wait_ms = self._chance.expovariate(self._rate_per_ms)
        if self._timeline.now_ms + wait_ms < self._until_ms:
            self._timeline.after(wait_ms, self._one)

    def _one(self) -> None:
        self._do(self._chance)
        for _ in range(self.flood - 1):
            self._do(self._flooding)
        self._next()

    def _do(self, chance: Random) -> None:
        caller = self.callers[int(chance.random() * len(self.callers))]
        bucket = self.buckets[int(chance.random() * len(self.buckets))]
        mix = REGISTER_MIX if bucket == REGISTERS else self.mix
        kind = mix[int(chance.random() * len(mix))]
        key = key_of(bucket, self.region, int(chance.random() * self._keys))
        size, ttl_ms = int(chance.random() * 80), int(200 + chance.random() * 2500)
        if kind == "get" and bucket == OWN and chance.random() < 0.3:
            # What others wrote is read too.
            key = key_of(OWN, chance.choice(self._regions), int(chance.random() * self._keys))
        if bucket == REGISTERS:
            of = self.region if chance.random() < 0.7 else "all"
            key = f"{of}/{int(chance.random() * REGISTER_KEYS)}"
        self._count += 1
        if kind == "put" and bucket in (OWN, LOCAL) and chance.random() < ONCE_SHARE:
            key = f"{self.region}/once-{self._count}"
        operation = Operation(self.region, caller.place, "put" if kind in ("ttl", "large") else kind, bucket, key)
        if operation.op == "update":
            operation.expected = caller.revisions.get((bucket, key), "")
        if operation.op in ("put", "create", "update"):
            filler = b"." * (size * 60 if kind == "large" else size)
            operation.value = f"{self.region}{self._count}".encode() + filler
        if kind == "ttl":
            operation.ttl_ms = ttl_ms
            operation.expires = EPOCH_MS + int(self._timeline.now_ms) + self.skew_ms + ttl_ms
        self.operations.append(operation)
        caller.call(operation, self.on_done)
