"""What the lab tells a SyncStore node: golden, and read back by the store's own reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import files
from lab.backends.syncstore.config import render
from lab.backends.syncstore.store import SyncStore
from lab.errors import DoesNotFit, Refused
from lab.protocols import Addresses
from lab.syncstore.node import settings_file
from lab.topology import Topology

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGY = files.load(ROOT / "topologies" / "three-regions.yaml", Topology)


def addresses() -> Addresses:
    ports = iter(range(20_000, 32_000))
    nodes, regions = TOPOLOGY.nodes, list(TOPOLOGY.regions)
    return Addresses(
        listen={f"{one.name}/{port}": f"127.0.0.1:{next(ports)}" for one in nodes for port in SyncStore.ports},
        proxies={
            f"{region}/{one.name}/wan": f"127.0.0.1:{next(ports)}"
            for region in regions
            for one in nodes
            if one.region != region
        },
        witnesses={},
        toxiproxy="127.0.0.1:1",
    )


@pytest.mark.parametrize("node", TOPOLOGY.nodes, ids=lambda node: node.name)
def test_the_store_reads_what_the_lab_writes(node: object, tmp_path: Path) -> None:
    where, path = addresses(), tmp_path / "syncstore.toml"
    path.write_text(render(node, TOPOLOGY, where), encoding="utf-8")  # type: ignore[arg-type]
    found = settings_file.read(path).check()
    assert (found.region, found.node) == (node.region, node.name)  # type: ignore[attr-defined]
    assert found.config.members == {r: tuple(n.name for n in TOPOLOGY.nodes_of(r)) for r in TOPOLOGY.regions}
    for other in TOPOLOGY.nodes:
        if other == node:
            continue
        port = "peer" if other.region == found.region else "wan"
        assert found.config.dial[other.name] == where.dial(found.region, other, port)


def test_foreign_nodes_are_reached_through_the_network_alone(tmp_path: Path) -> None:
    where = addresses()
    for node in TOPOLOGY.nodes:
        path = tmp_path / f"{node.name}.toml"
        path.write_text(render(node, TOPOLOGY, where), encoding="utf-8")
        dialled = settings_file.read(path).config.dial
        foreign = {dialled[other.name] for other in TOPOLOGY.nodes if other.region != node.region}
        assert foreign <= set(where.proxies.values())
        assert len(foreign) == sum(other.region != node.region for other in TOPOLOGY.nodes)


def test_a_version_and_an_unknown_option_are_refused() -> None:
    with pytest.raises(DoesNotFit, match="part of this project"):
        SyncStore("9.9.9", {})
    with pytest.raises(Refused, match="kind"):
        SyncStore("", {"kind": "sometimes"})


def test_nodes_start_this_python() -> None:
    specs = SyncStore("", {}).nodes(TOPOLOGY, addresses())
    assert [spec.name for spec in specs] == [node.name for node in TOPOLOGY.nodes]
    assert {spec.program for spec in specs} == set(SyncStore("", {}).programs())
    assert all(spec.arguments[:3] == ("-m", "lab.syncstore", "serve") for spec in specs)
