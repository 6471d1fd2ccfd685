"""Real nodes, real sockets, real disks, real kills."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
import urllib.request
from pathlib import Path

from lab.syncstore.client import Client, connect
from lab.syncstore.security import TlsFiles, make_certificates
from tests.syncstore.nodes import HOST, free_ports, run
from tests.syncstore.processes import Process, region, running


async def filled(client: Client, first: int, count: int) -> int:
    """Put so many keys; how many acknowledgements were degraded."""
    bucket = client.bucket("b", timeout=20)
    written = await asyncio.gather(*(bucket.put(f"k{n}", b"v%d" % n) for n in range(first, first + count)))
    return sum(one.degraded for one in written)


async def holds(process: Process, count: int, tls: TlsFiles | None = None) -> None:
    """Return when this very node shows k0 … as written. Raises TimeoutError."""
    async with asyncio.timeout(20), connect([process.url], tls=tls) as client:
        bucket = client.bucket("b")
        while True:
            entries = await asyncio.gather(*(bucket.get(f"k{n}") for n in range(count)))
            if [entry.value for entry in entries] == [b"v%d" % n for n in range(count)]:
                return
            await asyncio.sleep(0.05)


def told(process: Process) -> dict:
    with urllib.request.urlopen(f"http://{HOST}:{process.port + 3}/status", timeout=10) as answer:
        return json.loads(answer.read())


def test_one_is_killed_and_all_goes_on(tmp_path: Path):
    a, b, c = nodes = region(tmp_path, "a", "b", "c")

    async def work() -> None:
        async with connect([a.url, b.url, c.url], shuffle=False) as client:
            assert await filled(client, 0, 300) == 0
            await asyncio.gather(*(holds(one, 300) for one in nodes))
            b.kill()
            assert await filled(client, 300, 300) == 0, "another peer is there"
            await asyncio.gather(holds(a, 600), holds(c, 600))
            a.kill()
            await filled(client, 600, 100)
            b.start()
            await asyncio.to_thread(b.ready)
            await asyncio.gather(holds(b, 700), holds(c, 700))

    with running(*nodes):
        run(work(), 120)
        status = told(b)
        assert status["bugs"] == 0
        assert status["counters"].get("divergence", 0) == 0
        b.signal(signal.SIGTERM)
        assert b.end() == 0
        assert "has stopped" in b.said


def test_all_are_killed_and_what_was_acknowledged_is_there(tmp_path: Path):
    nodes = region(tmp_path, "a", "b", "c")

    async def write() -> None:
        async with connect([one.url for one in nodes]) as client:
            await filled(client, 0, 500)

    async def read() -> None:
        await asyncio.gather(*(holds(one, 500) for one in nodes))

    with running(*nodes):
        run(write(), 60)
        for one in nodes:
            one.kill()
        for one in reversed(nodes):
            one.start()
        for one in nodes:
            one.ready()
        run(read(), 60)


def test_regions_converge_over_tls_and_do_not_wait_for_each_other(tmp_path: Path):
    """sg goes on at its own pace while eu stands still, and eu's clients see all of it afterwards."""
    ports = {name: free_ports(4)[0] for name in ("sg-1", "sg-2", "eu-1")}
    text = f"""
    cluster = "test"
    data = "{{node}}"
    [regions.sg]
    sg-1 = "{HOST}:{ports["sg-1"]}"
    sg-2 = "{HOST}:{ports["sg-2"]}"
    [regions.eu]
    eu-1 = "{HOST}:{ports["eu-1"]}"
    [tls]
    ca = "certs/ca.pem"
    certificate = "certs/{{node}}.pem"
    key = "certs/{{node}}.key"
    """
    (tmp_path / "c.toml").write_text(text)
    make_certificates(tmp_path / "certs", [("sg", "sg-1"), ("sg", "sg-2"), ("eu", "eu-1")])
    tls = TlsFiles.of(tmp_path / "certs", "client")
    sg1, sg2, eu = [Process(tmp_path, port, "--config", "c.toml", "--node", name) for name, port in ports.items()]

    async def work() -> None:
        async with connect([sg1.url, sg2.url], tls=tls) as client:
            await filled(client, 0, 100)
            await asyncio.gather(*(holds(one, 100, tls) for one in (sg1, sg2, eu)))
            eu.signal(signal.SIGSTOP)
            slowest = 0.0
            bucket = client.bucket("b", timeout=20)
            for number in range(100, 400):
                began = time.monotonic()
                written = await bucket.put(f"k{number}", b"v%d" % number)
                slowest = max(slowest, time.monotonic() - began)
                assert not written.degraded
            assert slowest < 1.5, "sg waited for eu"
            eu.signal(signal.SIGCONT)
            await holds(eu, 400, tls)

    with running(sg1, sg2, eu):
        run(work(), 120)
        assert told(eu)["counters"].get("divergence", 0) == 0


def test_garbage_on_every_port_stops_nobody(tmp_path: Path):
    nodes = region(tmp_path, "a", "b")

    def rubbish(port: int, content: bytes) -> None:
        with socket.create_connection((HOST, port), timeout=10) as one:
            one.settimeout(10)
            try:
                one.sendall(content)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65536):
                    pass
            except OSError:
                pass

    def frame(body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + body

    contents = [
        b"\0" * 1000,
        b"\xff" * 1000,
        frame(b"\xc1"),
        frame(b"\x92\x01"),
        frame(b"\x91" * 100_000),
        frame(b"\x92\x20\x90") * 1000,
        frame(b"\xdd\xff\xff\xff\xff"),
    ]

    async def work() -> None:
        async with connect([one.url for one in nodes]) as client:
            for content in contents:
                for purpose in range(4):
                    await asyncio.to_thread(rubbish, nodes[0].port + purpose, content)
            assert await filled(client, 0, 100) == 0
            await asyncio.gather(*(holds(one, 100) for one in nodes))

    with running(*nodes):
        run(work(), 120)
        assert told(nodes[0])["bugs"] == 0
