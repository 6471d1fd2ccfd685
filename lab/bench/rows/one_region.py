"""Row 1: one region of three nodes: as many puts as go, and one after another.

SyncStore syncs every write; JetStream does not in its default, and does with `sync_interval: always`.
All take turns, so that whatever else the machine does hits each of them. The bar stands against both of nats-py's
ways to write: the usual one is dear to the client, which would be no merit of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lab.bench import clients
from lab.bench.lines import Line, alone, beside
from lab.bench.load import Put, Window, closed, keys
from lab.bench.processes import CLIENT, SERVERS, meter
from lab.bench.sizes import Sizes
from lab.bench.stage import Arm, Stage, jetstream, regions, staged, syncstore

ROW, REGION, KEYS = 1, "one", 10_000
LWW, REGISTER, DEFAULT, ALWAYS = "lww", "register", "jetstream", "jetstream-always"
PUBLISHED = "jetstream-published"
"""JetStream's default again, by nats-py's quicker way to write."""
ABOUT = "One region, 3 nodes, values of 100 bytes"


@dataclass
class Contender:
    """many, single: its windows, one a round, with many puts in flight and with one."""

    put: Put
    used: Callable[[], dict[str, float]]
    many: list[Window] = field(default_factory=list)
    single: list[Window] = field(default_factory=list)


async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    where = regions(REGION)
    arms: list[Arm] = [
        syncstore("syncstore", where),
        jetstream(DEFAULT, where),
        jetstream(ALWAYS, where, sync="always"),
    ]
    async with staged(directory, *arms) as stage, AsyncExitStack() as stack:
        contenders = await _contenders(stage, stack)
        for turn in range(sizes.pairs + 1):
            say(f"round {turn} of {sizes.pairs}" if turn else "warming up")
            for contender in contenders.values():
                await _round(contender, sizes, counts=turn > 0)
    return lines(contenders, sizes)


async def _contenders(stage: Stage, stack: AsyncExitStack) -> dict[str, Contender]:
    ours = stage.deployments["syncstore"]
    client = await stack.enter_async_context(clients.syncstore(ours, REGION))
    used = meter(stage.servers("syncstore"))
    found = {kind: Contender(client.bucket(clients.BUCKET, kind=kind).put, used) for kind in (LWW, REGISTER)}
    for name in (DEFAULT, ALWAYS):
        theirs = await stack.enter_async_context(clients.jetstream(stage.deployments[name], REGION))
        found[name] = Contender(theirs.put, meter(stage.servers(name)))
        if name == DEFAULT:
            found[PUBLISHED] = Contender(theirs.publish, found[name].used)
    return {name: found[name] for name in (LWW, DEFAULT, REGISTER, ALWAYS, PUBLISHED)}


async def _round(contender: Contender, sizes: Sizes, *, counts: bool) -> None:
    names = keys("k", KEYS)
    many = await closed(contender.put, names, sizes.in_flight, sizes.window_s, sizes.ramp_s, contender.used)
    single = await closed(contender.put, names, 1, sizes.window_s / 2, sizes.ramp_s / 2, contender.used)
    if counts:
        contender.many.append(many)
        contender.single.append(single)


def lines(of: Mapping[str, Contender], sizes: Sizes) -> list[Line]:
    many = f"{sizes.in_flight} in flight"
    return [
        _puts(of, LWW, DEFAULT, f"puts, {many}, lww / default", at_least=1.25),
        _puts(of, LWW, PUBLISHED, f"puts, {many}, lww / default by publish_async", at_least=1.25),
        _puts(of, LWW, ALWAYS, f"puts, {many}, lww / always"),
        _puts(of, REGISTER, DEFAULT, f"puts, {many}, register / default"),
        _puts(of, REGISTER, ALWAYS, f"puts, {many}, register / always"),
        _latency(of, LWW, ALWAYS, "one by one, p50, lww / always", 0.5, at_most=1.0),
        _latency(of, LWW, ALWAYS, "one by one, p99, lww / always", 0.99),
        _latency(of, LWW, DEFAULT, "one by one, p50, lww / default", 0.5),
        _latency(of, LWW, DEFAULT, "one by one, p99, lww / default", 0.99),
        _latency(of, REGISTER, ALWAYS, "one by one, p50, register / always", 0.5),
        _latency(of, REGISTER, ALWAYS, "one by one, p99, register / always", 0.99),
        *(
            _cpu(of, ours, theirs, f"CPU-s per 1,000 puts, {who}, {ours} / {told}", who)
            for ours, theirs, told in (
                (LWW, DEFAULT, "default"),
                (LWW, PUBLISHED, "default by publish_async"),
                (LWW, ALWAYS, "always"),
                (REGISTER, DEFAULT, "default"),
            )
            for who in (SERVERS, CLIENT)
        ),
        *blemishes(ROW, {name: [*one.many, *one.single] for name, one in of.items()}),
    ]


def blemishes(row: int, of: Mapping[str, list[Window]]) -> list[Line]:
    """What was acknowledged as degraded, or failed; nothing where nothing was."""
    found = []
    for name, windows in of.items():
        if degraded := sum(window.degraded for window in windows):
            found.append(alone(row, f"acknowledged as degraded, {name}", degraded, "puts"))
        if failed := sum(sum(window.failed.values()) for window in windows):
            kinds = sorted({kind for window in windows for kind in window.failed})
            found.append(alone(row, f"failed, {name}: {', '.join(kinds)}", failed, "puts"))
    return found


def _puts(of: Mapping[str, Contender], ours: str, theirs: str, what: str, at_least: float | None = None) -> Line:
    one, other = ([window.per_s for window in of[name].many] for name in (ours, theirs))
    return beside(ROW, what, one, other, "/s", at_least=at_least)


def _latency(
    of: Mapping[str, Contender], ours: str, theirs: str, what: str, share: float, at_most: float | None = None
) -> Line:
    one, other = (
        [window.p50_ms if share == 0.5 else window.p99_ms for window in of[name].single] for name in (ours, theirs)
    )
    return beside(ROW, what, one, other, "ms", at_most=at_most)


def _cpu(of: Mapping[str, Contender], ours: str, theirs: str, what: str, who: str) -> Line:
    one, other = ([window.cpu_per_1000(who) for window in of[name].many] for name in (ours, theirs))
    return beside(ROW, what, one, other, "s")
