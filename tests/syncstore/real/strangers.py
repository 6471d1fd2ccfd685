"""Who comes to a node's ports and is none of its cluster: rubbish on every port, and those who never read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

from lab.syncstore import wire
from lab.syncstore.record import GLOBAL
from lab.syncstore.vector import Floor, Vector
from tests.syncstore.nodes import HOST
from tests.syncstore.real.cluster import HTTP, WAN, Node

PATIENCE_S = 0.3
"""How long rubbish stays for an answer before it hangs up."""


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def rubbish(chance: random.Random) -> Iterator[bytes]:
    """Endless: noise, frames that are none, frames that lie about their length, HTTP that isn't."""
    hello = wire.encode(wire.Hello("real", wire.PROTOCOL, wire.FEATURES, "", "eu", "eu-1", "0" * 28, "wan", 0))
    while True:
        yield chance.randbytes(2000)
        yield b"\0" * 1000
        yield b"\xff" * 1000
        yield frame(b"\xc1")
        yield frame(b"\x91" * 100_000)
        yield frame(b"\x92\x20\x90") * 1000
        yield frame(b"\xdd\xff\xff\xff\xff")
        yield (2**20).to_bytes(4, "big") + b"\x92" * 50_000
        yield frame(hello[: chance.randrange(len(hello))])
        spoilt = bytearray(hello)
        spoilt[chance.randrange(len(hello))] ^= 1 << chance.randrange(8)
        yield frame(bytes(spoilt))
        yield frame(hello) + frame(chance.randbytes(300))
        yield frame(hello) + frame(wire.encode(wire.Credit(2**31)))
        yield b"GET /" + b"x" * 100_000
        yield b"POST /status HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n"
        yield b"GET /status HTTP/1.1\r\n" + b"A: b\r\n" * 5000


async def throw(node: Node, seed: int) -> None:
    """Rubbish at every port of a node, one piece after the other, until cancelled."""
    for content in rubbish(random.Random(seed)):
        for offset in range(HTTP + 1):
            with suppress(OSError):
                await _throw(node.port + offset, content)


async def _throw(port: int, content: bytes) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(content)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while await reader.read(2**16):
                    pass
    finally:
        writer.transport.abort()


@asynccontextmanager
async def deaf(ports: list[int]) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Listeners that take every connection and read nothing; yields who has come so far."""
    came: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        came.append(writer)

    servers = [await asyncio.start_server(take, HOST, port) for port in ports]
    try:
        yield came
    finally:
        for server in servers:
            server.close()
        for writer in came:
            writer.transport.abort()


class Greedy:
    """As a node of another region that asks for everything, says that it is alive, and reads nothing.

    Comes again whenever it is hung up on. came: how often.
    """

    def __init__(self, node: Node, region: str, name: str) -> None:
        self._node, self._region, self._name, self.came = node, region, name, 0

    async def go(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(OSError):
                await self._once()
            await asyncio.sleep(0.2)

    async def _once(self) -> None:
        _, writer = await asyncio.open_connection(HOST, self._node.port + WAN, limit=1024)
        self.came += 1
        try:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(frame(wire.encode(self._hello())))
            while not writer.is_closing():
                writer.write(frame(wire.encode(wire.Beacon(0, {}, {}))))
                await asyncio.sleep(0.5)
        finally:
            writer.transport.abort()

    def _hello(self) -> wire.Hello:
        vectors, floors = {GLOBAL: Vector({}, {})}, {GLOBAL: Floor()}
        return wire.Hello(
            "real", wire.PROTOCOL, wire.FEATURES, "", self._region, self._name, "0" * 28, "wan", 0, vectors, floors
        )
