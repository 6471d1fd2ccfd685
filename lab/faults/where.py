"""Where a fault bites: the region or the nodes it names, and the links they are on."""

from __future__ import annotations

from collections.abc import Sequence

from lab.errors import DoesNotFit, UnknownName
from lab.protocols import FaultContext
from lab.topology import Topology


def known_region(region: str, context: FaultContext) -> None:
    """Raise UnknownName when the topology has no such region."""
    if region not in context.topology.regions:
        raise UnknownName.of("region", region, context.topology.regions)


def known_nodes(fault: str, region: str, nodes: Sequence[str], context: FaultContext) -> None:
    """Raise DoesNotFit unless one of `region` and `nodes` is given, UnknownName when it does not exist."""
    if bool(region) == bool(nodes):
        both = "both" if region else "neither"
        raise DoesNotFit(f"fault {fault}: expected either region or nodes, found {both}; name one, like region: sg.")
    if region:
        known_region(region, context)
    known = [node.name for node in context.topology.nodes]
    for node in nodes:
        if node not in known:
            raise UnknownName.of("node", node, known)


def names(region: str, nodes: Sequence[str], topology: Topology) -> list[str]:
    """The nodes meant: those named, or all of the region."""
    return list(dict.fromkeys(nodes)) or [node.name for node in topology.nodes_of(region)]


def regions(region: str, nodes: Sequence[str]) -> tuple[str, ...]:
    """The regions meant: the one named, or those of the nodes."""
    return (region,) if region else tuple(dict.fromkeys(node.rpartition("-")[0] for node in nodes))
