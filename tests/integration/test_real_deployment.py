"""Nine nats-servers behind Toxiproxy: real faults bite, heal without trace; clients mean what they say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lab.backends.jetstream.client import JetStreamClient
from lab.backends.jetstream.monitoring import majority, streams
from lab.clock import seeded
from lab.errors import OperationError, OperationFailed
from lab.events import WITNESS_BYTES, WitnessReading
from lab.faults.deaf import DeafFault
from lab.faults.latency import LatencyFault
from lab.faults.mute import MuteFault
from lab.faults.none import NoFault
from lab.faults.partition import PartitionFault
from lab.faults.pause import PauseFault
from lab.faults.rate import RateFault
from lab.faults.restart import RestartFault
from lab.protocols import Deployment, Entry, FaultContext, Rate
from lab.topology import Link
from tests.integration.conftest import Lab

REFILLED_WITHIN_S = 30
Pairs = dict[tuple[str, str], int]


async def until(what: str, condition: Callable[[], Awaitable[Any]], within_s: float = REFILLED_WITHIN_S) -> None:
    """Wait until the condition is met; the last thing it said is in the failure."""
    deadline_s = time.monotonic() + within_s
    said: Any = None
    while time.monotonic() < deadline_s:
        said = await condition()
        if said is True:
            return
        await asyncio.sleep(0.25)
    pytest.fail(f"not {what} within {within_s} s: {said}")


async def full_pool(deployment: Deployment) -> Pairs:
    """Connections per pair, once they stay the same for two seconds."""
    backend: Any = deployment.backend
    last, since_s = {}, time.monotonic()
    while time.monotonic() - since_s < 2 or not last:
        now = await backend.connections(deployment)
        if now != last:
            last, since_s = now, time.monotonic()
        await asyncio.sleep(0.25)
    return last


def test_every_pair_of_nodes_is_connected_through_proxies_only(real_lab: Lab) -> None:
    deployment = real_lab.deployment
    pairs = real_lab(full_pool(deployment))
    names = [node.name for node in deployment.topology.nodes]
    assert set(pairs) == {(a, b) for a in names for b in names if a != b}
    assert real_lab(deployment.runtime.crossings()) == []
    assert real_lab(deployment.network.verify()) == []
    assert real_lab(deployment.runtime.dead()) == []


@pytest.mark.parametrize(
    ("fault", "kind", "answers"),
    [
        pytest.param(NoFault(), None, {"ok"}, id="none"),
        pytest.param(LatencyFault("sg", (400, 600)), "latency", {"ok", "silent"}, id="latency"),
        pytest.param(PartitionFault("sg", "stall"), "bandwidth", {"silent"}, id="stall"),
        pytest.param(PartitionFault("sg", "blackhole"), "timeout", {"silent"}, id="blackhole"),
        pytest.param(PartitionFault("sg", "refuse"), None, {"refused"}, id="refuse"),
        pytest.param(DeafFault("sg"), "bandwidth", {"silent"}, id="deaf"),
        pytest.param(MuteFault("sg", "blackhole"), "timeout", {"silent"}, id="mute"),
        pytest.param(RateFault("sg", 16), "bandwidth", {"ok", "silent"}, id="rate"),
    ],
)
def test_a_fault_bites_and_heals_without_trace(real_lab: Lab, fault: Any, kind: str | None, answers: set[str]) -> None:
    real_lab(_bites_and_heals(real_lab.deployment, fault, kind, answers))


async def _bites_and_heals(deployment: Deployment, fault: Any, kind: str | None, answers: set[str]) -> None:
    network: Any = deployment.network
    context = FaultContext(deployment.topology, "process", deployment.backend, seeded(1, "test"))
    impairments = fault.impairments(context)
    harmed = set(impairments)
    before_state, before_pairs = network._api.state(), await full_pool(deployment)
    readings: list[WitnessReading] = []
    witnesses = {link: network.witness(link, readings.append) for link in deployment.topology.links}

    async def ask() -> dict[Link, WitnessReading]:
        readings.clear()
        await asyncio.gather(*(witness.probe("run") for witness in witnesses.values()))
        return {Link(r.source, r.target): r for r in readings}

    for _ in range(2):
        await ask()
    async with fault.apply(deployment, impairments):
        for _ in range(3):
            seen = await ask()
        assert await network.verify() == []
        for link, reading in seen.items():
            base_ms = deployment.topology.one_way_ms(link)
            if link not in harmed:
                assert (reading.answer, reading.delay_ms < base_ms + 150) == ("ok", True), link
            elif isinstance(impairments[link], Rate):
                assert reading.delay_ms >= base_ms + WITNESS_BYTES / 16 - 20, link
            elif kind == "latency":
                added_ms = impairments[link].ms
                assert base_ms + added_ms - 2 <= reading.delay_ms < base_ms + added_ms + 150, link
            else:
                assert reading.answer in answers, link
        if kind:
            _every_backend_proxy_bears_it(deployment, harmed, kind)
    assert await network.verify() == []
    assert network._api.state() == before_state
    await asyncio.gather(*(witness.close() for witness in witnesses.values()))

    async def refilled() -> Any:
        now = await deployment.backend.connections(deployment)  # type: ignore[attr-defined]
        return {pair: now.get(pair, 0) for pair, n in before_pairs.items() if now.get(pair, 0) < n} or True

    await until("all routes back", refilled)
    await until("quiet", lambda: deployment.backend.quiet(deployment))
    assert await deployment.runtime.crossings() == []


@pytest.mark.parametrize(
    ("fault", "nodes", "state"),
    [
        pytest.param(RestartFault("sg", how="kill"), {"sg-1", "sg-2", "sg-3"}, "gone", id="kill"),
        pytest.param(RestartFault(nodes=("sg-2",), how="terminate"), {"sg-2"}, "gone", id="terminate"),
        pytest.param(RestartFault(nodes=("sg-3",), how="lame_duck"), {"sg-3"}, "gone", id="lame duck"),
        pytest.param(PauseFault("sg"), {"sg-1", "sg-2", "sg-3"}, "paused", id="pause"),
    ],
)
def test_nodes_are_harmed_and_come_back(real_lab: Lab, fault: Any, nodes: set[str], state: str) -> None:
    real_lab(_harmed_and_back(real_lab.deployment, fault, nodes, state))


async def _harmed_and_back(deployment: Deployment, fault: Any, nodes: set[str], state: str) -> None:
    runtime: Any = deployment.runtime
    before_pairs, before = await full_pool(deployment), dict(runtime._processes)
    async with fault.apply(deployment, {}):
        for node, read in (await runtime.states()).items():
            assert read == (state if node in nodes else "running"), node
        assert await runtime.dead() == []
    for node, read in (await runtime.states()).items():
        assert read == "running", node
        assert (runtime._processes[node] is before[node]) == (state == "paused" or node not in nodes)
    if fault.targets and getattr(fault, "how", "") == "lame_duck":
        assert any("lame duck" in line for line in runtime.logs("sg-3"))

    async def refilled() -> Any:
        now = await deployment.backend.connections(deployment)  # type: ignore[attr-defined]
        return {pair: now.get(pair, 0) for pair, n in before_pairs.items() if now.get(pair, 0) < n} or True

    await until("all routes back", refilled)
    await until("quiet", lambda: deployment.backend.quiet(deployment))
    assert await runtime.crossings() == []


def _every_backend_proxy_bears_it(deployment: Deployment, harmed: set[Link], kind: str) -> None:
    """Both proxies of each pair, in the direction of the link, whoever dialled."""
    network: Any = deployment.network
    toxics, _ = network._api.state()
    harms = {(t.proxy, t.stream) for t in toxics if t.type == kind and not t.name.startswith("base")}
    region_of = {node.name: node.region for node in deployment.topology.nodes}
    expected = {(f"witness.{link.source}.{link.target}", "upstream") for link in harmed}
    for key in deployment.addresses.proxies:
        dialler, node, _ = key.split("/")
        for link, stream in (
            (Link(dialler, region_of[node]), "upstream"),
            (Link(region_of[node], dialler), "downstream"),
        ):
            if link in harmed:
                expected.add((key.replace("/", "."), stream))
    assert harms == expected


# -- leaders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"us": ["us"], "eu": ["eu"], "sg": ["sg"], "meta": ["us", "eu"]}, id="home"),
        pytest.param({subject: ["sg"] for subject in ("us", "eu", "sg", "meta")}, id="faulted"),
        pytest.param({subject: ["us", "eu"] for subject in ("us", "eu", "sg", "meta")}, id="elsewhere"),
    ],
)
def test_leaders_are_placed(real_lab: Lab, wanted: dict[str, list[str]]) -> None:
    deployment = real_lab.deployment

    async def main() -> None:
        await deployment.backend.place_leaders(deployment, wanted)  # type: ignore[attr-defined]
        samples = await deployment.backend.sample(deployment)
        leaders = {(s.subject, s.text.partition("-")[0]) for s in samples if s.name == "leader" and s.text}
        assert all(region in wanted[subject] for subject, region in leaders), leaders
        assert {subject for subject, _ in leaders} == set(wanted)

    real_lab(main())


# -- what clients mean -----------------------------------------------------------------------------------


@pytest.fixture
def clients(real_lab: Lab) -> Any:
    deployment = real_lab.deployment
    made: dict[str, JetStreamClient] = {}

    async def connected(region: str) -> JetStreamClient:
        client = JetStreamClient(deployment.backend.client(deployment.addresses, deployment.topology, region))
        await client.connect()
        return client

    for region in deployment.topology.regions:
        made[region] = real_lab(connected(region))
    yield made
    for client in made.values():
        real_lab(client.close())


async def refusal(call: Awaitable[Any]) -> str:
    with pytest.raises(OperationFailed) as refused:
        await call
    return refused.value.code


def test_keys_are_written_read_and_guarded_by_revisions(real_lab: Lab, clients: Any) -> None:
    async def main() -> None:
        us = clients["us"]

        async def becomes(expected: Any, read: Callable[[], Awaitable[Any]]) -> None:
            """Any replica may answer a read (direct: on), so what was just written may take a moment."""
            await until(f"reading {expected}", lambda: _is(read(), expected), within_s=5)

        assert await us.get("eu", "m.absent") is None
        first = await us.put("eu", "m.1", "one")
        second = await us.put("eu", "m.1", "two")
        assert second > first, "revisions sort as the versions do"
        await becomes(Entry("m.1", "two", second), lambda: us.get("eu", "m.1"))
        assert await refusal(us.create("eu", "m.1", "again")) == "wrong_revision"
        assert await refusal(us.update("eu", "m.1", "three", first)) == "wrong_revision"
        third = await us.update("eu", "m.1", "three", second)
        assert third > second
        empty = await us.put("eu", "m.2", "")
        await becomes(["m.1", "m.2"], lambda: us.keys("eu"))
        await becomes(Entry("m.2", "", empty), lambda: us.get("eu", "m.2"))
        for key in ("m.1", "m.2"):
            await us.delete("eu", key)
            await becomes(None, lambda key=key: us.get("eu", key))  # type: ignore[misc]
        await becomes([], lambda: us.keys("eu"))
        assert await us.create("eu", "m.1", "reborn") > third
        await us.delete("eu", "m.1")
        await us.delete("eu", "m.never")

    real_lab(main())


def test_a_write_is_seen_in_every_region(real_lab: Lab, clients: Any) -> None:
    async def main() -> None:
        revision = await clients["sg"].put("sg", "s.1", "hello")
        for region, client in clients.items():

            async def seen(client: Any = client) -> bool:
                return bool(await client.get("sg", "s.1") == Entry("s.1", "hello", revision))

            await until(f"seen in {region}", seen, within_s=5)
        await clients["sg"].delete("sg", "s.1")

    real_lab(main())


def test_a_watch_gives_initial_values_then_none_then_changes(real_lab: Lab, clients: Any) -> None:
    async def main() -> None:
        us, eu = clients["us"], clients["eu"]
        for number in (1, 2):
            await us.put("us", f"w.{number}", str(number))
        await us.put("us", "other.1", "not asked for")
        async with eu.watch("us", "w.*") as entries:
            initial = {(await asyncio.wait_for(anext(entries), 5)).key for _ in range(2)}
            assert initial == {"w.1", "w.2"}
            assert await asyncio.wait_for(anext(entries), 5) is None
            await us.put("us", "other.1", "still not asked for")
            revision = await us.put("us", "w.3", "three")
            assert await asyncio.wait_for(anext(entries), 5) == Entry("w.3", "three", revision)
        async with eu.watch("us", "nothing.*") as entries:
            assert await asyncio.wait_for(anext(entries), 5) is None, "None also when there is nothing"

    real_lab(main())


def test_closing_a_watch_deletes_its_consumer(real_lab: Lab, clients: Any) -> None:
    async def main() -> None:
        us = clients["us"]

        async def consumers() -> int:
            info = await us._js.stream_info("KV_us")
            return int(info.state.consumer_count)

        before = await consumers()
        async with us.watch("us", ">") as one, us.watch("us", ">") as other:
            await asyncio.wait_for(anext(one), 5)
            await asyncio.wait_for(anext(other), 5)
            assert await consumers() == before + 2

        async def gone() -> Any:
            return await consumers() == before or await consumers()

        await until("all consumers gone", gone, within_s=5)

    real_lab(main())


def test_a_client_whose_region_is_dead_does_not_wait_for_ever(real_lab: Lab, clients: Any) -> None:
    """Clients know the servers of their own region only: with those frozen, a call ends by its deadline."""
    deployment = real_lab.deployment

    async def main() -> None:
        nodes = [node.name for node in deployment.topology.nodes_of("eu")]
        for name in nodes:
            await deployment.runtime.pause(name)
        try:
            with pytest.raises((TimeoutError, OperationError)):
                async with asyncio.timeout(2):
                    await clients["eu"].put("eu", "m.3", "late")
        finally:
            for name in nodes:
                await deployment.runtime.resume(name)
        await until("quiet", lambda: deployment.backend.quiet(deployment))

    real_lab(main())


# -- nodes come and go -------------------------------------------------------------------------------


def test_a_killed_node_is_told_and_comes_back(real_lab: Lab) -> None:
    deployment = real_lab.deployment

    async def main() -> None:
        runtime: Any = deployment.runtime
        before = await full_pool(deployment)
        spec = next(s for s in deployment.backend.nodes(deployment.topology, deployment.addresses) if s.name == "eu-2")
        runtime._processes["eu-2"].kill()  # behind the runtime's back
        await until("told dead", lambda: _is(runtime.dead(), ["eu-2"]), within_s=3)
        await runtime.start(spec)
        assert await runtime.dead() == []

        async def formed() -> Any:
            missing = await deployment.backend._formed(deployment)  # type: ignore[attr-defined]
            return missing or await deployment.backend._at_rest(deployment) or True  # type: ignore[attr-defined]

        await until("ready again", formed)
        await until("all routes back", lambda: _is(_as_many(deployment, before), True))
        assert await runtime.crossings() == [], "gossip did not find a way round the proxies"
        holds = streams((await deployment.backend._watching.all("/jsz?accounts=1&streams=1"))["eu-2"])  # type: ignore[attr-defined]
        assert isinstance(holds, dict)

    real_lab(main())


async def _is(what: Awaitable[Any], expected: Any) -> Any:
    found = await what
    return found == expected or found


async def _as_many(deployment: Deployment, before: Pairs) -> Any:
    now = await deployment.backend.connections(deployment)  # type: ignore[attr-defined]
    return all(now.get(pair, 0) >= count for pair, count in before.items()) or now


def test_every_server_agrees_on_one_leader_each(real_lab: Lab) -> None:
    async def main() -> None:
        jsz = await real_lab.deployment.backend._watching.all("/jsz?accounts=1&streams=1")  # type: ignore[attr-defined]
        assert len(jsz) == 9
        assert set(majority(jsz)) == {"meta", "us", "eu", "sg"}
        assert all(majority(jsz).values())

    real_lab(main())
