"""What a run left with the engine: found by its label, kept logs first, then removed.

For the runner's own end as for the reaper, whose engine may just be restarting.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from lab.errors import DoesNotFit
from lab.runtimes.docker.engine import NODE, RUN, USER, connected, of_run, unless_gone

AT_ONCE = 8
AGAIN_S = 0.5


def remove(engine: docker.DockerClient, directory: Path) -> int:
    """Everything of one run; how many containers and networks there were. Raises what the engine raises."""
    containers = engine.api.containers(all=True, filters=dict(of_run(directory)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: _keep_log(engine, directory, one), containers))
        list(pool.map(lambda one: _remove(engine, one["Id"]), containers))
    networks = engine.api.networks(filters=dict(of_run(directory)))
    for network in networks:
        with unless_gone():
            engine.api.remove_network(network["Id"])
    return len(containers) + len(networks)


def remove_in_time(directory: Path, within_s: float) -> int:
    """The same for a run that has died, until nothing more is found: the engine may be away for a while. 0 also
    where there is no engine."""
    removed, deadline = 0, time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            engine = connected()
            try:
                found = remove(engine, directory)
            finally:
                engine.close()
        except (DoesNotFit, DockerException, RequestException):
            time.sleep(AGAIN_S)
            continue
        removed += found
        if not found:
            return removed
    return removed


def runs(engine: docker.DockerClient, user: int) -> set[Path]:
    """The directories of all runs of a user of which anything is left."""
    mine = {"label": [f"{USER}={user}"]}
    found: Iterable[Any] = [*engine.api.containers(all=True, filters=mine), *engine.api.networks(filters=mine)]
    return {Path(one["Labels"][RUN]) for one in found if (one.get("Labels") or {}).get(RUN)}


def _keep_log(engine: docker.DockerClient, directory: Path, container: Any) -> None:
    """What it said, into the run's directory; of a run whose directory is gone there is nothing to keep."""
    node = container["Labels"].get(NODE, "")
    if not node or not directory.is_dir():
        return
    with suppress(DockerException, RequestException, OSError):
        (directory / "logs").mkdir(exist_ok=True)
        (directory / "logs" / f"{node}.log").write_bytes(engine.api.logs(container["Id"]))


def _remove(engine: docker.DockerClient, container: str) -> None:
    with unless_gone():
        engine.api.remove_container(container, force=True, v=True)
