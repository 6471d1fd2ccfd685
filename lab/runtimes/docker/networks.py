"""One bridge network per region, with a small subnet of its own.

The engine's own pools end at some thirty networks, and an address that is known beforehand needs no look-up: so
subnets are named here, out of one range, past all that this machine or another run has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path

import docker
import psutil
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from lab.errors import DoesNotFit
from lab.runtimes.docker.engine import labels_of, told
from lab.runtimes.docker.layout import name_of

RANGE = IPv4Network("10.213.0.0/16")
PREFIX = 24


def free(taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """Subnets of the range that overlap none of those, in order."""
    known = list(taken)
    for subnet in RANGE.subnets(new_prefix=PREFIX):
        if not any(subnet.overlaps(one) for one in known):
            yield subnet


def create(engine: docker.DockerClient, directory: Path, regions: Iterable[str]) -> dict[str, tuple[str, IPv4Network]]:
    """region → (network's id, subnet). Another run may take a subnet at the same moment: then the next one is tried.
    Raises NodeNotReady, or DoesNotFit where no subnet is left."""
    made: dict[str, tuple[str, IPv4Network]] = {}
    with told("the regions' networks can't be looked for"):
        subnets = free([*_of_engine(engine), *_of_machine()])
    for region in regions:
        for subnet in subnets:
            if network := _create(engine, directory, region, subnet):
                made[region] = network, subnet
                break
        else:
            raise DoesNotFit(
                f"no subnet of {RANGE} is left for the network of {region}; run `lab clean`, and look at "
                "`docker network ls`."
            )
    return made


def _create(engine: docker.DockerClient, directory: Path, region: str, subnet: IPv4Network) -> str:
    """The new network's id; "" where the engine says that the subnet is taken. Raises NodeNotReady."""
    pool = IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
    with told(f"the network of {region} can't be made"):
        try:
            network = engine.networks.create(
                name_of(directory, region), driver="bridge", ipam=IPAMConfig(pool_configs=[pool]),
                labels=labels_of(directory), check_duplicate=True,
            )  # fmt: skip
        except APIError as error:
            if "overlap" in str(error.explanation).lower():
                return ""
            raise
    return str(network.id)


def _of_engine(engine: docker.DockerClient) -> Iterator[IPv4Network]:
    for network in engine.networks.list():
        for pool in ((network.attrs.get("IPAM") or {}).get("Config")) or []:
            subnet = ip_network(pool.get("Subnet", "::/128"), strict=False)
            if isinstance(subnet, IPv4Network):
                yield subnet


def _of_machine() -> Iterator[IPv4Network]:
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family.name == "AF_INET" and one.netmask and not ip_address(one.address).is_loopback:
                yield IPv4Network(f"{one.address}/{one.netmask}", strict=False)
