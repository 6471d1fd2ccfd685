"""What is typed to work with an export: with compose on one machine, with docker in a swarm. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lab.export import compose, stack
from lab.export.model import DELAYS, Export

CLI = "/toxiproxy-cli"
NATS_BOX = "natsio/nats-box"


class Words(ABC):
    """Lists are lines of a shell, `before`, `after` and `where` sentences.

    By `docker exec`: `docker compose exec` would take the lines pasted after it for its own input."""

    @abstractmethod
    def before(self) -> str:
        """What must be so before the start."""

    @abstractmethod
    def start(self) -> list[str]: ...
    @abstractmethod
    def look(self) -> list[str]: ...
    @abstractmethod
    def stop(self) -> list[str]: ...
    @abstractmethod
    def after(self) -> str:
        """What to know of the stop."""

    @abstractmethod
    def where(self) -> str:
        """Where a road's commands are typed."""

    @abstractmethod
    def nats(self, node: str, command: str) -> str:
        """NATS's own `nats`, as a client of one node."""

    @abstractmethod
    def harmed(self, node: str, state: str) -> str:
        """state: paused or gone."""

    @abstractmethod
    def healed(self, node: str, state: str) -> str: ...
    @abstractmethod
    def container(self, service: str) -> str:
        """What the shell replaces by a container's id."""

    def road(self, region: str, commands: Sequence[str]) -> list[str]:
        """toxiproxy-cli on a region's road, once for each command."""
        return [f"road={self.container(f'road-{region}')}"] + [f"docker exec $road {CLI} {one}" for one in commands]

    def within(self, node: str, command: str) -> str:
        """A program of the node's own image."""
        return f"docker exec {self.container(node)} {command}"


class ComposeWords(Words):
    """For one machine."""

    def __init__(self, export: Export) -> None:
        self._export = export

    def before(self) -> str:
        return (
            "Needs Docker with `docker compose` (an older `docker-compose` does as well). All commands are typed in "
            "this folder. Every port is on 127.0.0.1 of this machine alone."
        )

    def start(self) -> list[str]:
        return ["docker compose up -d"]

    def look(self) -> list[str]:
        return ["docker compose ps", f"docker compose logs {DELAYS}"]

    def stop(self) -> list[str]:
        return ["docker compose down --volumes"]

    def after(self) -> str:
        return "Containers, networks and all data are gone then; without `--volumes` the data stay for the next start."

    def where(self) -> str:
        return ""

    def nats(self, node: str, command: str) -> str:
        return f"nats --server {compose.LOOPBACK}:{self._export.ports[node]['client']} {command}"

    def harmed(self, node: str, state: str) -> str:
        return f"docker compose {'pause' if state == 'paused' else 'kill'} {node}"

    def healed(self, node: str, state: str) -> str:
        return f"docker compose {'unpause' if state == 'paused' else 'start'} {node}"

    def container(self, service: str) -> str:
        return f"$(docker compose ps -q {service})"


class StackWords(Words):
    """For a swarm."""

    def __init__(self, export: Export, one_node: bool) -> None:
        self._export, self._name, self._one_node = export, export.name, one_node

    def before(self) -> str:
        placed = (
            "Everything runs wherever the swarm puts it: this was written with `--one-node`, for one machine."
            if self._one_node
            else "Nodes run on machines that bear their region's label; give it to each machine once, by the name that "
            "`docker node ls` tells:\n\n"
            + _sh([f"docker node update --label-add {stack.LABEL}={one} MACHINE" for one in self._export.regions])
        )
        return (
            "Needs a swarm (`docker swarm init` makes one of this machine), and a shell on a manager of it, in this "
            f"folder. {placed}\n\n"
            "No port is published: a swarm opens ports to everybody, on all machines, and these servers ask for no "
            "password. Clients are started within a region's network instead. Each node's data lie on the machine "
            "where it runs."
        )

    def start(self) -> list[str]:
        unasked = "--resolve-image never " if self._export.images.local else ""  # else a registry is asked for each
        return [f"docker stack deploy {unasked}-c {stack.FILE} {self._name}"]

    def look(self) -> list[str]:
        return [f"docker stack services {self._name}", f"docker service logs {self._name}_{DELAYS}"]

    def stop(self) -> list[str]:
        mine = f"label=com.docker.stack.namespace={self._name}"
        return [
            f"docker stack rm {self._name}",
            f'until [ -z "$(docker ps -aq -f {mine})" ]; do sleep 1; done',
            f"docker volume rm $(docker volume ls -q -f {mine})",
        ]

    def after(self) -> str:
        return "The last two lines remove the data, on the machine where they are typed: type them on each."

    def where(self) -> str:
        return "`docker exec` reaches containers of its own machine alone: type each block where its road runs."

    def nats(self, node: str, command: str) -> str:
        region, port = node.rpartition("-")[0], self._export.ports[node]["client"]
        return f"docker run --rm --network {self._name}_{region} {NATS_BOX} nats --server {node}:{port} {command}"

    def harmed(self, node: str, state: str) -> str:
        if state == "paused":
            return f"docker pause {self.container(node)}"
        return f"docker service scale {self._name}_{node}=0"

    def healed(self, node: str, state: str) -> str:
        if state == "paused":
            return f"docker unpause {self.container(node)}"
        return f"docker service scale {self._name}_{node}=1"

    def container(self, service: str) -> str:
        return f"$(docker ps -q -f label=com.docker.swarm.service.name={self._name}_{service})"


def _sh(lines: Sequence[str]) -> str:
    return "\n".join(["```sh", *lines, "```"])
