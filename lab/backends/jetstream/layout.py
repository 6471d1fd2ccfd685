"""Where a bucket's replicas are put: JetStream's best layout for a topology, whatever its shape.

R3 (fewer where there are fewer servers): one replica at home, so that its leader can sit with its
users, and one in each of the two nearest regions, so that the bucket outlives any one region. With
two regions, two are at home: then at least a loss of the other one leaves a majority. A tag of its
own for each bucket says so to the servers, since `unique_tag` would leave home to chance.
"""

from __future__ import annotations

from lab.topology import Node, Topology

REPLICAS = 3


def replicas(home: str, topology: Topology) -> list[Node]:
    """The servers that hold the bucket of `home`, the one for its leader first."""
    others = sorted((r for r in topology.regions if r != home), key=lambda region: (topology.rtt(home, region), region))
    # buckets start at different nodes of a region, so that none carries them all
    turn = list(topology.regions).index(home)
    spare = {region: _from(topology.nodes_of(region), turn) for region in (home, *others)}
    chosen: list[Node] = []
    while len(chosen) < REPLICAS and any(spare.values()):
        for region in spare:
            if spare[region] and len(chosen) < REPLICAS:
                chosen.append(spare[region].pop(0))
    return chosen


def tag(home: str) -> str:
    """What servers that hold the bucket of `home` are tagged with."""
    return f"home:{home}"


def tags(node: Node, topology: Topology) -> list[str]:
    """A server's tags: its region, and the buckets it holds."""
    held = [tag(home) for home in topology.regions if node in replicas(home, topology)]
    return [f"region:{node.region}", *held]


def _from(nodes: tuple[Node, ...], turn: int) -> list[Node]:
    first = turn % len(nodes)
    return [*nodes[first:], *nodes[:first]]
