"""How much CPU the client spends on a put: `python -m tests.syncstore.bench_client [--profile]`.

The node is a process that answers every put with the same bytes at once, so its own cost is not counted.
No test: a machine's speed proves nothing about a program.
"""

from __future__ import annotations

import asyncio
import cProfile
import multiprocessing
import pstats
import resource
import sys
import time
from multiprocessing.connection import Connection

import uvloop

from lab.syncstore import wire
from lab.syncstore.client import Bucket, connect

PUTS, IN_FLIGHT = 200_000, 500
ORIGIN = "sg/sg-1/0123456789ab0000000000000000"


class Answers(asyncio.Protocol):
    """Replies to every request with one that has been made before, but for its number."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.rest, self.sequence = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while len(self.rest) >= 4 and len(self.rest) >= (end := 4 + int.from_bytes(self.rest[:4], "big")):
            message = wire.decode(self.rest[4:end])
            self.rest = self.rest[end:]
            if isinstance(message, wire.Requests):
                replies = [
                    wire.Reply(one.number, revision="0123456789ab.0." + ORIGIN, seen=self.seen())
                    for one in message.items
                ]
                self.transport.write(wire.framed(wire.encode(wire.Replies(replies))))
            else:
                hello = wire.Hello("test", wire.PROTOCOL, (), "", "sg", "sg-1", "0" * 28, "client", 0)
                self.transport.write(wire.framed(wire.encode(hello)))

    def seen(self) -> wire.Seen:
        self.sequence += 1
        return wire.Seen(1_700_000_000_000 + self.sequence, 0, ORIGIN, ORIGIN, self.sequence)


def serve(told: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


async def puts(bucket: Bucket, count: int) -> None:
    value = b"v" * 100
    left = iter(range(count))

    async def one() -> None:
        for number in left:
            await bucket.put(f"key/{number % 50_000}", value)

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))


async def main(port: int, profile: bool) -> None:
    async with connect(f"syncstore://127.0.0.1:{port}") as client:
        bucket = client.bucket("bench")
        await puts(bucket, 20_000)
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        for _ in range(3):
            began_cpu, began = cpu_s(), time.perf_counter()
            await puts(bucket, PUTS)
            took, took_cpu = time.perf_counter() - began, cpu_s() - began_cpu
            print(f"{PUTS / took:8.0f} puts/s   {took_cpu / PUTS * 1e6:5.2f} µs CPU per put")
        profiler.disable()
        began = time.perf_counter()
        for number in range(2000):
            await bucket.put(f"key/{number}", b"v" * 100)
        print(f"one after the other: {(time.perf_counter() - began) / 2000 * 1e6:.0f} µs per put")
        if profile:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    hears, tells = multiprocessing.get_context("spawn").Pipe(False)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(tells,), daemon=True)
    process.start()
    try:
        uvloop.run(main(hears.recv(), "--profile" in sys.argv))
    finally:
        process.kill()
