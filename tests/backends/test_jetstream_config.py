"""The servers' configuration, letter by letter, and what may never be in it."""

from __future__ import annotations

import re

import pytest

from lab.backends.jetstream.config import NOWHERE, Settings, render
from lab.backends.jetstream.stretched import StretchedJetStream
from lab.errors import Refused
from lab.protocols import Addresses
from lab.topology import Node, Topology

TOPOLOGY = Topology.model_validate(
    {"name": "small", "regions": {"us": {"nodes": 2}, "eu": {"nodes": 1}}, "rtt_ms": {"us-eu": 80}}
)
ADDRESSES = Addresses(
    listen={
        f"{node.name}/{port}": f"127.0.0.1:{20000 + 10 * i + j}"
        for i, node in enumerate(TOPOLOGY.nodes)
        for j, port in enumerate(StretchedJetStream.ports)
    },
    proxies={
        "us/eu-1/routes": "127.0.0.1:20100",
        "eu/us-1/routes": "127.0.0.1:20101",
        "eu/us-2/routes": "127.0.0.1:20102",
    },
    witnesses={},
    toxiproxy="127.0.0.1:20200",
)
GOLDEN = """\
server_name: "us-1"
server_tags: ["region:us", "home:us", "home:eu"]
host: "127.0.0.1"
port: 20000
http: "127.0.0.1:20002"
jetstream {
  store_dir: "data"
  max_memory_store: 256MB
  max_file_store: 2GB
}
cluster {
  name: "lab"
  listen: "127.0.0.1:20001"
  advertise: "127.0.0.1:1"
  no_advertise: true
  routes: [
    "nats-route://127.0.0.1:20011"
    "nats-route://127.0.0.1:20100"
  ]
}
accounts {
  SYS { users: [{user: "sys", password: "sys"}] }
  LAB { jetstream: enabled, users: [{user: "lab", password: "lab"}] }
}
system_account: SYS
no_auth_user: "lab"
"""


def test_one_server_letter_by_letter() -> None:
    assert render(Node("us", 1), TOPOLOGY, ADDRESSES, Settings()) == GOLDEN


@pytest.mark.parametrize("node", TOPOLOGY.nodes, ids=str)
def test_every_peer_is_a_route_and_foreign_ones_are_proxies(node: Node) -> None:
    text = render(node, TOPOLOGY, ADDRESSES, Settings())
    routes = set(re.findall(r"nats-route://([^\"]+)", text))
    own = {ADDRESSES.at(n, "routes") for n in TOPOLOGY.nodes_of(node.region) if n != node}
    foreign = {address for key, address in ADDRESSES.proxies.items() if key.startswith(f"{node.region}/")}
    assert routes == own | foreign
    assert len(routes) == len(TOPOLOGY.nodes) - 1
    for other in TOPOLOGY.nodes:
        if other.region != node.region:
            assert not any(ADDRESSES.at(other, port) in text for port in StretchedJetStream.ports)


def test_what_is_advertised_leads_nowhere() -> None:
    text = render(Node("eu", 1), TOPOLOGY, ADDRESSES, Settings())
    assert f'advertise: "{NOWHERE}"' in text and "no_advertise: true" in text
    assert NOWHERE not in {*ADDRESSES.listen.values(), *ADDRESSES.proxies.values()}


@pytest.mark.parametrize(
    ("settings", "line", "block"),
    [
        (Settings(sync="always"), "  sync_interval: always", "jetstream"),
        (Settings(route_ping="5s"), '  ping_interval: "5s"', "cluster"),
    ],
)
def test_options_add_one_line_in_their_block(settings: Settings, line: str, block: str) -> None:
    with_option = render(Node("us", 1), TOPOLOGY, ADDRESSES, settings).splitlines()
    added = [one for one in with_option if one not in GOLDEN.splitlines()]
    assert added == [line]
    begin = with_option.index(f"{block} {{")
    assert begin < with_option.index(line) < begin + with_option[begin:].index("}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sync": "never"}, r"arm jetstream-stretched: sync: .*'always'"),
        ({"direct": "maybe"}, r"arm jetstream-stretched: direct: "),
        ({"dirct": "on"}, r"unknown setting 'dirct' \(did you mean 'direct'\?\)"),
        ({"route_ping": "soon"}, r"arm jetstream-stretched: route_ping: "),
        ({"route_ping": '5s"\n} x {'}, r"arm jetstream-stretched: route_ping: "),
    ],
)
def test_unknown_options_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        StretchedJetStream("", options)


def test_nodes_and_clients_are_plain_data() -> None:
    backend = StretchedJetStream("2.10.26", {})
    specs = backend.nodes(TOPOLOGY, ADDRESSES)
    assert [spec.name for spec in specs] == ["us-1", "us-2", "eu-1"]
    assert specs[0].files == {"server.conf": GOLDEN}
    assert {spec.version for spec in specs} == {"2.10.26"}
    client = backend.client(ADDRESSES, TOPOLOGY, "us")
    assert client.servers == ("127.0.0.1:20000", "127.0.0.1:20010"), "its own region's servers only"
    assert client.options["buckets"] == ["us", "eu"]
