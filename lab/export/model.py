"""What stands where in an exported topology. Pure; knows neither compose nor swarm.

Here every region has a Toxiproxy of its own, its road: none of these files can give one container a fixed address in
each network, as the docker runtime does. In its region's network a road bears the names of all foreign nodes, and
listens there on their ports. It stands in the other regions' networks too, under no name but its own, and finds a
node by a name that only that node has in only that network: `sg-1.sg`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.network.toxiproxy.toxics import proxy_name
from lab.plan import Plan
from lab.protocols import NodeSpec
from lab.runtimes.docker.layout import API_PORT, EVERYWHERE, crossings, named, numbered

NODE_MEMORY, ROAD_MEMORY, DELAYS_MEMORY = "512M", "1G", "64M"
"""Far above what they take: one that runs wild takes itself down, not the machine."""
CONTROL = "control"
"""The network of the roads' API and of what sets their delays; no node is in it."""
DELAYS = "delays"


@dataclass(frozen=True)
class Images:
    """References. python: any image with a `python3`. local: only this machine's engine has them."""

    programs: Mapping[str, str]
    road: str
    python: str
    local: bool


@dataclass(frozen=True)
class Road:
    """A region's way to the others. proxies: name → (listen, upstream). aliases: the foreign nodes' names.
    delays_ms: proxy → what each of its two directions is delayed by."""

    region: str
    aliases: tuple[str, ...]
    proxies: Mapping[str, tuple[str, str]]
    delays_ms: Mapping[str, int]

    @property
    def name(self) -> str:
        return f"road-{self.region}"

    @property
    def configuration(self) -> str:
        """For Toxiproxy's `-config`, which takes proxies, and no delays."""
        proxies = [
            {"name": name, "listen": listen, "upstream": upstream, "enabled": True}
            for name, (listen, upstream) in self.proxies.items()
        ]
        return json.dumps(proxies, indent=1) + "\n"


@dataclass(frozen=True)
class Export:
    """All that is written. name: also the stack's. ports: node → port name → number. reached: ports that users
    dial, by name."""

    name: str
    plan: Plan
    images: Images
    nodes: tuple[NodeSpec, ...]
    roads: tuple[Road, ...]
    ports: Mapping[str, Mapping[str, int]]
    reached: tuple[str, ...]

    @property
    def regions(self) -> tuple[str, ...]:
        return self.plan.topology.region_names

    @property
    def delays(self) -> str:
        """For the script `delays`: road's address → proxy → ms."""
        wanted = {f"{road.name}:{API_PORT}": dict(road.delays_ms) for road in self.roads}
        return json.dumps(wanted, indent=1) + "\n"


def described(plan: Plan, images: Images) -> Export:
    """What a plan comes to."""
    topology, backend = plan.topology, plan.backend
    addresses, numbers = named(topology, backend), numbered(topology, backend)
    return Export(
        name=re.sub(r"[^a-z0-9]+", "-", plan.asked.lower()).strip("-")[:32] or "lab",
        plan=plan,
        images=images,
        nodes=tuple(backend.nodes(topology, addresses)),
        roads=tuple(_road(plan, region) for region in topology.regions),
        ports={node.name: {port: numbers[f"{node.name}/{port}"] for port in backend.ports} for node in topology.nodes},
        reached=tuple(backend.host_ports),
    )


def at_home(node: str, region: str) -> str:
    """The name that leads to the node itself, wherever it is known."""
    return f"{node}.{region}"


def _road(plan: Plan, region: str) -> Road:
    topology = plan.topology
    numbers, region_of = numbered(topology, plan.backend), {node.name: node.region for node in topology.nodes}
    proxies, delays_ms = {}, {}
    for dialler, place in crossings(topology, plan.backend):
        if dialler == region:
            node, port = place.partition("/")[0], numbers[place]
            name = proxy_name(f"{region}/{place}")
            proxies[name] = (f"{EVERYWHERE}:{port}", f"{at_home(node, region_of[node])}:{port}")
            delays_ms[name] = round(topology.rtt(region, region_of[node]) / 2)  # the same both ways
    foreign = tuple(node.name for node in topology.nodes if node.region != region)
    return Road(region, foreign, proxies, delays_ms)
