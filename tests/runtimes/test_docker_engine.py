"""On a real engine: what is made for a run does not collide, and all of it is found again by its label."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab import reaper
from lab.errors import NodeNotReady
from lab.protocols import RunFiles
from lab.runtimes.docker import engine, leftovers, networks
from lab.runtimes.docker.bypass import Dial, ways_round
from lab.runtimes.docker.runtime import DockerRuntime
from tests.contract.runtimes import POLITE, RUNTIMES, TOPOLOGY, Ports, node, until

pytestmark = pytest.mark.docker
SERVES = """
import socket
server = socket.create_server(("0.0.0.0", 7002))
print("start 1", flush=True)
while True:
    server.accept()
"""


@pytest.fixture
def client() -> Iterator[Any]:
    made = engine.connected()
    yield made
    made.close()


def left(client: Any, directory: Path) -> tuple[int, int]:
    """(containers, networks) of a run."""
    mine = engine.of_run(directory)
    return len(client.api.containers(all=True, filters=mine)), len(client.api.networks(filters=mine))


def test_runs_that_begin_at_once_get_networks_that_do_not_overlap(tmp_path: Path, client: Any) -> None:
    runs = [tmp_path / f"run{number}" for number in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda run: networks.create(client, run, ["a", "b", "c"]), runs))
        subnets = [subnet for one in made for _, subnet in one.values()]
        assert len(subnets) == 12
        assert not [1 for i, one in enumerate(subnets) for other in subnets[:i] if one.overlaps(other)]
    finally:
        for run in runs:
            leftovers.remove(client, run)
    assert [left(client, run) for run in runs] == [(0, 0)] * 4


def test_a_subnet_that_was_taken_in_the_last_moment_is_passed_over(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    try:
        [(_, taken)] = networks.create(client, one, ["a"]).values()
        nothing_known: list[IPv4Network] = []
        monkeypatch.setattr(networks, "_of_engine", lambda _: nothing_known)
        monkeypatch.setattr(networks, "_of_machine", lambda: nothing_known)
        [(_, found)] = networks.create(client, other, ["a"]).values()
        assert not found.overlaps(taken)
    finally:
        leftovers.remove(client, one)
        leftovers.remove(client, other)


def test_what_is_published_is_so_on_loopback_alone_and_limits_are_set(tmp_path: Path, client: Any) -> None:
    async def main() -> None:
        async with RUNTIMES["docker"](tmp_path) as (runtime, _):
            await runtime.start(node("a-1", POLITE))
            found = client.api.inspect_container(runtime._containers["a-1"])
            bindings = [one for several in found["NetworkSettings"]["Ports"].values() for one in several or []]
            assert {one["HostIp"] for one in bindings} == {"127.0.0.1"} and len(bindings) == 1
            host = found["HostConfig"]
            assert host["Memory"] == host["MemorySwap"] == 512 * 2**20
            assert host["CapDrop"] == ["ALL"] and not host["Privileged"]
            assert host["RestartPolicy"]["Name"] in ("", "no")
            assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "2"}}
            assert found["Config"]["Labels"][engine.RUN] == str(tmp_path)
            assert found["Config"]["Labels"][engine.USER] == str(os.getuid())
            assert found["Mounts"] == []

    asyncio.run(main())


def test_a_way_round_is_found_by_dialling(tmp_path: Path, client: Any) -> None:
    """As on an engine that connects its networks: region b's look is made from a's network."""

    async def main() -> None:
        async with RUNTIMES["docker"](tmp_path) as (runtime, _):
            await asyncio.gather(runtime.start(node("a-1", SERVES)), runtime.start(node("b-1", POLITE)))
            await until("a-1's log", lambda: runtime.logs("a-1"), ["start 1"])
            layout = runtime._layout
            assert layout.ports_of("a-1")["q"] == 7002
            dials = [
                Dial(region, "a-1", f"{layout.ip_of('a-1')}:7002", own=region == "a") for region in TOPOLOGY.regions
            ]
            image = runtime._places[("toxiproxy-server", "")]
            apart = await asyncio.to_thread(ways_round, client, tmp_path, image, runtime._networks, dials)
            assert apart == [
                "from the network of b not even its own nodes could be dialled, so it is not known whether there is "
                "a way round the proxies"
            ]
            joined = {"a": runtime._networks["a"], "b": runtime._networks["a"]}
            [found, _] = await asyncio.to_thread(ways_round, client, tmp_path, image, joined, dials)
            assert found.startswith(f"a-1 answers at {layout.ip_of('a-1')}:7002 from the network of b, with no proxy")
            assert "isolate=true" in found and "firewall" in found
            assert left(client, tmp_path)[0] == 2, "the diallers are gone"

    asyncio.run(main())


def test_leftovers_of_one_run_go_and_all_others_stay(tmp_path: Path, client: Any) -> None:
    one, other, image = tmp_path / "one", tmp_path / "other", DockerRuntime.find("toxiproxy-server", "", print).place
    one.mkdir()

    def stand(run: Path, **labels: str) -> str:
        made: dict[str, str] = client.api.create_container(image, [], labels={**engine.labels_of(run, "n-1"), **labels})
        return made["Id"]

    strangers = stand(other, **{engine.USER: "4242"})
    try:
        client.api.start(stand(one))
        networks.create(client, one, ["a"])
        gone = leftovers.remove_in_time(one, 30)
        assert (gone.containers, gone.networks) == (1, 1)
        assert left(client, one) == (0, 0) and left(client, other) == (1, 0)
        assert (one / "logs" / "n-1.log").exists(), "what it said is kept"
    finally:
        client.api.remove_container(strangers, force=True)


def test_clean_takes_dead_runs_of_this_user_alone(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    long_dead = {engine.MAKER: f"{os.getpid()}@1000"}  # the number was given to another process since: this one
    kinds = {
        "dead": long_dead,
        "alive": {},
        "run": long_dead,  # by somebody else, and its runner lives
        "theirs": long_dead | {engine.USER: "4242"},
        "unstated": {engine.MAKER: ""},
    }
    runs = {name: tmp_path / name for name in kinds}
    monkeypatch.setattr(reaper, "marked", lambda *_: iter([(None, str(runs["run"]))]))
    monkeypatch.setattr(reaper, "_is_runner", lambda _: True)
    honest, found = engine.labels_of, leftovers.dead_runs
    monkeypatch.setattr(leftovers, "dead_runs", lambda *given: found(*given) & set(runs.values()))  # others' stay
    monkeypatch.setattr(networks, "labels_of", lambda run: honest(run) | kinds[run.name])
    try:
        for run in runs.values():
            networks.create(client, run, ["a"])
        assert reaper.clean() == reaper.Ended(processes=0, containers=0, networks=1)
        assert {name: left(client, run)[1] for name, run in runs.items()} == dict.fromkeys(runs, 1) | {"dead": 0}
    finally:
        for run in runs.values():
            leftovers.remove(client, run)


class Relay:
    """A socket before the engine's, which can go away and come back as an engine's does that restarts."""

    def __init__(self, path: Path) -> None:
        self.path, self._to = path, (engine._address().removeprefix("unix://"))
        self._listening: socket.socket | None = None
        self._open: list[socket.socket] = []

    def up(self) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def down(self) -> None:
        assert self._listening is not None
        for one in [self._listening, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()
        self.path.unlink()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._to)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.slow
def test_an_engine_that_goes_away_is_a_sentence_and_the_reaper_waits_for_it(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, run = Relay(tmp_path / "engine.sock"), tmp_path / "run"
    relay.up()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")

    async def main() -> None:
        async with RUNTIMES["docker"](run) as (runtime, _):
            await runtime.start(node("a-1", POLITE))
            relay.down()
            with pytest.raises(
                NodeNotReady, match=r"the nodes' states can't be read: the container engine says: .*\.$"
            ):
                await runtime.states()
            began_s = time.monotonic()
            [sentence] = await runtime.close()
            assert time.monotonic() - began_s < 10
            assert "could not be asked to remove this run's containers" in sentence or "did not remove" in sentence

    asyncio.run(main())
    assert left(client, run) == (1, 2), "nobody could remove them"
    threading.Timer(2, relay.up).start()
    gone = leftovers.remove_in_time(run, 60)
    assert (gone.containers, gone.networks) == (1, 2)
    assert left(client, run) == (0, 0)
    relay.down()


@pytest.mark.slow
def test_a_container_that_can_not_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from docker.errors import APIError

    async def main() -> None:
        async with RUNTIMES["docker"](tmp_path) as (runtime, _):
            await runtime.start(node("a-1", POLITE))
            api, stuck = runtime._api, runtime._containers["a-1"]
            original = api.remove_container

            def refuses(container: str, **how: Any) -> None:
                if container == stuck:
                    raise APIError("500", explanation="device or resource busy")
                original(container, **how)

            monkeypatch.setattr(api, "remove_container", refuses)
            began_s = time.monotonic()
            said = await runtime.close()
            assert time.monotonic() - began_s < 10, "it never holds up the end"
            assert any(one.endswith("-a-1 could not be removed: device or resource busy") for one in said), said

    try:
        asyncio.run(main())
    finally:
        leftovers.remove_in_time(tmp_path, 30)


def test_a_port_that_is_taken_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with RUNTIMES["docker"](tmp_path) as (runtime, addresses):
            host, _, port = addresses.listen["a-1/p"].rpartition(":")
            taken = socket.create_server((host, int(port)))
            threading.Timer(1, taken.close).start()
            await runtime.start(node("a-1", POLITE))
            assert await runtime.states() == {"a-1": "running"}

    asyncio.run(main())


def test_opened_in_vain_nothing_is_left(tmp_path: Path, client: Any) -> None:
    async def main() -> None:
        runtime = DockerRuntime(RunFiles(tmp_path), {("python", ""): "no-such-image:ever"})
        await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
        with pytest.raises(NodeNotReady, match=r"^a-1 can't be started: the container engine says: .*no-such-image"):
            await runtime.start(node("a-1", POLITE))
        assert await runtime.close() == []

    asyncio.run(main())
    assert left(client, tmp_path) == (0, 0)
