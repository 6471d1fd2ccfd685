"""A SyncStore node's configuration file, rendered; pure, so that it can be golden-tested.

Nodes of other regions are named with a dead address and dialled at their proxies only (`[dial.…]`), so
the network is the only road between regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab.protocols import Addresses
from lab.topology import Node, Topology


@dataclass(frozen=True)
class Settings:
    """Options of a SyncStore arm.

    kind: `register` (create and update by revision, linearizable in the region: what JetStream's
    key-value buckets mean) or `lww` (put, get, delete alone).
    """

    kind: Literal["register", "lww"] = "register"


def render(node: Node, topology: Topology, addresses: Addresses) -> str:
    """One node's file: every member of every region, and where this region dials the others."""
    lines = ['cluster = "lab"', f'node = "{node.name}"', 'data = "data"']
    if not addresses.at(node, "peer").startswith("127."):
        lines.append("insecure = true")  # within the run's own networks, which nobody else is in
    for region in topology.regions:
        lines.append(f'[regions."{region}"]')
        for one in topology.nodes_of(region):
            ports = {
                "peer": addresses.at(one, "peer"),
                "wan": addresses.at(one, "wan"),
                "client": addresses.at(one, "client"),
                "http": addresses.at(one, "monitor"),
            }
            told = ", ".join(f'{name} = "{address}"' for name, address in ports.items())
            lines.append(f'"{one.name}" = {{ {told} }}')
    foreign = [one for one in topology.nodes if one.region != node.region]
    if foreign:
        lines.append(f'[dial."{node.region}"]')
        lines += [f'"{one.name}" = "{addresses.dial(node.region, one, "wan")}"' for one in foreign]
    return "\n".join([*lines, ""])
