"""The container engine of this machine: whether one answers, and how it is spoken to.

Owns the connection, the refusals, and the labels by which everything that a run makes is found again.
A remote engine is refused: latencies are read on one clock, and clients dial loopback ports.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from lab.errors import DoesNotFit, NodeNotReady

RUN, USER, NODE = "isolation-lab.run", "isolation-lab.user", "isolation-lab.node"
"""Labels: the run's directory, the number of the user who runs it, and the node a container is."""
SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "~/.docker/run/docker.sock")
ANSWER_WITHIN_S, CALL_WITHIN_S = 3, 30


def answers() -> bool:
    """Whether a local engine answers; costs nothing where no socket is to be seen."""
    if not os.environ.get("DOCKER_HOST") and not any(Path(one).expanduser().exists() for one in SOCKETS):
        return False
    try:
        connected().close()
    except DoesNotFit:
        return False
    return True


def connected() -> docker.DockerClient:
    """A client of the engine that the user's environment names. Raises DoesNotFit with a sentence."""
    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith(("unix://", "npipe://", "/")):
        raise DoesNotFit(
            f"DOCKER_HOST names a remote engine ({host.partition('://')[0]}://…): expected one of this machine, since "
            "all is timed on one clock and clients dial loopback ports. Unset DOCKER_HOST, or say RUNTIME=process."
        )
    try:
        client = docker.from_env(timeout=ANSWER_WITHIN_S)
        client.ping()
    except (DockerException, RequestException) as error:
        raise DoesNotFit(
            f"no container engine answers ({_why(error)}): start it and see that `docker info` works for this user, "
            "or say RUNTIME=process."
        ) from None
    client.api.timeout = CALL_WITHIN_S
    return client


def labels_of(directory: Path, node: str = "") -> dict[str, str]:
    """What everything of a run carries."""
    return {RUN: str(directory), USER: str(os.getuid())} | ({NODE: node} if node else {})


def of_run(directory: Path) -> Mapping[str, list[str]]:
    """The filter that finds all of a run."""
    return {"label": [f"{RUN}={directory}"]}


@contextmanager
def told(what: str) -> Iterator[None]:
    """What the engine refuses becomes a sentence. Raises NodeNotReady."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise NodeNotReady(f"{what}: the container engine says: {_why(error)}.") from error


@contextmanager
def unless_gone() -> Iterator[None]:
    """What is gone already, or is being removed, needs no more."""
    try:
        yield
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != 409 or "is already in progress" not in str(error.explanation):
            raise


def _why(error: Exception) -> str:
    said = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    if "PermissionError" in said or "Permission denied" in said:
        return "permission denied on its socket"
    if "FileNotFoundError" in said or "No such file" in said:
        return "there is no socket"
    if "Connection refused" in said:
        return "its socket is there, and nobody listens"
    return " ".join(said.split())[:300].rstrip(".")
