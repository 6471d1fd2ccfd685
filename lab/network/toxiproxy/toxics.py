"""What an impairment of a link is in Toxiproxy: which toxic, on which proxies, in which direction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.errors import NetworkBroken
from lab.protocols import Cut, Impairment, Latency, Rate
from lab.topology import Link


def toxic_of(impairment: Impairment) -> tuple[str, dict[str, int]] | None:
    """(type, attributes); None for `refuse`, which is no toxic: the proxy is switched off."""
    match impairment:
        case Latency(ms):
            return "latency", {"latency": round(ms)}
        case Rate(kbps):
            return "bandwidth", {"rate": kbps}
        case Cut("stall"):  # rate 0 holds data back without losing any, nearest to a real cut
            return "bandwidth", {"rate": 0}
        case Cut("blackhole"):
            return "timeout", {"timeout": 0}
        case Cut("refuse"):
            return None
    raise NetworkBroken(f"Toxiproxy has nothing for {impairment!r}.")


def carriers(keys: Iterable[str], link: Link, region_of: Mapping[str, str]) -> list[tuple[str, str]]:
    """(proxy, stream) of every proxy that carries the link's data, whoever dialled. keys: of `Addresses.proxies`."""
    found = []
    for key in keys:
        dialler, node, _ = key.split("/")
        ends = (dialler, region_of[node])
        if ends == (link.source, link.target):
            found.append((proxy_name(key), "upstream"))
        elif ends == (link.target, link.source):
            found.append((proxy_name(key), "downstream"))
    return found


def proxy_name(key: str) -> str:
    """`us/sg-1/routes` → `us.sg-1.routes`: where us dials sg-1."""
    return key.replace("/", ".")
