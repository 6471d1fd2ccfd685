"""What every runtime promises of the nodes it runs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lab.protocols import Addresses, Runtime
from tests.contract.runtimes import DEAF, DIES, EVERY, POLITE, RUNTIMES, TOPOLOGY, node, until

Scenario = Callable[[Any, Addresses, Path], Awaitable[None]]


def every_runtime(scenario: Scenario) -> Callable[..., None]:
    """Run a scenario on each runtime."""

    @pytest.mark.parametrize("name", EVERY)
    def test(tmp_path: Path, name: str) -> None:
        async def main() -> None:
            async with RUNTIMES[name](tmp_path) as (runtime, addresses):
                await scenario(runtime, addresses, tmp_path)

        asyncio.run(main())

    return test


async def says(runtime: Runtime, name: str, *lines: str) -> None:
    await until(f"{name}'s log", lambda: runtime.logs(name), list(lines))


async def started(runtime: Runtime, *names: str, code: str = POLITE) -> None:
    """Side by side, as a deployment does."""
    await asyncio.gather(*(runtime.start(node(name, code)) for name in names))
    for name in names:
        await says(runtime, name, "start 1")


@every_runtime
async def test_every_address_is_its_own_and_this_machine_dials_loopback(
    runtime: Any, addresses: Addresses, folder: Path
) -> None:
    assert set(addresses.listen) >= {"a-1/p", "b-1/p"}
    assert set(addresses.for_nodes.listen) == {"a-1/p", "a-1/q", "b-1/p", "b-1/q"}
    assert set(addresses.for_road.proxies) == {"a/b-1/q", "b/a-1/q"}
    assert set(addresses.witnesses) == {"a->b", "b->a"} == set(addresses.for_road.witnesses)
    dialled = [*addresses.listen.values(), *addresses.witnesses.values(), addresses.toxiproxy]
    assert len(set(dialled)) == len(dialled)
    assert all(address.startswith("127.0.0.1:") for address in dialled)
    a, b = TOPOLOGY.nodes
    inside = addresses.for_nodes
    assert inside.dial("a", a, "q") == inside.listen["a-1/q"]
    assert inside.dial("a", b, "q") == inside.proxies["a/b-1/q"]


@every_runtime
async def test_stopped_and_started_again_on_its_disk(runtime: Any, addresses: Addresses, folder: Path) -> None:
    await started(runtime, "a-1", "b-1")
    assert await runtime.states() == {"a-1": "running", "b-1": "running"}
    await runtime.stop("a-1", signal.SIGTERM)
    assert await runtime.states() == {"a-1": "gone", "b-1": "running"}
    assert await runtime.dead() == [], "it was stopped, it didn't die"
    await says(runtime, "a-1", "start 1", "ended")
    await runtime.restart("a-1")
    await says(runtime, "a-1", "start 1", "ended", "start 2")
    await runtime.restart("a-1")  # a running one: killed first
    await says(runtime, "a-1", "start 1", "ended", "start 2", "start 3")
    assert await runtime.states() == {"a-1": "running", "b-1": "running"}
    assert await runtime.dead() == []


@every_runtime
async def test_paused_and_resumed(runtime: Any, addresses: Addresses, folder: Path) -> None:
    await started(runtime, "a-1")
    await runtime.pause("a-1")
    assert await runtime.states() == {"a-1": "paused"}
    assert await runtime.dead() == []
    await runtime.resume("a-1")
    await until("state", runtime.states, {"a-1": "running"})
    await runtime.resume("a-1")  # once more does no harm
    await runtime.pause("a-1")
    await runtime.stop("a-1", signal.SIGTERM)  # also a paused one hears it
    assert await runtime.states() == {"a-1": "gone"}
    await says(runtime, "a-1", "start 1", "ended")
    await runtime.resume("a-1")  # a fault that leaves late
    assert await runtime.states() == {"a-1": "gone"}


@every_runtime
async def test_one_that_ignores_the_signal_is_killed(runtime: Any, addresses: Addresses, folder: Path) -> None:
    await started(runtime, "a-1", code=DEAF)
    began_s = time.monotonic()
    await runtime.stop("a-1", signal.SIGTERM, within_s=0.5)
    assert 0.5 <= time.monotonic() - began_s < 5
    assert await runtime.states() == {"a-1": "gone"}
    await runtime.stop("a-1")  # once more does no harm


@every_runtime
async def test_one_that_ends_by_itself_is_dead(runtime: Any, addresses: Addresses, folder: Path) -> None:
    await started(runtime, "b-1")
    await runtime.start(node("a-1", DIES))
    await until("the dead", runtime.dead, ["a-1"])
    await says(runtime, "a-1", "last words")
    assert await runtime.states() == {"a-1": "gone", "b-1": "running"}


@pytest.mark.parametrize("name", EVERY)
def test_closing_keeps_logs_and_configuration_and_drops_data(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with RUNTIMES[name](tmp_path) as (runtime, _):
            await started(runtime, "a-1", "b-1")
            await runtime.pause("b-1")
            assert await runtime.close() == []
            assert runtime.logs("a-1") == ["start 1"]
            assert await runtime.close() == [], "once more does no harm"

    asyncio.run(main())
    assert (tmp_path / "logs" / "a-1.log").read_text() == "start 1\n"
    assert (tmp_path / "configuration" / "b-1-told.txt").read_text() == "I am b-1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["configuration", "logs"]
