"""Links as Toxiproxy proxies: which toxics on which proxies make a link what it is.

One proxy per (dialling region, foreign node, WAN port). Data a→b is `upstream` on the proxies a
dials and `downstream` on those b dials, whoever dialled; a link's impairment acts on both, and on
the upstream of the link's witness. Owns the desired state, and compares it with the real one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from lab.errors import NetworkBroken
from lab.events import Event
from lab.finish import to_the_end
from lab.network.toxiproxy.api import Api, Toxic
from lab.network.toxiproxy.toxics import carriers, proxy_name, toxic_of
from lab.network.toxiproxy.witness import LinkWitness, cost_of_asking
from lab.protocols import TOXIPROXY, Addresses, Cut, Impairment, Latency, NodeSpec
from lab.topology import Link, Topology

READY_WITHIN_S = 10.0
AT_ONCE = 8
FLOWS_S = 0.2


@dataclass(frozen=True)
class _Harm:
    """What one `harm` adds: toxics, pairs refused, and links whose connections end with it."""

    toxics: list[Toxic]
    refused: list[Link]
    closed: list[Link]


class ToxiproxyNetwork:
    """The network of one deployment."""

    def __init__(self) -> None:
        self._wanted: set[Toxic] = set()
        self._refused: Counter[str] = Counter()
        self._harms = 0
        self._one_step = asyncio.Lock()  # what is wanted and what is real are compared between steps only

    def nodes(self, addresses: Addresses) -> list[NodeSpec]:
        host, _, port = addresses.toxiproxy.rpartition(":")
        return [NodeSpec(TOXIPROXY, "", "toxiproxy-server", "", ("-host", host, "-port", port))]

    async def open(self, topology: Topology, addresses: Addresses) -> None:
        self._topology, self._addresses, self._road = topology, addresses, addresses.for_road
        self._api = Api(addresses.toxiproxy)
        await self._answering()
        await asyncio.to_thread(self._create_all)
        self._cost_ns = await cost_of_asking(addresses.toxiproxy)

    async def _answering(self) -> None:
        for _ in range(int(READY_WITHIN_S / 0.05)):
            try:
                await asyncio.to_thread(self._api.version)
                return
            except NetworkBroken:
                await asyncio.sleep(0.05)
        raise NetworkBroken(f"Toxiproxy did not answer on {self._addresses.toxiproxy} within {READY_WITHIN_S:g} s.")

    def _create_all(self) -> None:
        for key, listen in self._road.proxies.items():
            _, node, port = key.split("/")
            self._api.create(proxy_name(key), listen, self._road.listen[f"{node}/{port}"])
        for ends, listen in self._road.witnesses.items():
            self._api.create(_witness(ends), listen, self._road.toxiproxy)
        for link in self._topology.links:
            for toxic in self._toxics("base", link, Latency(self._topology.one_way_ms(link))):
                self._add(toxic)

    @asynccontextmanager
    async def harm(
        self, impairments: Mapping[Link, Impairment], *, close_after: bool | None = None
    ) -> AsyncIterator[None]:
        self._harms += 1
        harm = _Harm(
            # by proxy, so that both directions of a connection change side by side
            toxics=sorted(
                (t for link, one in impairments.items() for t in self._toxics(f"harm{self._harms}", link, one)),
                key=lambda toxic: (toxic.proxy, toxic.stream),
            ),
            refused=[link for link, one in impairments.items() if one == Cut("refuse")],
            closed=[
                link
                for link, one in impairments.items()
                if (one == Cut("blackhole") if close_after is None else close_after)
            ],
        )
        try:
            await to_the_end(self._step(self._enter, harm))
            yield
        finally:
            await to_the_end(self._step(self._leave, harm))

    def witness(self, link: Link, record: Callable[[Event], None]) -> LinkWitness:
        return LinkWitness(link, self._addresses.witnesses[str(link)], self._cost_ns, record)

    async def verify(self) -> list[str]:
        async with self._one_step:
            toxics, enabled = await asyncio.to_thread(self._api.state)
        off = {proxy for proxy, count in self._refused.items() if count}
        names = {proxy_name(k) for k in self._road.proxies} | {_witness(k) for k in self._road.witnesses}
        return (
            [f"{t.proxy} lacks {t.type} ({t.stream})" for t in sorted(self._wanted - toxics, key=repr)]
            + [f"{t.proxy} has {t.type} ({t.stream}) left over" for t in sorted(toxics - self._wanted, key=repr)]
            + [f"{name} should be off" for name in sorted(enabled & off)]
            + [f"{name} should be on" for name in sorted(names - enabled - off)]
        )

    async def close(self) -> None:
        """Nothing to do: Toxiproxy is a node, and its toxics die with it."""

    # -- what a link is made of -----------------------------------------------------------------

    def _carriers(self, link: Link) -> list[tuple[str, str]]:
        """(proxy, stream) of everything that carries this link's data, the witness included."""
        region_of = {node.name: node.region for node in self._topology.nodes}
        return [(_witness(str(link)), "upstream"), *carriers(self._road.proxies, link, region_of)]

    def _toxics(self, label: str, link: Link, impairment: Impairment) -> list[Toxic]:
        made = toxic_of(impairment)
        if made is None:
            return []
        kind, attributes = made
        return [
            Toxic(proxy, f"{label}_{stream}", kind, stream, tuple(sorted(attributes.items())))
            for proxy, stream in self._carriers(link)
        ]

    # -- blocking steps, each run whole in a thread ---------------------------------------------

    async def _step(self, step: Callable[..., None], *args: Any) -> None:
        async with self._one_step:
            await asyncio.to_thread(step, *args)

    def _enter(self, harm: _Harm) -> None:
        failures = self._all_at_once([partial(self._add, toxic) for toxic in harm.toxics])
        for link in harm.refused:
            self._refuse(link, +1)
        if failures:
            raise failures[0]

    def _leave(self, harm: _Harm) -> None:
        """Heals as much as it can, then raises the first NetworkBroken; `verify` tells the rest."""
        entered = [toxic for toxic in harm.toxics if toxic in self._wanted]
        self._wanted.difference_update(entered)
        failures = self._loosen([toxic for toxic in entered if toxic.type == "bandwidth"])
        failures += self._all_at_once([partial(self._api.remove, toxic) for toxic in entered])
        failures += [error for link in harm.refused if (error := _failure(partial(self._refuse, link, -1)))]
        hung = {proxy for link in harm.closed if link not in harm.refused for proxy, _ in self._carriers(link)}
        failures += self._all_at_once([partial(self._hang_up, proxy) for proxy in sorted(hung)])
        if failures:
            raise failures[0]

    def _loosen(self, toxics: Sequence[Toxic]) -> list[NetworkBroken]:
        """Let what is held back flow before its toxics go. A connection that both ends gave up during the
        fault is noticed only when something is written to it; Toxiproxy, removing a toxic from such a one,
        waits 5 s for each chunk that nobody takes any more, and with it the heal of all others."""
        if not toxics:
            return []
        failures = self._all_at_once([partial(self._api.suspend, toxic) for toxic in toxics])
        time.sleep(FLOWS_S)
        return failures

    def _all_at_once(self, steps: Sequence[Callable[[], None]]) -> list[NetworkBroken]:
        """Side by side, since a fault and its heal should be an instant, as nearly as can be."""
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return [error for error in pool.map(_failure, steps) if error]

    def _hang_up(self, proxy: str) -> None:
        """End a proxy's connections; one that somebody refuses has none, and stays off."""
        if not self._refused[proxy]:
            self._api.enable(proxy, False)
            self._api.enable(proxy, True)

    def _add(self, toxic: Toxic) -> None:
        self._wanted.add(toxic)
        self._api.add(toxic)

    def _refuse(self, link: Link, step: int) -> None:
        """A pair is refused in both directions; it is open again when nobody refuses it."""
        proxies = [proxy for proxy, _ in self._carriers(link)]
        turned = [proxy for proxy in proxies if not self._refused[proxy] or not self._refused[proxy] + step]
        self._refused.update(dict.fromkeys(proxies, step))  # first, so that a failure is known to `verify`
        for proxy in turned:
            self._api.enable(proxy, not self._refused[proxy])


def _failure(step: Callable[[], None]) -> NetworkBroken | None:
    try:
        step()
    except NetworkBroken as error:
        return error
    return None


def _witness(link: str) -> str:
    return "witness." + link.replace("->", ".")
