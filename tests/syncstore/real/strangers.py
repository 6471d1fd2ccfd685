"""Who comes to a node's ports and is none of its cluster: rubbish on every port, and those who never read."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

from lab.syncstore import wire
from tests.syncstore.nodes import HOST
from tests.syncstore.real.cluster import Node

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
        for offset in range(4):
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


async def subscribe_and_never_read(node: Node, region: str, name: str, members: str) -> asyncio.StreamWriter:
    """As a node of another region that asks for everything, and then takes nothing of it."""
    reader, writer = await asyncio.open_connection(HOST, node.port + 2, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    nothing = {"global": wire.Vector()}
    hello = wire.Hello("real", wire.PROTOCOL, wire.FEATURES, members, region, name, "0" * 28, "wan", 0, nothing)
    writer.write(frame(wire.encode(hello)))
    return writer
