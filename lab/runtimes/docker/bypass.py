"""The look for a way round the network: every foreign node's address is dialled from every region's network.

Scratch images hold no tool, so a container of Toxiproxy's image stands in each network for as long as the look takes,
and its `toxiproxy-cli` dials. That the dialler sees at all is shown by its own region's nodes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from lab.errors import NodeNotReady
from lab.runtimes.docker.container import NOBODY
from lab.runtimes.docker.engine import AT_ONCE, labels_of, told, unless_gone
from lab.runtimes.docker.layout import name_of

CLI = "/toxiproxy-cli"
OWN_WITHIN_S, LEAST_S, TIMES = 10.0, 1.0, 4
"""A foreign node is waited for four times as long as the slowest own node took, and a second at the least."""
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
    engine: docker.DockerClient, directory: Path, image: str, networks: Mapping[str, str], dials: Sequence[Dial]
) -> list[str]:
    """Sentences on foreign nodes that answer, and on networks from which nothing could be seen. networks: region → id.
    Raises NodeNotReady."""
    with told("no look for a way round the proxies was possible"), ThreadPoolExecutor(AT_ONCE) as pool:
        diallers: dict[str, str] = {}

        def stand(region: str) -> None:
            diallers[region] = _made(engine, directory, image, region, networks[region])
            engine.api.start(diallers[region])

        def seconds(dial: Dial, within_s: float) -> float | None:
            return _answers(engine, diallers[dial.region], dial.address, within_s)

        try:
            list(pool.map(stand, networks))
            own = [one for one in dials if one.own]
            foreign = [one for one in dials if not one.own]
            took_s = dict(zip(own, pool.map(lambda one: seconds(one, OWN_WITHIN_S), own), strict=True))
            within_s = max(LEAST_S, TIMES * max((took or 0.0 for took in took_s.values()), default=0.0))
            reached = list(pool.map(lambda one: seconds(one, within_s), foreign))
        finally:
            list(pool.map(lambda one: _remove(engine, one), diallers.values()))
    seeing = {one.region for one in own if took_s[one] is not None}
    return [
        f"{one.node} answers at {one.address} from the network of {one.region}, with no proxy between them: the engine "
        "connects its bridge networks (Podman: make them with the option isolate=true; else look at the firewall)"
        for one, took in zip(foreign, reached, strict=True)
        if took is not None
    ] + [
        f"from the network of {region} not even its own nodes could be dialled, so it is not known whether there is "
        "a way round the proxies"
        for region in networks
        if region not in seeing
    ]


def _made(engine: docker.DockerClient, directory: Path, image: str, region: str, network: str) -> str:
    api = engine.api
    container: dict[str, str] = api.create_container(
        image, ["-host", "127.0.0.1"], name=name_of(directory, f"dialler-{region}"), labels=labels_of(directory),
        user=f"{NOBODY}:{NOBODY}",
        host_config=api.create_host_config(
            network_mode=network, cap_drop=["ALL"], security_opt=["no-new-privileges"], read_only=True,
            mem_limit="128m",
        ),
    )  # fmt: skip
    return container["Id"]


def _answers(engine: docker.DockerClient, dialler: str, address: str, within_s: float) -> float | None:
    """Seconds until anything at all came back, None when nothing did: a node need not speak what the tool speaks."""
    api, began_s = engine.api, time.monotonic()
    dial = api.exec_create(dialler, [CLI, "-h", address, "list"])["Id"]
    said = _said(api.exec_start(dial, socket=True), within_s)
    if said is None:
        return None
    if api.exec_inspect(dial)["ExitCode"] in NO_TOOL:
        raise NodeNotReady(f"expected {CLI} in the image of Toxiproxy, found none: {said.strip()[:200]}")
    return None if any(words in said for words in UNREACHED) else time.monotonic() - began_s


def _said(stream: Any, within_s: float) -> str | None:
    """All that the dial printed; None when it has not ended in time."""
    connection: socket.socket = getattr(stream, "_sock", stream)
    until, said = time.monotonic() + within_s, b""
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
