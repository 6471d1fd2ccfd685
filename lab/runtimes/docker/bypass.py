"""The look for a way round the network: every foreign node's address is dialled from every region's network.

Scratch images hold no tool, so a container of Toxiproxy's image stands in each network for as long as the look takes,
and its `toxiproxy-cli` dials. That the dialler sees at all is shown by its own region's nodes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab.errors import NodeNotReady
from lab.runtimes.docker.engine import labels_of, told, unless_gone
from lab.runtimes.docker.layout import name_of

CLI = "/toxiproxy-cli"
AT_ONCE = 8
WITHIN_S = 1.0
"""A road that needs more than this between two containers of one machine is none."""
NO_TOOL = (126, 127)
UNREACHED = ("connection refused", "no route to host", "network is unreachable", "i/o timeout", "host is down")


@dataclass(frozen=True)
class Dial:
    """From a region's network to `node` at `address`; own: a node of that very region."""

    region: str
    node: str
    address: str
    own: bool


def ways_round(
    engine: docker.DockerClient, directory: Path, image: str, networks: dict[str, str], dials: Sequence[Dial]
) -> list[str]:
    """Sentences on foreign nodes that answer, and on networks from which nothing could be seen. networks: region → id.
    Raises NodeNotReady."""
    with told("no look for a way round the proxies was possible"), ExitStack() as stack:
        diallers = {}
        for region, network in networks.items():
            diallers[region] = _stand(engine, directory, image, region, network)
            stack.callback(_remove, engine, diallers[region])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            reached = list(pool.map(lambda one: _answers(engine, diallers[one.region], one.address), dials))
    seeing = {one.region for one, answered in zip(dials, reached, strict=True) if one.own and answered}
    return [
        f"{one.node} answers at {one.address} from the network of {one.region}, with no proxy between them: the engine "
        "connects its bridge networks (Podman: make them with the option isolate=true; else look at the firewall)"
        for one, answered in zip(dials, reached, strict=True)
        if answered and not one.own
    ] + [
        f"from the network of {region} not even its own nodes could be dialled: whether there is a way round is not known"
        for region in networks
        if region not in seeing
    ]


def _stand(engine: docker.DockerClient, directory: Path, image: str, region: str, network: str) -> str:
    api = engine.api
    container: str = api.create_container(
        image, ["-host", "127.0.0.1"], name=name_of(directory, f"dialler-{region}"), labels=labels_of(directory),
        host_config=api.create_host_config(network_mode=network, cap_drop=["ALL"], mem_limit="128m"),
    )["Id"]  # fmt: skip
    try:
        api.start(container)
    except BaseException:
        _remove(engine, container)
        raise
    return container


def _answers(engine: docker.DockerClient, dialler: str, address: str) -> bool:
    """Whether anything at all comes back: a node need not speak what the tool speaks."""
    api = engine.api
    dial = api.exec_create(dialler, [CLI, "-h", address, "list"])["Id"]
    said = _said(api.exec_start(dial, socket=True))
    if said is None:
        return False
    if api.exec_inspect(dial)["ExitCode"] in NO_TOOL:
        raise NodeNotReady(f"expected {CLI} in the image of Toxiproxy, found none: {said.strip()[:200]}")
    return not any(words in said for words in UNREACHED)


def _said(stream: Any) -> str | None:
    """All that the dial printed; None when it has not ended in time."""
    connection: socket.socket = getattr(stream, "_sock", stream)
    until, said = time.monotonic() + WITHIN_S, b""
    try:
        while (left_s := until - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not (part := connection.recv(4096)):
                return said.decode(errors="replace").lower()
            said += part
    except TimeoutError:
        pass
    finally:
        stream.close()
    return None


def _remove(engine: docker.DockerClient, container: str) -> None:
    with unless_gone():
        engine.api.remove_container(container, force=True)
