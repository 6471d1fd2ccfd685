"""Gives the roads between regions their delays, and keeps them there: a Toxiproxy that starts anew has forgotten them.

Runs in a container of its own, with nothing but Python. Touches no toxic but its own two of each proxy, so whatever
is added to do harm stays until it is removed. Reads /delays.json: road's address → proxy → ms, each way.
"""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WANTED = Path("/delays.json")
EVERY_S, WITHIN_S = 2.0, 5.0
STREAMS = ("upstream", "downstream")
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str, body: Any = None) -> Any:
    """What the API answers; a body is posted. Raises OSError, ValueError."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "User-Agent": "delays"})
    with DIRECTLY.open(request, timeout=WITHIN_S) as answer:
        return json.load(answer)


def mended(road: str, delays_ms: dict[str, int]) -> int:
    """Add what is missing on one road; how many that were."""
    proxies, count = ask(f"http://{road}/proxies"), 0
    for proxy, delay_ms in delays_ms.items():
        there = {one["name"] for one in proxies[proxy]["toxics"]}
        for stream in STREAMS:
            if f"delay_{stream}" not in there:
                body = {
                    "name": f"delay_{stream}", "type": "latency", "stream": stream, "attributes": {"latency": delay_ms},
                }  # fmt: skip
                ask(f"http://{road}/proxies/{proxy}/toxics", body)
                count += 1
    return count


def main() -> None:
    """For ever: SIGTERM ends it."""
    wanted = json.loads(WANTED.read_text())
    said: dict[str, str] = {}
    while True:
        for road, delays_ms in wanted.items():
            try:
                added = mended(road, delays_ms)
                now = f"all its {len(delays_ms) * len(STREAMS)} delays are set"
            except (OSError, ValueError, KeyError) as error:
                added, now = 0, f"not asked: {error!r}"
            if added or said.get(road) != now:
                print(f"{road}: {now}", flush=True)
            said[road] = now
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
