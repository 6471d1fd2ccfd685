"""Which nodes a fault takes, what it does to them, and that it heals, also when cut short."""

from __future__ import annotations

import asyncio
import contextlib
from signal import SIGKILL, SIGTERM, SIGUSR2, Signals
from typing import Any, cast

import pytest

from lab import files
from lab.backends.jetstream.stretched import StretchedJetStream
from lab.clock import seeded
from lab.errors import Refused
from lab.faults.pause import PauseFault
from lab.faults.restart import RestartFault
from lab.memory import MemoryBackend
from lab.protocols import Backend, Deployment, FaultContext
from lab.topology import Topology

TOPOLOGY = Topology.model_validate(
    {"name": "t", "regions": {"us": {"nodes": 1}, "sg": {"nodes": 3}}, "rtt_ms": {"us-sg": 200}}
)
JETSTREAM = StretchedJetStream("", {})


class Recording:
    """A runtime that writes down what it is told, slowly."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.paused: set[str] = set()
        self.down: set[str] = set()

    async def stop(self, name: str, how: Signals = SIGTERM, within_s: float = 5) -> None:
        self.down.add(name)
        self.told.append((name, how))
        await asyncio.sleep(0.01)

    async def restart(self, name: str) -> None:
        await asyncio.sleep(0.01)
        self.down.remove(name)

    async def pause(self, name: str) -> None:
        self.paused.add(name)
        await asyncio.sleep(0.01)

    async def resume(self, name: str) -> None:
        await asyncio.sleep(0.01)
        self.paused.discard(name)


def deployed(runtime: Recording, backend: Any = JETSTREAM) -> Deployment:
    return Deployment(TOPOLOGY, cast(Any, None), cast(Any, runtime), cast(Any, None), backend, cast(Any, None), 1)


def context(backend: Backend = JETSTREAM) -> FaultContext:
    return FaultContext(TOPOLOGY, "process", backend, seeded(1, "fault", 0))


@pytest.mark.parametrize(
    ("settings", "nodes", "targets"),
    [
        ({"region": "sg"}, ["sg-1", "sg-2", "sg-3"], ("sg",)),
        ({"nodes": ("sg-2",)}, ["sg-2"], ("sg",)),
        ({"nodes": ("sg-2", "us-1", "sg-2")}, ["sg-2", "us-1"], ("sg", "us")),
    ],
)
def test_whom_it_takes(settings: dict[str, Any], nodes: list[str], targets: tuple[str, ...]) -> None:
    for fault, state in ((PauseFault(**settings), "paused"), (RestartFault(**settings), "gone")):
        fault.check(context())
        assert fault.harmed(TOPOLOGY) == dict.fromkeys(nodes, state)
        assert fault.targets == targets
        assert fault.impairments(context()) == {}


@pytest.mark.parametrize(("how", "signal"), [("kill", SIGKILL), ("terminate", SIGTERM), ("lame_duck", SIGUSR2)])
def test_how_nodes_end_and_that_they_come_back(how: Any, signal: Signals) -> None:
    runtime = Recording()

    async def scenario() -> None:
        async with RestartFault("sg", how=how).apply(deployed(runtime), {}):
            assert runtime.down == {"sg-1", "sg-2", "sg-3"}
        assert not runtime.down

    asyncio.run(scenario())
    assert sorted(runtime.told) == [(f"sg-{n}", signal) for n in (1, 2, 3)]


def test_a_pause_ends() -> None:
    runtime = Recording()

    async def scenario() -> None:
        async with PauseFault("sg").apply(deployed(runtime), {}):
            assert runtime.paused == {"sg-1", "sg-2", "sg-3"}
        assert not runtime.paused

    asyncio.run(scenario())


@pytest.mark.parametrize("cancel_after_s", [0.0, 0.005, 0.015, 0.02, 0.025])
@pytest.mark.parametrize("fault", [PauseFault("sg"), RestartFault("sg")], ids=["pause", "restart"])
def test_it_heals_also_when_cancelled_again_and_again(fault: Any, cancel_after_s: float) -> None:
    runtime = Recording()

    async def faulty() -> None:
        async with fault.apply(deployed(runtime), {}):
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        task = asyncio.create_task(faulty())
        await asyncio.sleep(cancel_after_s)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.001)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert not runtime.paused and not runtime.down


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (PauseFault, {}, "expected either region or nodes, found neither; name one, like region: sg"),
        (RestartFault, {"region": "sg", "nodes": ["sg-1"]}, "expected either region or nodes, found both"),
        (RestartFault, {"nodes": ["sg-4"]}, r"unknown node 'sg-4' \(did you mean 'sg-\d'\?\); known: sg-1, sg-2"),
        (PauseFault, {"region": "mars"}, "unknown region 'mars'; known: sg, us"),
        (RestartFault, {"region": "sg", "how": "gently"}, "how: .*'gently'"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        files.validated(kind, settings, "fault").check(context())


def test_lame_duck_is_for_backends_that_know_it() -> None:
    RestartFault("sg", how="lame_duck").check(context())
    with pytest.raises(Refused, match="lame_duck needs a backend that knows it, memory does not; use terminate"):
        RestartFault("sg", how="lame_duck").check(context(MemoryBackend("", {})))
