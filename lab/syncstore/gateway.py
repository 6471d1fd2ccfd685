"""Which node of a region hears which other region.

Owns the choice. Peer health is advice here and nowhere else: it decides who dials, never who serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from xxhash import xxh3_64_intdigest


def rank(region: str, node: str) -> int:
    """Rendezvous: each foreign region sorts the nodes its own way, so gateways spread over them."""
    return xxh3_64_intdigest(f"{region}|{node}".encode())


def should_hear(region: str, node: str, hearing: Mapping[str, Set[str]]) -> bool:
    """Whether `node` should be connected to `region`: it is the first among those that hear it, or nobody
    does and everybody probes. hearing: node → the regions it hears, of all live nodes of the own region."""
    those = [one for one, regions in hearing.items() if region in regions]
    return not those or node == max(those, key=lambda one: rank(region, one))


def targets(node: str, nodes: Sequence[str]) -> list[str]:
    """In which order `node` dials the nodes of a region: each its own, so that probes spread."""
    return sorted(nodes, key=lambda one: rank(node, one), reverse=True)
