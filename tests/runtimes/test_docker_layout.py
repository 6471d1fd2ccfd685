"""Who has which name, address and port in containers: pure, so without an engine."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from itertools import count
from pathlib import Path

import pytest

from lab import files
from lab.backends.jetstream.config import Settings, render
from lab.backends.jetstream.stretched import StretchedJetStream
from lab.backends.syncstore.config import render as render_store
from lab.backends.syncstore.store import SyncStore
from lab.protocols import TOXIPROXY, NodeSpec
from lab.runtimes.docker import container, networks
from lab.runtimes.docker.layout import Layout, laid_out, name_of
from lab.syncstore.node import settings_file
from lab.topology import Topology

TOPOLOGY = files.load(Path(__file__).resolve().parents[2] / "topologies" / "three-regions.yaml", Topology)
BACKENDS = [StretchedJetStream("", {}), SyncStore("", {})]


def layout(backend: object = BACKENDS[0]) -> Layout:
    subnets = dict(zip(TOPOLOGY.regions, networks.free([]), strict=False))
    free: Callable[[], int] = count(20_000).__next__
    return laid_out(TOPOLOGY, backend, subnets, free)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda one: one.name)
def test_one_string_is_what_a_node_is_dialled_by_from_everywhere(backend: object) -> None:
    inside = layout(backend).addresses.for_nodes
    for node in TOPOLOGY.nodes:
        for port in backend.wan_ports:  # type: ignore[attr-defined]
            assert {inside.dial(region, node, port) for region in TOPOLOGY.regions} == {inside.at(node, port)}


def test_a_foreign_name_leads_to_toxiproxy_and_an_own_one_to_the_node() -> None:
    made = layout()
    for region in TOPOLOGY.regions:
        for name, address in made.names_in(region).items():
            own = name in {node.name for node in TOPOLOGY.nodes_of(region)}
            assert address == (made.ip_of(name) if own else made.road_ip(region))


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda one: one.name)
def test_toxiproxy_listens_once_at_each_address_and_leads_to_the_node(backend: object) -> None:
    made = layout(backend)
    road = made.addresses.for_road
    listening = [*road.proxies.values(), *road.witnesses.values(), road.toxiproxy]
    assert len({address.rpartition(":")[2] for address in road.witnesses.values()}) == len(TOPOLOGY.links)
    assert len(set(listening)) == len(listening)
    for key, listen in road.proxies.items():
        region, node, port = key.split("/")
        assert listen == f"{made.road_ip(region)}:{made.ports[f'{node}/{port}']}"
        assert road.listen[f"{node}/{port}"] == f"{made.ip_of(node)}:{made.ports[f'{node}/{port}']}"
    assert len(road.proxies) == len(TOPOLOGY.nodes) * (len(TOPOLOGY.regions) - 1) * len(backend.wan_ports)  # type: ignore[attr-defined]


def test_all_addresses_lie_in_their_regions_subnet_and_differ() -> None:
    made = layout()
    ips = [made.ip_of(node.name) for node in TOPOLOGY.nodes] + [made.road_ip(region) for region in TOPOLOGY.regions]
    assert len(set(ips)) == len(ips)
    for node in TOPOLOGY.nodes:
        assert IPv4Network(f"{made.ip_of(node.name)}/32").subnet_of(made.subnets[node.region])


def test_only_what_this_machine_dials_is_published() -> None:
    made = layout()
    node = TOPOLOGY.nodes[0].name
    assert set(made.published[node]) == {made.ports[f"{node}/client"], made.ports[f"{node}/monitor"]}
    assert len(made.published[TOXIPROXY]) == len(TOPOLOGY.links) + 1


def test_jetstream_advertises_what_its_peers_dial() -> None:
    inside = layout().addresses.for_nodes
    for node in TOPOLOGY.nodes:
        text = render(node, TOPOLOGY, inside, Settings())
        assert f'advertise: "{inside.at(node, "routes")}"' in text
        for peer in TOPOLOGY.nodes:
            assert (f'"nats-route://{inside.at(peer, "routes")}"' in text) == (peer != node)


def test_the_store_reads_its_file_in_a_container(tmp_path: Path) -> None:
    inside = layout(BACKENDS[1]).addresses.for_nodes
    for node in TOPOLOGY.nodes:
        path = tmp_path / f"{node.name}.toml"
        path.write_text(render_store(node, TOPOLOGY, inside), encoding="utf-8")
        assert settings_file.read(path).check().node == node.name


@pytest.mark.parametrize(
    ("taken", "first"),
    [
        ([], "10.213.0.0/24"),
        (["10.213.0.0/24"], "10.213.1.0/24"),
        (["10.213.0.128/25", "10.213.1.0/30", "172.17.0.0/16"], "10.213.2.0/24"),
        (["10.213.0.0/17"], "10.213.128.0/24"),
        (["10.0.0.0/8"], None),
    ],
)
def test_subnets_spare_what_is_taken(taken: list[str], first: str | None) -> None:
    found = next(networks.free(map(IPv4Network, taken)), None)
    assert found == (IPv4Network(first) if first else None)


def test_names_are_readable_and_of_one_run_alone() -> None:
    one, other = (name_of(Path(f"/{home}/20261124T040000Z-s1"), "sg-1") for home in ("a", "b"))
    assert one.startswith("isolation-lab-20261124t040000z-s1-") and one.endswith("-sg-1")
    assert one != other
    assert name_of(Path("/"), "x").startswith("isolation-lab-run-")


def test_an_image_without_tools_has_no_health_check_and_no_two_ask_at_once() -> None:
    store = NodeSpec("us-1", "us", "syncstore", "", ())
    assert container.health(NodeSpec("us-1", "us", "nats-server", "", ()), 1, {}) is None
    road = container.health(NodeSpec(TOXIPROXY, "", "toxiproxy-server", "", ()), 0, {})
    checks = [container.health(store, turn, {"monitor": 7004}) for turn in (1, 2, 3)]
    every = [one["Interval"] for one in (road, *checks)]  # type: ignore[index]
    assert len(set(every)) == len(every)
