"""nats-server configuration, rendered; pure, so that it can be golden-tested.

Three things here keep the network the only road (see the bypass check):
- every server lists every peer, own region's directly, foreign ones through its region's proxies;
  with a partial list servers size the meta group by the routes they know, and elect two leaders;
- `advertise` is the one address by which all peers dial the server, where there is one (containers: a
  name that leads to the server in its own region's network, and to Toxiproxy in every other), else a
  dead one: servers gossip the addresses of new routes, and one that differs from every configured
  route would be dialled, round the proxy;
- `no_advertise` keeps clients from learning of other regions' servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab.backends.jetstream.layout import tags
from lab.errors import DoesNotFit
from lab.protocols import Addresses
from lab.topology import Node, Topology

# Throw-away servers on loopback: these keep the system account apart, they protect nothing.
SYSTEM_USER, USER = "sys", "lab"
NOWHERE = "127.0.0.1:1"


@dataclass(frozen=True)
class Settings:
    """Options of a JetStream arm.

    sync: `default` fsyncs every two minutes, `always` before each acknowledgement (what a store
    that promises durability must be compared with).
    route_ping: `default`, or a duration such as 5s after which silent routes are noticed sooner.
    direct: whether any replica may answer reads.
    """

    sync: Literal["default", "always"] = "default"
    route_ping: str = "default"
    direct: Literal["on", "off"] = "on"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"default|[1-9]\d{0,5}(ms|s|m)", self.route_ping):
            raise DoesNotFit(
                "arm jetstream-stretched: route_ping: expected default or a duration such as 5s, "
                f"found {self.route_ping!r}."
            )


def render(node: Node, topology: Topology, addresses: Addresses, settings: Settings) -> str:
    """One server's configuration file."""
    host, port = _split(addresses.at(node, "client"))
    monitor_host, monitor_port = _split(addresses.at(node, "monitor"))
    routes = [
        f'    "nats-route://{addresses.dial(node.region, peer, "routes")}"' for peer in topology.nodes if peer != node
    ]
    sync = ["  sync_interval: always"] if settings.sync == "always" else []
    ping = [f'  ping_interval: "{settings.route_ping}"'] if settings.route_ping != "default" else []
    tagged = ", ".join(f'"{tag}"' for tag in tags(node, topology))
    return "\n".join(
        [
            f'server_name: "{node.name}"',
            f"server_tags: [{tagged}]",
            f'host: "{host}"',
            f"port: {port}",
            f'http: "{monitor_host}:{monitor_port}"',
            "jetstream {",
            '  store_dir: "data"',
            "  max_memory_store: 256MB",
            "  max_file_store: 2GB",
            *sync,
            "}",
            "cluster {",
            '  name: "lab"',
            f'  listen: "{addresses.at(node, "routes")}"',
            f'  advertise: "{_advertised(node, topology, addresses)}"',
            "  no_advertise: true",
            *ping,
            "  routes: [",
            *routes,
            "  ]",
            "}",
            "accounts {",
            f'  SYS {{ users: [{{user: "{SYSTEM_USER}", password: "{SYSTEM_USER}"}}] }}',
            f'  LAB {{ jetstream: enabled, users: [{{user: "{USER}", password: "{USER}"}}] }}',
            "}",
            "system_account: SYS",
            f'no_auth_user: "{USER}"',
            "",
        ]
    )


def monitors(topology: Topology, addresses: Addresses) -> Mapping[str, str]:
    """node → the URL of its monitoring port."""
    return {node.name: f"http://{addresses.at(node, 'monitor')}" for node in topology.nodes}


def _advertised(node: Node, topology: Topology, addresses: Addresses) -> str:
    dialled = {addresses.dial(region, node, "routes") for region in topology.regions}
    return dialled.pop() if len(dialled) == 1 else NOWHERE


def _split(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host, port
