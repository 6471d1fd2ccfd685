"""What one node is started with: who it is, who the others are, where everything is.

Owns the rules that settings must obey, wherever they came from (`settings_file`, or a command line).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.syncstore.config import Config, Limits
from lab.syncstore.errors import Refused
from lab.syncstore.node.addresses import Address, Addresses, addresses
from lab.syncstore.security import TlsFiles

NODES_MAX = 5
REGION, NODE, ADDRESS, CLUSTER = "local", "node-1", "127.0.0.1:7100", "syncstore"
"""What a node is that is told nothing."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}")
"""Two of them and a slash must fit into a certificate's common name, 64 characters."""


@dataclass(frozen=True)
class Settings:
    """regions: region → node → where it is. dial: node → where it is reached from here, when elsewhere.

    listen: the host to listen at, "" for those of `regions`. tls None: none, for which beyond loopback
    `insecure` must be said. clock_offset_ms: how wrong the wall clock is made, for tests.
    """

    cluster: str
    region: str
    node: str
    regions: Mapping[str, Mapping[str, Addresses]]
    data: Path
    dial: Mapping[str, Address]
    listen: str = ""
    tls: TlsFiles | None = None
    insecure: bool = False
    rebuild: bool = False
    clock_offset_ms: int = 0
    limits: Limits = field(default_factory=Limits)

    @property
    def config(self) -> Config:
        """What the engine is told."""
        return Config(
            cluster=self.cluster,
            region=self.region,
            node=self.node,
            members={region: tuple(nodes) for region, nodes in self.regions.items()},
            dial={node: str(where) for node, where in self.reached.items()},
            limits=self.limits,
        )

    @property
    def reached(self) -> dict[str, Address]:
        """Where each other node is dialled: at its peer address in the own region, else at its wan address."""
        return {
            node: self.dial.get(node) or (at.peer if region == self.region else at.wan)
            for region, nodes in self.regions.items()
            for node, at in nodes.items()
            if node != self.node
        }

    @property
    def listened(self) -> Addresses:
        """Where this node listens."""
        own = self.regions[self.region][self.node]
        if not self.listen:
            return own
        return Addresses(*(at and Address(self.listen, at.port) for at in own))  # type: ignore[arg-type]

    def check(self) -> Settings:
        """These settings. Raises Refused: a sentence about the first thing that can't be."""
        for sentence in self._mistakes():
            raise Refused(sentence)
        return self

    def _mistakes(self) -> Iterator[str]:
        yield from _wrong_names(self.cluster, self.regions)
        if self.region not in self.regions:
            yield f'expected one of the regions {_list(self.regions)}, found "{self.region}"'
        if self.node not in self.regions[self.region]:
            yield f'expected one of the nodes {_list(self.regions[self.region])} of {self.region}, found "{self.node}"'
        yield from _shared(self.regions)
        yield from self._wrong_dials()
        if self.tls is None and not self.insecure:
            for at in self.listened:
                if at is not None and not at.is_loopback:
                    yield (
                        f"expected TLS to listen at {at}, which others than this machine may reach: name certificates"
                        " (`syncstore certs` makes a test's), listen on 127.0.0.1, or say --insecure"
                    )

    def _wrong_dials(self) -> Iterator[str]:
        known = [node for nodes in self.regions.values() for node in nodes]
        for node in self.dial:
            if node not in known:
                yield f'dial: expected one of the nodes {_list(known)}, found "{node}"'
            if node == self.node:
                yield f"dial: expected other nodes, found {node} itself"


def node_of(regions: Mapping[str, Mapping[str, object]], node: str) -> tuple[str, str]:
    """(region, node) of a name; without one, of the only node there is. Raises Refused."""
    named = [(region, one) for region, nodes in regions.items() for one in nodes if one == node or not node]
    if len(named) == 1:
        return named[0]
    known = _list([one for nodes in regions.values() for one in nodes])
    raise Refused(f"say which node this is: --node with one of {known}" + (f', found "{node}"' if node else ""))


def regions_of(peers: str, region: str) -> dict[str, dict[str, Addresses]]:
    """Of `name=host:port,…`, where a name of another region is `region/name`. Raises Refused."""
    found: dict[str, dict[str, Addresses]] = {region: {}}
    for item in filter(None, peers.split(",")):
        name, equals, where = item.partition("=")
        of, _, node = name.strip().rpartition("/")
        if not equals or not node:
            raise Refused(f'--peers: expected name=host:port or region/name=host:port, found "{item[:200]}"')
        nodes = found.setdefault(of or region, {})
        if node in nodes:
            raise Refused(f"--peers: {node} is named twice")
        nodes[node] = addresses(where.strip())
    return found


def _wrong_names(cluster: str, regions: Mapping[str, Mapping[str, Addresses]]) -> Iterator[str]:
    nodes = [node for named in regions.values() for node in named]
    for what, names in (("cluster", [cluster]), ("region", list(regions)), ("node", nodes)):
        for name in names:
            if not NAME.fullmatch(name):
                yield f'{what}: expected a name of at most 31 letters, digits and _.- , found "{name[:100]}"'
    for region, named in regions.items():
        if not 1 <= len(named) <= NODES_MAX:
            yield f"region {region}: expected 1 to {NODES_MAX} nodes, found {len(named)}"
    for node in nodes:
        if nodes.count(node) > 1:
            yield f"node {node}: expected a name for one node only, found it in more than one region"


def _shared(regions: Mapping[str, Mapping[str, Addresses]]) -> Iterator[str]:
    users: dict[Address, str] = {}
    for nodes in regions.values():
        for node, at in nodes.items():
            for purpose, where in zip(Addresses._fields, at, strict=True):
                if where is None:
                    continue
                if where in users:
                    yield f"{where}: expected one use, found {users[where]} and {node}'s {purpose}"
                users[where] = f"{node}'s {purpose}"


def _list(names: Mapping[str, object] | list[str]) -> str:
    return ", ".join(names)
