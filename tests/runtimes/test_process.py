"""Nodes as processes: started, told dead, ended; and connections that go round the network are found."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from lab.errors import DoesNotFit, NodeNotReady
from lab.protocols import NodeSpec, RunFiles
from lab.runtimes.process import ProcessRuntime
from lab.topology import Topology

TOPOLOGY = Topology.model_validate(
    {"name": "t", "regions": {"a": {"nodes": 1}, "b": {"nodes": 1}}, "rtt_ms": {"a-b": 2}}
)
LISTEN = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
connection = server.accept()
time.sleep(99)
"""
DIAL = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
time.sleep(99)
"""


class Ports:
    ports: ClassVar[tuple[str, ...]] = ("p", "q")
    wan_ports: ClassVar[tuple[str, ...]] = ("q",)


def node(name: str, region: str, code: str, *arguments: str) -> NodeSpec:
    return NodeSpec(name, region, "python", "", ("-c", code, *arguments))


def in_runtime(
    folder: Path, scenario: Callable[[ProcessRuntime], Awaitable[None]], program: str = sys.executable
) -> None:
    async def main() -> None:
        runtime = ProcessRuntime(RunFiles(folder), {("python", ""): Path(program)})
        try:
            await scenario(runtime)
        finally:
            await runtime.close()

    asyncio.run(main())


async def says(runtime: ProcessRuntime, name: str, line: str) -> None:
    for _ in range(200):
        if line in runtime.logs(name):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{name} said {runtime.logs(name)}, expected {line}")


@pytest.mark.parametrize(
    ("region", "found"), [("b", ["n-1 and n-2 are connected without a proxy between them"]), ("a", [])]
)
def test_a_way_round_the_network_is_found(tmp_path: Path, region: str, found: list[str]) -> None:
    async def scenario(runtime: ProcessRuntime) -> None:
        addresses = await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
        port = addresses.listen["a-1/p"].rpartition(":")[2]
        await runtime.start(node("n-1", "a", LISTEN, port))
        await says(runtime, "n-1", "up")
        await runtime.start(node("n-2", region, DIAL, port))
        await says(runtime, "n-2", "up")
        assert await runtime.crossings() == found
        await runtime.stop("n-2", signal.SIGKILL)
        assert await runtime.crossings() == []

    in_runtime(tmp_path, scenario)


def test_an_image_is_refused_in_a_sentence() -> None:
    with pytest.raises(DoesNotFit, match=r"^@image:nats:2\.10 names an image.*RUNTIME=docker"):
        ProcessRuntime.find("nats-server", "image:nats:2.10", lambda sentence: None)


def test_every_address_is_allocated_once(tmp_path: Path) -> None:
    async def scenario(runtime: ProcessRuntime) -> None:
        addresses = await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
        assert set(addresses.listen) == {"a-1/p", "a-1/q", "b-1/p", "b-1/q"}
        assert set(addresses.proxies) == {"a/b-1/q", "b/a-1/q"}
        assert set(addresses.witnesses) == {"a->b", "b->a"}
        every = [
            *addresses.listen.values(),
            *addresses.proxies.values(),
            *addresses.witnesses.values(),
            addresses.toxiproxy,
        ]
        assert len(set(every)) == len(every)
        a, b = TOPOLOGY.nodes
        assert addresses.dial("a", a, "q") == addresses.listen["a-1/q"]
        assert addresses.dial("a", b, "q") == addresses.proxies["a/b-1/q"]

    in_runtime(tmp_path, scenario)


def test_only_those_nobody_ended_are_dead(tmp_path: Path) -> None:
    async def scenario(runtime: ProcessRuntime) -> None:
        for name, code in (
            ("dies", "print('last words')"),
            ("killed", "input()"),
            ("lives", "import time; time.sleep(99)"),
        ):
            await runtime.start(node(name, "a", code if name != "killed" else "import time; time.sleep(99)"))
        await runtime.stop("killed", signal.SIGKILL)
        await says(runtime, "dies", "last words")
        for _ in range(100):
            if await runtime.dead():
                break
            await asyncio.sleep(0.05)
        assert await runtime.dead() == ["dies"]
        await runtime.start(node("killed", "a", "import time; time.sleep(99)"))
        assert await runtime.dead() == ["dies"]

    in_runtime(tmp_path, scenario)


def test_a_program_that_can_not_be_started_is_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "program"
    broken.write_text("no program at all")
    broken.chmod(0o755)

    async def scenario(runtime: ProcessRuntime) -> None:
        with pytest.raises(NodeNotReady, match=r"node n-1 can't be started from .*program: Exec format error\."):
            await runtime.start(node("n-1", "a", ""))

    in_runtime(tmp_path, scenario, str(broken))


def test_closing_keeps_logs_and_configuration_and_drops_data(tmp_path: Path) -> None:
    async def scenario(runtime: ProcessRuntime) -> None:
        spec = node("n-1", "a", "open('data','w').write('x'); print('up', flush=True); import time; time.sleep(99)")
        await runtime.start(NodeSpec(**{**vars(spec), "files": {"server.conf": "port: 1"}}))
        await says(runtime, "n-1", "up")
        assert (tmp_path / "nodes" / "n-1" / "data").exists()

    in_runtime(tmp_path, scenario)
    assert not (tmp_path / "nodes").exists()
    assert (tmp_path / "logs" / "n-1.log").read_text() == "up\n"
    assert (tmp_path / "configuration" / "n-1-server.conf").read_text() == "port: 1"


def test_pause_resume_stop_and_restart_as_the_system_sees_them(tmp_path: Path) -> None:
    async def scenario(runtime: ProcessRuntime) -> None:
        addresses = await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
        await runtime.start(node("n-1", "a", LISTEN, addresses.listen["a-1/p"].rpartition(":")[2]))
        await says(runtime, "n-1", "up")
        assert await runtime.states() == {"n-1": "running"}
        await runtime.pause("n-1")
        assert await runtime.states() == {"n-1": "paused"}
        await runtime.resume("n-1")
        await reads(runtime, "running")
        await runtime.pause("n-1")
        await runtime.stop("n-1", signal.SIGTERM)  # also a paused one hears it
        assert await runtime.states() == {"n-1": "gone"}
        assert await runtime.dead() == [], "it was stopped, it didn't die"
        await runtime.restart("n-1")
        await reads(runtime, "running")
        runtime._processes["n-1"].kill()  # behind the runtime's back
        await reads(runtime, "gone")
        assert await runtime.dead() == ["n-1"]

    in_runtime(tmp_path, scenario)


async def reads(runtime: ProcessRuntime, state: str) -> None:
    """Signals take a moment."""
    for _ in range(200):
        if await runtime.states() == {"n-1": state}:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"n-1 is {await runtime.states()}, expected {state}")


def test_a_node_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"

    async def scenario(runtime: ProcessRuntime) -> None:
        await runtime.open(TOPOLOGY, Ports())  # type: ignore[arg-type]
        await runtime.start(node("n-1", "a", deaf))
        await says(runtime, "n-1", "up")
        pid = runtime._processes["n-1"].pid
        await runtime.stop("n-1", signal.SIGTERM, within_s=0.3)
        assert await runtime.states() == {"n-1": "gone"}
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    in_runtime(tmp_path, scenario)
