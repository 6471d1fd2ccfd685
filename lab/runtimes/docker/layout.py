"""Which name, network, address and port everything of a deployment has. Pure.

In its own region's network a node's name leads to the node, in every other to Toxiproxy, which listens
there on that node's port. So one string is what a node listens at, what it advertises, and what
everybody dials; and each port number is used once, since Toxiproxy has one address in each network.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from lab.protocols import TOXIPROXY, Addresses, Backend
from lab.topology import Topology

FIRST_PORT, API_PORT = 7001, 8474
ROAD_HOST, FIRST_HOST = 2, 10
EVERYWHERE = "0.0.0.0"
"""Within a container; what of it is published is so on 127.0.0.1 alone."""


@dataclass(frozen=True)
class Layout:
    """subnets: region → its network's. ports: `node/port name` → its number, on whatever address.
    published: port in a container → on 127.0.0.1, by node (or `toxiproxy`)."""

    topology: Topology
    subnets: Mapping[str, IPv4Network]
    ports: Mapping[str, int]
    published: Mapping[str, Mapping[int, int]]
    addresses: Addresses

    def ip_of(self, node: str) -> str:
        """Of a node in its region's network."""
        for region, subnet in self.subnets.items():
            for number, one in enumerate(self.topology.nodes_of(region)):
                if one.name == node:
                    return str(subnet[FIRST_HOST + number])
        raise KeyError(node)

    def turn_of(self, node: str) -> int:
        """The node's number in the topology, from 1 on; 0 for Toxiproxy."""
        return next((turn for turn, one in enumerate(self.topology.nodes, 1) if one.name == node), 0)

    def ports_of(self, node: str) -> dict[str, int]:
        """Port name → its number, of one node."""
        return {place.partition("/")[2]: port for place, port in self.ports.items() if place.partition("/")[0] == node}

    def road_ip(self, region: str) -> str:
        """Toxiproxy's in a region's network."""
        return str(self.subnets[region][ROAD_HOST])

    def names_in(self, region: str) -> dict[str, str]:
        """Node → the address to which its name leads in a region's network."""
        return {
            node.name: self.ip_of(node.name) if node.region == region else self.road_ip(region)
            for node in self.topology.nodes
        }


def numbered(topology: Topology, backend: Backend) -> dict[str, int]:
    """`node/port name` → its number, used by no other."""
    places = [f"{node.name}/{port}" for node in topology.nodes for port in backend.ports]
    return {place: FIRST_PORT + number for number, place in enumerate(places)}


def crossings(topology: Topology, backend: Backend) -> list[tuple[str, str]]:
    """(dialling region, `node/port name` of another region), of all that goes through Toxiproxy."""
    return [
        (region, f"{node.name}/{port}")
        for region in topology.regions
        for node in topology.nodes
        if node.region != region
        for port in backend.wan_ports
    ]


def named(topology: Topology, backend: Backend) -> Addresses:
    """What nodes see: names, the same ones in every region."""
    listen = {place: f"{place.partition('/')[0]}:{port}" for place, port in numbered(topology, backend).items()}
    proxies = {f"{region}/{place}": listen[place] for region, place in crossings(topology, backend)}
    return Addresses(listen=listen, proxies=proxies, witnesses={}, toxiproxy="")


def laid_out(
    topology: Topology, backend: Backend, subnets: Mapping[str, IPv4Network], free_port: Callable[[], int]
) -> Layout:
    """free_port: gives a free port of this machine's loopback address."""
    ports = numbered(topology, backend)
    links = [str(link) for link in topology.links]
    witnesses = {link: API_PORT + 1 + number for number, link in enumerate(links)}
    published: dict[str, dict[int, int]] = {
        node.name: {ports[f"{node.name}/{port}"]: free_port() for port in backend.host_ports} for node in topology.nodes
    }
    published[TOXIPROXY] = {port: free_port() for port in (API_PORT, *witnesses.values())}
    crossing = crossings(topology, backend)

    def outside(owner: str, port: int) -> str:
        return f"127.0.0.1:{published[owner][port]}"

    layout = Layout(topology, subnets, ports, published, Addresses({}, {}, {}, ""))
    road = Addresses(
        listen={place: f"{layout.ip_of(place.partition('/')[0])}:{port}" for place, port in ports.items()},
        proxies={f"{region}/{place}": f"{layout.road_ip(region)}:{ports[place]}" for region, place in crossing},
        witnesses={link: f"[::]:{port}" for link, port in witnesses.items()},
        toxiproxy=f"{EVERYWHERE}:{API_PORT}",
    )
    addresses = Addresses(
        listen={
            f"{node.name}/{port}": outside(node.name, ports[f"{node.name}/{port}"])
            for node in topology.nodes
            for port in backend.host_ports
        },
        proxies={},
        witnesses={link: outside(TOXIPROXY, port) for link, port in witnesses.items()},
        toxiproxy=outside(TOXIPROXY, API_PORT),
        inside=named(topology, backend),
        road=road,
    )
    return Layout(topology, subnets, ports, published, addresses)


def name_of(directory: Path, what: str) -> str:
    """A container's or network's name: readable, and of this run alone."""
    readable = re.sub(r"[^a-z0-9]+", "-", directory.name.lower()).strip("-")[:40] or "run"
    return f"isolation-lab-{readable}-{hashlib.sha256(str(directory).encode()).hexdigest()[:6]}-{what}"
