"""Row 2: a put in the own region while the store spans three, 80 to 200 ms apart.

JetStream's is R3, stretched over the regions, its leader in the client's own region and its nearest other
replica 80 ms away. Both stores get the same puts at the same rate.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lab.backends.jetstream.stretched import StretchedJetStream
from lab.bench import clients
from lab.bench.lines import Line, beside
from lab.bench.load import Window, keys, paced_for
from lab.bench.rows.one_region import blemishes
from lab.bench.sizes import Sizes
from lab.bench.stage import jetstream, staged, syncstore, three

ROW, HOME, KEYS = 2, "us", 10_000
ABOUT = "A local put, three regions 80–200 ms apart"
LOWER_BY = 20.0


async def measure(directory: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    where = three()
    ours, theirs = list[Window](), list[Window]()
    async with staged(directory, syncstore("syncstore", where), jetstream("jetstream", where)) as stage:
        stretched = stage.deployments["jetstream"]
        assert isinstance(stretched.backend, StretchedJetStream)
        await stretched.backend.place_leaders(stretched, {HOME: [HOME], "meta": [HOME]})
        async with (
            clients.syncstore(stage.deployments["syncstore"], HOME) as client,
            clients.jetstream(stretched, HOME) as theirs_there,
        ):
            our_put = client.bucket(clients.BUCKET).put
            for turn in range(sizes.pairs + 1):
                say(f"pair {turn} of {sizes.pairs}" if turn else "warming up")
                for put, windows in ((our_put, ours), (theirs_there.put, theirs)):
                    windows.append(await paced_for(put, keys("k", KEYS), sizes.rate_per_s, sizes.window_s))
    return lines(ours[1:], theirs[1:])


def lines(ours: list[Window], theirs: list[Window]) -> list[Line]:
    return [
        beside(ROW, "p50", [w.p50_ms for w in ours], [w.p50_ms for w in theirs], "ms", lower_by=LOWER_BY),
        beside(ROW, "p99", [w.p99_ms for w in ours], [w.p99_ms for w in theirs], "ms", lower_by=LOWER_BY),
        *blemishes(ROW, {"SyncStore": ours, "JetStream": theirs}),
    ]
