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
import psutil
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from lab.errors import DoesNotFit, NodeNotReady

RUN, USER, MAKER, NODE = (f"isolation-lab.{word}" for word in ("run", "user", "maker", "node"))
"""Labels: the run's directory, the number of the user who runs it, the process that made it (`pid@begun`, in seconds
since 1970), and the node a container is."""
SAME_S = 5.0
"""What the system says of a process's begin moves with its clock; a number is not used again that soon."""
SOCKETS = ("/var/run/docker.sock", "${XDG_RUNTIME_DIR}/docker.sock", "~/.docker/run/docker.sock")
"""Where an engine listens that DOCKER_HOST does not name: the system's, a rootless one, Docker Desktop's."""
ANSWER_WITHIN_S, CALL_WITHIN_S = 3, 30
AT_ONCE = 32
"""Calls side by side, and so connections kept: a connection more than that would be made anew each time."""


def answers() -> bool:
    """Whether a local engine answers; costs nothing where no socket is to be seen."""
    if not _address():
        return False
    try:
        connected().close()
    except DoesNotFit:
        return False
    return True


def connected() -> docker.DockerClient:
    """A client of the engine that the user's environment names, or of this machine's. Raises DoesNotFit with a
    sentence."""
    address = _address()
    if not address:
        raise _silent("there is no socket")
    if not address.startswith("unix://"):
        raise DoesNotFit(
            f"DOCKER_HOST names a remote engine ({address.partition('://')[0]}://…): expected one of this machine, "
            "since all is timed on one clock and clients dial loopback ports. Unset DOCKER_HOST, or say "
            "RUNTIME=process."
        )
    try:
        client = docker.DockerClient(base_url=address, version="auto", timeout=ANSWER_WITHIN_S, max_pool_size=AT_ONCE)
        client.ping()
    except (DockerException, RequestException) as error:
        raise _silent(why(error)) from None
    client.api.timeout = CALL_WITHIN_S
    return client


def version() -> str:
    """`Docker 20.10.24 on Debian GNU/Linux 12 (bookworm), overlay2`. Raises DoesNotFit or NodeNotReady."""
    client = connected()
    try:
        with told("its version can't be asked for"):
            stated, host = client.version(), client.info()
    finally:
        client.close()
    name = "Podman" if "podman" in str(stated.get("Components")).lower() else "Docker"
    return f"{name} {stated['Version']} on {host['OperatingSystem']}, {host['Driver']}"


def labels_of(directory: Path, node: str = "") -> dict[str, str]:
    """What everything of a run carries."""
    me = psutil.Process()
    made = {RUN: str(directory), USER: str(os.getuid()), MAKER: f"{me.pid}@{me.create_time():.0f}"}
    return made | ({NODE: node} if node else {})


def maker_lives(labels: Mapping[str, str]) -> bool:
    """Whether the process that made something still runs; also where that is not stated, and so not ours to tell."""
    number, _, begun_s = labels.get(MAKER, "").partition("@")
    try:
        return abs(psutil.Process(int(number)).create_time() - float(begun_s)) < SAME_S
    except psutil.NoSuchProcess:
        return False
    except (ValueError, psutil.Error):
        return True


def of_run(directory: Path) -> dict[str, list[str]]:
    """The filter that finds all of a run."""
    return {"label": [f"{RUN}={directory}"]}


@contextmanager
def told(what: str) -> Iterator[None]:
    """What the engine refuses becomes a sentence. Raises NodeNotReady."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise NodeNotReady(f"{what}: the container engine says: {why(error)}.") from error


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


@contextmanager
def unless_not_so(words: str) -> Iterator[None]:
    """A container that is not paused, or does not run, need not be woken or signalled; whichever code an engine has
    for that, its sentence holds these words."""
    try:
        yield
    except APIError as error:
        if words not in str(error.explanation).lower():
            raise


def why(error: Exception) -> str:
    """What an engine said, or why it said nothing, in a few words."""
    said = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    if "PermissionError" in said or "Permission denied" in said:
        return "permission denied on its socket"
    if "FileNotFoundError" in said or "No such file" in said:
        return "there is no socket"
    if "Connection refused" in said:
        return "its socket is there, and nobody listens"
    if "timed out" in said.lower():
        return "no answer in time"
    return " ".join(str(said).split())[:300].rstrip(".")


def _silent(reason: str) -> DoesNotFit:
    joined = " (as root: usermod -aG docker USER, then log in again)" if reason.startswith("permission") else ""
    return DoesNotFit(
        f"no container engine answers ({reason}): start it and see that `docker info` works for this user{joined}, "
        "or say RUNTIME=process."
    )


def _address() -> str:
    """Where the engine is to be asked: what DOCKER_HOST says, else the first socket there is; "" for none."""
    if host := os.environ.get("DOCKER_HOST", ""):
        return f"unix://{host}" if host.startswith("/") else host
    for name in SOCKETS:
        path = Path(os.path.expandvars(name)).expanduser()
        if path.is_absolute() and "$" not in str(path) and path.exists():
            return f"unix://{path}"
    return ""
