"""What a client within a region's network does; runs in a container, with nats-py mounted beside it."""

import asyncio
import json
import socket
import sys
import time
import urllib.request
from typing import Any


async def bucket(server: str, home: str, within_s: str) -> str:
    """The bucket of a region, placed as the lab places it; waited for."""
    import nats
    from nats.js.api import Placement, StreamConfig

    stream = StreamConfig(
        f"KV_{home}", subjects=[f"$KV.{home}.>"], num_replicas=3, placement=Placement(tags=[f"home:{home}"]),
        max_msgs_per_subject=1, allow_direct=True, allow_rollup_hdrs=True,
    )  # fmt: skip
    until_s = time.monotonic() + float(within_s)
    while True:
        try:
            connection = await nats.connect(server, connect_timeout=3, allow_reconnect=False)
            await connection.jetstream(timeout=5).add_stream(stream)
            await connection.close()
            return "made"
        except Exception:
            if time.monotonic() > until_s:
                raise
            await asyncio.sleep(0.5)


async def put(server: str, name: str, value: str) -> str:
    return str(await (await _bucket(server, name)).put("k", value.encode()))


async def get(server: str, name: str) -> str:
    return ((await (await _bucket(server, name)).get("k")).value or b"").decode()


async def _bucket(server: str, name: str) -> Any:
    import nats

    connection = await nats.connect(server, connect_timeout=3, allow_reconnect=False)
    return await connection.jetstream(timeout=5).key_value(name)


async def routes(monitor: str) -> str:
    """JSON: name of each peer → the shortest round trip to it, in ms."""
    found: dict[str, float] = {}
    with urllib.request.urlopen(f"http://{monitor}/routez", timeout=5) as answer:
        for route in json.load(answer)["routes"]:
            rtt_ms = _ms(route.get("rtt", "0s"))
            found[route["remote_name"]] = min(rtt_ms, found.get(route["remote_name"], rtt_ms))
    return json.dumps(found)


async def answers(address: str) -> str:
    """Whether a node's monitor says that it is well; some networks answer for addresses that nobody has."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 3) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return "yes" if b" 200 " in connection.recv(64) else "no"
    except OSError:
        return "no"


def _ms(text: str) -> float:
    for ending, factor in (("µs", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if text.endswith(ending):
            return float(text.removesuffix(ending)) * factor
    raise ValueError(text)


if __name__ == "__main__":
    print(asyncio.run(globals()[sys.argv[1]](*sys.argv[2:])))
