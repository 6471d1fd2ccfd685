"""What a run has with the engine: found by its label, kept logs first, then removed.

For the runner's own end as for the reaper, whose engine may just be restarting.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from lab.errors import DoesNotFit
from lab.runtimes.docker.engine import AT_ONCE, NODE, RUN, USER, connected, maker_lives, of_run, unless_gone, why

AGAIN_S = 0.5


@dataclass(frozen=True)
class Removed:
    """How many are gone now; stayed: name → why, of those that the engine would not remove."""

    containers: int = 0
    networks: int = 0
    stayed: Mapping[str, str] | None = None

    def __add__(self, later: Removed) -> Removed:
        return Removed(self.containers + later.containers, self.networks + later.networks, later.stayed)

    @property
    def any(self) -> bool:
        """Whether there was anything to do, done or not."""
        return bool(self.containers or self.networks or self.stayed)


def remove(engine: docker.DockerClient, directory: Path) -> Removed:
    """Everything of one run that can be removed, side by side. Raises what the engine raises when it can't be asked."""
    containers: list[Any] = engine.api.containers(all=True, filters=of_run(directory))
    stayed: dict[str, str] = {}

    def away(container: Any) -> None:
        _keep_log(engine, directory, container)
        try:
            with unless_gone():
                engine.api.remove_container(container["Id"], force=True, v=True)
        except (DockerException, RequestException) as error:
            stayed[_name(container)] = why(error)

    def apart(network: Any) -> None:
        try:
            with unless_gone():
                engine.api.remove_network(network["Id"])
        except (DockerException, RequestException) as error:
            stayed[str(network["Name"])] = why(error)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(away, containers))
        of_containers = len(stayed)
        networks: list[Any] = engine.api.networks(filters=of_run(directory))
        list(pool.map(apart, networks))
    return Removed(len(containers) - of_containers, len(networks) - len(stayed) + of_containers, stayed)


def remove_in_time(directory: Path, within_s: float) -> Removed:
    """The same for a run that has died, until nothing more is found: the engine may be away for a while, and what
    was just being made appears late."""
    removed, until_s = Removed(), time.monotonic() + within_s
    while time.monotonic() < until_s:
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
        if not found.any:
            return removed
        if found.stayed:
            time.sleep(AGAIN_S)
    return removed


def dead_runs(engine: docker.DockerClient, user: int) -> set[Path]:
    """The directories of all runs of a user of which anything is left, and of which nobody who made it lives."""
    mine = {"label": [f"{USER}={user}"]}
    found: Iterable[Any] = [*engine.api.containers(all=True, filters=mine), *engine.api.networks(filters=mine)]
    labels: list[Mapping[str, str]] = [one["Labels"] for one in found if (one.get("Labels") or {}).get(RUN)]
    living = {one[RUN] for one in labels if maker_lives(one)}
    return {Path(one[RUN]) for one in labels if one[RUN] not in living}


def _name(container: Any) -> str:
    names = container.get("Names") or [container["Id"][:12]]
    return str(names[0]).removeprefix("/")


def _keep_log(engine: docker.DockerClient, directory: Path, container: Any) -> None:
    """What it said, into the run's directory; of a run whose directory is gone there is nothing to keep."""
    node = container["Labels"].get(NODE, "")
    if not node or not directory.is_dir():
        return
    with suppress(DockerException, RequestException, OSError):
        (directory / "logs").mkdir(exist_ok=True)
        (directory / "logs" / f"{node}.log").write_bytes(engine.api.logs(container["Id"]))
