"""Where replicas are put, for every shape of topology we ship and some we don't."""

from __future__ import annotations

import pytest

from lab import files, plan
from lab.backends.jetstream.layout import replicas, tags
from lab.topology import Topology

PLACED = {
    "two-regions": {"us": "us-1 sg-1 us-2", "sg": "sg-2 us-2 sg-3"},
    "three-regions": {"us": "us-1 eu-1 sg-1", "eu": "eu-2 us-2 sg-2", "sg": "sg-3 eu-3 us-3"},
    "four-regions": {
        "us": "us-1 eu-1 sa-1", "eu": "eu-2 us-2 sg-2", "sg": "sg-3 eu-3 us-3", "sa": "sa-1 us-1 eu-1",
    },
    "five-regions": {
        "us": "us-1 eu-1 sa-1", "eu": "eu-1 us-1 sg-1", "sg": "sg-1 au-1 eu-1",
        "sa": "sa-1 us-1 eu-1", "au": "au-1 sg-1 us-1",
    },
}  # fmt: skip


def shipped(name: str) -> Topology:
    return files.load(plan.home() / "topologies" / f"{name}.yaml", Topology)


@pytest.mark.parametrize("name", PLACED)
def test_one_at_home_and_the_others_nearby(name: str) -> None:
    topology = shipped(name)
    assert {home: " ".join(n.name for n in replicas(home, topology)) for home in topology.regions} == PLACED[name]


def test_no_region_but_home_holds_a_majority() -> None:
    for name in PLACED:
        topology = shipped(name)
        for home in topology.regions:
            held = [node.region for node in replicas(home, topology)]
            assert held[0] == home
            assert all(held.count(region) == 1 for region in topology.regions if region in held and region != home)


@pytest.mark.parametrize(("nodes", "count"), [((1, 1), 2), ((1, 2), 3), ((2, 1), 3), ((9, 1), 3)])
def test_few_servers(nodes: tuple[int, int], count: int) -> None:
    topology = Topology.model_validate(
        {"name": "t", "regions": {"a": {"nodes": nodes[0]}, "b": {"nodes": nodes[1]}}, "rtt_ms": {"a-b": 20}}
    )
    for home in topology.regions:
        chosen = replicas(home, topology)
        assert len(set(chosen)) == len(chosen) == count
        assert {node for node in topology.nodes if f"home:{home}" in tags(node, topology)} == set(chosen)
