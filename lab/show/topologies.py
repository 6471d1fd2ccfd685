"""A topology: how far apart its regions are, who runs how many nodes, and what that takes here."""

from __future__ import annotations

from lab import files
from lab.backends import BACKENDS
from lab.batch import as_seen_from_here
from lab.protocols import Backend
from lab.runtimes.ports import BLOCK, FIRST, LAST
from lab.show import docs
from lab.show.names import FOR_TESTS, Thing, asked_as, experiments
from lab.show.paper import Paper
from lab.topology import Topology


def write(thing: Thing, paper: Paper) -> None:
    topology = files.load(thing.path, Topology)
    paper.title(f"topology {thing.name}", as_seen_from_here(thing.path))
    if topology.about:
        paper.say(topology.about, indent=0)
    paper.heading("Round-trip times in ms, and nodes")
    matrix(topology, paper)
    paper.heading("What a run takes on one machine")
    paper.table(
        ("backend", "servers", "ports of its own"),
        [_needs(name, target, topology) for name, target in BACKENDS.items() if name != FOR_TESTS],
        right=(1, 2),
    )
    paper.say(f"Toxiproxy is one more server. A run has a block of {BLOCK} ports of {FIRST}–{LAST}.")
    users = [experiment.name for experiment in experiments() if experiment.topology == thing.name]
    if users:
        paper.heading("Experiments on it")
        paper.say(", ".join(users))
    paper.heading("Any experiment on it")
    paper.command(f"make experiment EXPERIMENT={users[0] if users else 'gray-region'} TOPOLOGY={asked_as(thing)}")


def matrix(topology: Topology, paper: Paper) -> None:
    """A row a region: the way to every other, and its nodes."""
    names = topology.region_names
    paper.table(
        ("", *names, "nodes"),
        [
            (
                region,
                *(f"{topology.rtt(region, other):g}" if other != region else "·" for other in names),
                " ".join(node.name for node in topology.nodes_of(region)),
            )
            for region in names
        ],
        right=range(1, len(names) + 1),
    )


def ports_needed(topology: Topology, backend: Backend) -> int:
    """Every address a run has: the nodes' own, a proxy per foreign node and dialling region, witnesses, Toxiproxy."""
    nodes, others = len(topology.nodes), len(topology.regions) - 1
    return nodes * len(backend.ports) + nodes * others * len(backend.wan_ports) + len(topology.links) + 1


def _needs(name: str, target: str, topology: Topology) -> tuple[str, str, str]:
    backend: Backend = docs.loaded(target)("", {})
    return name, str(len(topology.nodes)), str(ports_needed(topology, backend))
