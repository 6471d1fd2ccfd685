"""What every network promises: harm goes one way, lasts as long as its context, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.errors import NetworkBroken
from lab.events import WitnessReading
from lab.network.toxiproxy.api import Toxic
from lab.network.toxiproxy.proxies import ToxiproxyNetwork
from lab.protocols import TOXIPROXY, Cut, Impairment, Latency, Rate
from tests.contract.road import AB, BA, EVERY, ROADS, RTT_MS, ToxiproxyRoad, toxiproxy_road

BASE_MS = RTT_MS / 2
SLACK_MS = 60.0  # a busy machine adds some; none of the harms below is that small
IMPAIRMENTS = [
    pytest.param(Latency(300), id="latency"),
    pytest.param(Rate(1), id="rate"),
    pytest.param(Cut("stall"), id="stall"),
    pytest.param(Cut("blackhole"), id="blackhole"),
    pytest.param(Cut("refuse"), id="refuse"),
]


def every_network(scenario: Callable[[Any], Awaitable[None]]) -> Callable[..., None]:
    """Run a scenario on a road of each network."""

    @pytest.mark.parametrize("network", EVERY)
    def test(tmp_path: Path, network: str) -> None:
        async def main() -> None:
            async with ROADS[network](tmp_path) as road:
                await scenario(road)

        asyncio.run(main())

    return test


def on_toxiproxy(tmp_path: Path, scenario: Callable[[ToxiproxyRoad], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with toxiproxy_road(tmp_path) as road:
            await scenario(road)

    asyncio.run(main())


def about(expected_ms: float, found: list[float | None]) -> bool:
    return all(ms is not None and expected_ms - 2 <= ms <= expected_ms + SLACK_MS for ms in found)


# -- every network ----------------------------------------------------------------------------------


@every_network
async def test_latency_goes_one_way_whoever_dialled(road: Any) -> None:
    assert about(BASE_MS, await road.travel_ms(AB))
    async with road.network.harm({AB: Latency(300)}):
        assert about(BASE_MS + 300, await road.travel_ms(AB))
        assert about(BASE_MS, await road.travel_ms(BA))
        assert await road.network.verify() == []
    assert about(BASE_MS, await road.travel_ms(AB))
    assert await road.network.verify() == []


@every_network
async def test_leaving_removes_only_what_it_added(road: Any) -> None:
    async with AsyncExitStack() as outer:
        inner = AsyncExitStack()
        await inner.enter_async_context(road.network.harm({AB: Latency(200)}))
        await outer.enter_async_context(road.network.harm({AB: Latency(300)}))
        assert about(BASE_MS + 500, await road.travel_ms(AB))
        await inner.aclose()  # not in the order they were entered
        assert about(BASE_MS + 300, await road.travel_ms(AB))
        assert await road.network.verify() == []
    assert about(BASE_MS, await road.travel_ms(AB))


@every_network
async def test_equal_harms_are_counted_not_merged(road: Any) -> None:
    async with road.network.harm({AB: Latency(200)}):
        async with road.network.harm({AB: Latency(200)}):
            assert about(BASE_MS + 400, await road.travel_ms(AB))
        assert about(BASE_MS + 200, await road.travel_ms(AB))


@every_network
async def test_stall_loses_nothing(road: Any) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(road.network.harm({AB: Cut("stall")}))
        on_its_way = asyncio.create_task(road.travel_ms(AB, within_s=10))
        await asyncio.sleep(0.5)
        assert not on_its_way.done()
        await stack.aclose()
        came = await on_its_way
        assert all(ms is not None and ms >= 500 for ms in came)
    assert about(BASE_MS, await road.travel_ms(AB))


@every_network
async def test_cancelled_in_the_body_heals(road: Any) -> None:
    async def body() -> None:
        async with road.network.harm({AB: Latency(300)}):
            await asyncio.sleep(60)

    task = asyncio.create_task(body())
    await asyncio.sleep(0.3)
    assert about(BASE_MS + 300, await road.travel_ms(AB))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert about(BASE_MS, await road.travel_ms(AB))
    assert await road.network.verify() == []


@every_network
async def test_witness_reads_one_direction(road: Any) -> None:
    readings: list[WitnessReading] = []
    there, back = (road.network.witness(link, readings.append) for link in (AB, BA))
    async with road.network.harm({AB: Latency(300)}):
        for _ in range(2):  # the first may still have to connect
            await asyncio.gather(there.probe("run"), back.probe("run"))
    await asyncio.gather(there.close(), back.close())
    [out], [home] = ([r for r in readings[2:] if r.source == source] for source in "ab")
    assert (out.answer, home.answer) == ("ok", "ok")
    assert about(BASE_MS + 300, [out.delay_ms])
    assert about(BASE_MS, [home.delay_ms])


# -- Toxiproxy only: what real connections live through ----------------------------------------------


def expected_toxics(road: ToxiproxyRoad) -> int:
    """The topology's own delays: both directions of both proxies, and both witnesses."""
    toxics, _ = road.api.state()
    return len(toxics)


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
def test_every_impairment_enters_and_leaves_without_trace(tmp_path: Path, impairment: Impairment) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        before = road.api.state()
        for _ in range(2):
            async with road.network.harm({AB: impairment}), road.network.harm({BA: impairment}):
                assert road.api.state() != before
                assert await road.network.verify() == []
            assert road.api.state() == before
            assert await road.network.verify() == []
        near, far = await road.dial("a")  # new connections work again
        near.send("hello")
        assert await far.line(2) == "hello"

    on_toxiproxy(tmp_path, scenario)


def test_rate_is_kept_in_one_direction(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        async def takes_s(link: Any, way: int) -> float:
            sender, receiver = road.ways[link][way]
            begun_s = time.monotonic()
            sender.send("x" * 20_000)
            assert len(await receiver.line(10) or "") == 20_000
            return time.monotonic() - begun_s

        async with road.network.harm({AB: Rate(20)}):
            for way in (0, 1):
                assert 0.8 < await takes_s(AB, way) < 3
                assert await takes_s(BA, way) < 0.5

    on_toxiproxy(tmp_path, scenario)


@pytest.mark.parametrize(
    ("how", "survive", "arrives"),
    [("stall", True, True), ("blackhole", False, False), ("refuse", False, False)],
)
def test_what_a_cut_does_to_connections(tmp_path: Path, how: str, survive: bool, arrives: bool) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        ways = [*road.ways[AB], *road.ways[BA]]
        async with road.network.harm({AB: Cut(how)}), road.network.harm({BA: Cut(how)}):
            for sender, _ in ways:
                sender.send("during")
            for _, receiver in ways:
                got = await receiver.line(0.3)
                assert got == ("" if how == "refuse" else None)
        for sender, receiver in ways:
            got = await receiver.line(3)
            assert got == ("during" if arrives else "")
            if survive:
                sender.send("after")
                assert await receiver.line(3) == "after"

    on_toxiproxy(tmp_path, scenario)


def test_close_after_overrules_what_a_cut_does_by_itself(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        near, far = road.ways[AB][0]
        async with road.network.harm({AB: Cut("stall")}, close_after=True):
            pass
        assert await near.closed() and await far.closed()
        near, far = await road.dial("a")
        async with road.network.harm({AB: Latency(10)}):
            pass
        near.send("alive")
        assert await far.line(2) == "alive"

    on_toxiproxy(tmp_path, scenario)


def test_one_way_blackhole_lets_the_other_way_through(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        async with road.network.harm({AB: Cut("blackhole")}):
            assert await road.travel_ms(AB, within_s=0.4) == [None, None]
            assert about(BASE_MS, await road.travel_ms(BA))

    on_toxiproxy(tmp_path, scenario)


def test_refuse_is_counted(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        async def refused() -> bool:
            try:
                await road.dial("a")
            except ConnectionError:
                return True
            return False

        first, second = AsyncExitStack(), AsyncExitStack()
        for link in (AB, BA):
            await first.enter_async_context(road.network.harm({link: Cut("refuse")}))
            await second.enter_async_context(road.network.harm({link: Cut("refuse")}))
        assert await refused()
        await first.aclose()
        assert await refused(), "someone still refuses it"
        assert await road.network.verify() == []
        await second.aclose()
        assert not await refused()
        assert await road.network.verify() == []

    on_toxiproxy(tmp_path, scenario)


def test_a_blackhole_healed_in_mid_refusal_does_not_open_the_link(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        hole = AsyncExitStack()
        await hole.enter_async_context(road.network.harm({AB: Cut("blackhole")}))
        async with road.network.harm({AB: Cut("refuse")}), road.network.harm({BA: Cut("refuse")}):
            await hole.aclose()
            assert await road.network.verify() == []
            with pytest.raises(ConnectionError):
                await road.dial("a")
        assert await road.network.verify() == []

    on_toxiproxy(tmp_path, scenario)


@pytest.mark.parametrize("impairment", IMPAIRMENTS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_cancelled_while_entering_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impairment: Impairment, times: int
) -> None:
    """Cancelled in the middle of its first steps, and again while it heals."""

    async def scenario(road: ToxiproxyRoad) -> None:
        before = road.api.state()
        reached, body = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in ("add", "enable", "remove"):
            original = getattr(road.api, name)

            def slowly(*args: Any, original: Any = original) -> None:
                loop.call_soon_threadsafe(reached.set)
                time.sleep(0.05)
                original(*args)

            monkeypatch.setattr(road.api, name, slowly)

        async def harmed() -> None:
            async with road.network.harm({AB: impairment}):
                body.set()

        task = asyncio.create_task(harmed())
        await reached.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.08)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not body.is_set()
        assert road.api.state() == before, "healed by the time the cancelled task is done"
        assert await road.network.verify() == []

    on_toxiproxy(tmp_path, scenario)


def test_verify_notices_what_was_done_behind_its_back(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        proxy = "a.b-1.wan"
        stranger = Toxic(proxy, "stranger", "latency", "upstream", (("latency", 5),))
        road.api.add(stranger)
        assert await road.network.verify() == [f"{proxy} has latency (upstream) left over"]
        road.api.remove(stranger)
        assert await road.network.verify() == []
        async with road.network.harm({AB: Rate(100)}):
            [gone] = [t for t in road.network._wanted if t.proxy == proxy and t.type == "bandwidth"]
            road.api.remove(gone)
            assert await road.network.verify() == [f"{proxy} lacks bandwidth (upstream)"]
        road.api.enable(proxy, False)
        assert await road.network.verify() == [f"{proxy} should be on"]

    on_toxiproxy(tmp_path, scenario)


def test_a_heal_that_fails_half_way_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        original, calls = road.api.remove, 0

        def fails_once(toxic: Toxic) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise NetworkBroken("Toxiproxy answered 503.")
            original(toxic)

        monkeypatch.setattr(road.api, "remove", fails_once)
        with pytest.raises(NetworkBroken, match="503"):
            async with road.network.harm({AB: Latency(300)}):
                pass
        left = await road.network.verify()
        assert len(left) == 1 and "left over" in left[0], "all others were healed, and this one is known"

    on_toxiproxy(tmp_path, scenario)


def test_toxiproxy_killed_is_a_sentence_within_seconds(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        await road.runtime.stop(TOXIPROXY, signal.SIGKILL)
        begun_s = time.monotonic()
        with pytest.raises(NetworkBroken, match=r"^Toxiproxy does not answer when .*\.$"):
            async with road.network.harm({AB: Latency(300)}):
                pass
        with pytest.raises(NetworkBroken, match="does not answer"):
            await road.network.verify()
        assert time.monotonic() - begun_s < 8

    on_toxiproxy(tmp_path, scenario)


def test_toxiproxy_frozen_is_a_sentence_within_seconds(tmp_path: Path) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        await road.runtime.pause(TOXIPROXY)
        begun_s = time.monotonic()
        with pytest.raises(NetworkBroken, match="does not answer"):
            await road.network.verify()
        assert time.monotonic() - begun_s < 12
        await road.runtime.resume(TOXIPROXY)
        assert await road.network.verify() == []

    on_toxiproxy(tmp_path, scenario)


def test_toxiproxy_that_never_comes_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.network.toxiproxy.proxies.READY_WITHIN_S", 0.5)

    async def scenario(road: ToxiproxyRoad) -> None:
        await road.runtime.stop(TOXIPROXY, signal.SIGKILL)
        with pytest.raises(NetworkBroken, match=r"Toxiproxy did not answer on 127.0.0.1:\d+ within 0.5 s"):
            await ToxiproxyNetwork().open(road.network._topology, road.addresses)

    on_toxiproxy(tmp_path, scenario)


@pytest.mark.parametrize(
    ("how", "during", "after"),
    [
        ("stall", ["silent", "silent"], "ok"),
        ("blackhole", ["silent", "silent"], "closed"),
        ("refuse", ["refused", "refused"], "ok"),
    ],
)
def test_witness_tells_the_cuts_apart(tmp_path: Path, how: str, during: list[str], after: str) -> None:
    async def scenario(road: ToxiproxyRoad) -> None:
        readings: list[WitnessReading] = []
        witness = road.network.witness(AB, readings.append)
        await witness.probe("attest")
        async with road.network.harm({AB: Cut(how)}), road.network.harm({BA: Cut(how)}):
            for _ in range(2):
                await witness.probe("run")
        for _ in range(2):
            await witness.probe("run")
        await witness.close()
        assert [r.answer for r in readings] == ["ok", *during, after, "ok"]
        assert [r.stage for r in readings] == ["attest", *["run"] * 4]
        assert about(BASE_MS, [readings[-1].delay_ms])

    on_toxiproxy(tmp_path, scenario)


def test_a_proxy_configured_for_http_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "localhost")

    async def scenario(road: ToxiproxyRoad) -> None:
        readings: list[WitnessReading] = []
        witness = road.network.witness(AB, readings.append)
        async with road.network.harm({AB: Latency(100)}):
            await witness.probe("run")
        await witness.close()
        assert readings[0].answer == "ok"
        assert await road.network.verify() == []

    on_toxiproxy(tmp_path, scenario)


def test_killed_with_sigkill_leaves_no_process(tmp_path: Path) -> None:
    """The road itself cleans up: nothing of these tests may stay behind."""
    pids: list[int] = []

    async def scenario(road: ToxiproxyRoad) -> None:
        pids.append(road.runtime._processes[TOXIPROXY].pid)
        os.kill(pids[0], signal.SIGSTOP)

    on_toxiproxy(tmp_path, scenario)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
