"""Nodes as containers: one bridge network per region, Toxiproxy the only one who stands in several.

What a container is made of is said in `container`, who has which address in `layout`. Ports that this machine dials
are published on 127.0.0.1 alone.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from lab.errors import NodeNotReady
from lab.protocols import STOP_WITHIN_S, TOXIPROXY, Addresses, Backend, NodeSpec, Program, RunFiles
from lab.runtimes import kept
from lab.runtimes.docker import container, engine, leftovers, networks
from lab.runtimes.docker.bypass import Dial, ways_round
from lab.runtimes.docker.engine import NODE, told, unless_not_so
from lab.runtimes.docker.images import image_of
from lab.runtimes.docker.layout import Layout, laid_out, name_of
from lab.runtimes.ports import PortBlock
from lab.topology import Topology

LOOK_EVERY_S, PORT_WITHIN_S = 0.02, 3.0
CLOSE_WITHIN_S, CLOSE_CALL_WITHIN_S = 8.0, 4.0


class DockerRuntime:
    """The runtime where an engine answers. places: (program, version) → image."""

    name: ClassVar[str] = "docker"

    @staticmethod
    def find(program: str, version: str, say: Callable[[str], None]) -> Program:
        client = engine.connected()
        try:
            image = image_of(client, program, version, say)
        finally:
            client.close()
        return Program(program, image.version, image.id, image.sha256)

    @staticmethod
    def surroundings() -> Mapping[str, str]:
        memory = f"{container.NODE_MEMORY} a node, {container.ROAD_MEMORY} for Toxiproxy"
        return {"engine": engine.version(), "memory_limits": memory, "cpu_limits": "none"}

    def __init__(self, files: RunFiles, places: Mapping[tuple[str, str], str]) -> None:
        self._files, self._places = files, places
        self._engine: docker.DockerClient | None = None
        self._ports: PortBlock | None = None
        self._networks: dict[str, str] = {}
        self._containers: dict[str, str] = {}
        self._stopped: set[str] = set()

    async def open(self, topology: Topology, backend: Backend) -> Addresses:
        return await asyncio.to_thread(self._open, topology, backend)

    def _open(self, topology: Topology, backend: Backend) -> Addresses:
        self._engine = engine.connected()
        self._ports = PortBlock()
        made = networks.create(self._engine, self._files.directory, topology.regions)
        self._networks = {region: network for region, (network, _) in made.items()}
        subnets = {region: subnet for region, (_, subnet) in made.items()}
        self._wan_ports = backend.wan_ports
        self._layout: Layout = laid_out(topology, backend, subnets, self._ports.take)
        return self._layout.addresses

    async def start(self, spec: NodeSpec) -> None:
        kept.keep_configuration(self._files, spec)
        await asyncio.to_thread(self._start, spec)

    def _start(self, spec: NodeSpec) -> None:
        with told(f"{spec.name} can't be started"):
            made = self._create(spec)
            self._api.put_archive(made, "/", container.home(spec.files))
            for region in self._networks:
                if spec.name == TOXIPROXY and region != self._first:
                    road_ip = self._layout.road_ip(region)
                    self._api.connect_container_to_network(made, self._networks[region], ipv4_address=road_ip)
            self._begin(made)
            self._containers[spec.name] = made

    def _begin(self, made: str) -> None:
        """A port that was free when it was chosen may be looked at, as we did, by others in this very moment."""
        until_s = time.monotonic() + PORT_WITHIN_S
        while True:
            try:
                self._api.start(made)
                return
            except APIError as error:
                if "address already in use" not in str(error.explanation) or time.monotonic() > until_s:
                    raise
            time.sleep(LOOK_EVERY_S)

    def _create(self, spec: NodeSpec) -> str:
        api, layout = self._api, self._layout
        is_road = spec.name == TOXIPROXY
        region = self._first if is_road else spec.region
        address = layout.road_ip(region) if is_road else layout.ip_of(spec.name)
        published = layout.published[spec.name]
        made: dict[str, str] = api.create_container(
            self._places[(spec.program, spec.version)],
            name=name_of(self._files.directory, spec.name),
            labels=engine.labels_of(self._files.directory, spec.name),
            ports=list(published),
            networking_config=api.create_networking_config(
                {self._networks[region]: api.create_endpoint_config(ipv4_address=address)}
            ),
            host_config=api.create_host_config(
                network_mode=self._networks[region],
                port_bindings={port: ("127.0.0.1", host_port) for port, host_port in published.items()},
                extra_hosts={} if is_road else layout.names_in(region),
                **container.limits(spec),
            ),
            **container.settings(spec, layout.turn_of(spec.name), layout.ports_of(spec.name)),
        )
        return made["Id"]

    async def stop(self, name: str, how: signal.Signals = signal.SIGTERM, within_s: float = STOP_WITHIN_S) -> None:
        self._stopped.add(name)
        await asyncio.to_thread(self._stop, name, how, within_s)

    def _stop(self, name: str, how: signal.Signals, within_s: float) -> None:
        with told(f"{name} can't be stopped"):
            self._wake(name)  # the engine signals no container that is paused
            self._signal(name, how)
            if not self._ended(name, within_s):
                self._signal(name, signal.SIGKILL)
                if not self._ended(name, STOP_WITHIN_S):
                    raise NodeNotReady(f"{name} does not end, though it was killed; look at `docker ps`.")

    def _signal(self, name: str, how: signal.Signals) -> None:
        with unless_not_so("is not running"):
            self._api.kill(self._containers[name], int(how))

    def _ended(self, name: str, within_s: float) -> bool:
        until_s = time.monotonic() + within_s
        while self._api.inspect_container(self._containers[name])["State"]["Running"]:
            if time.monotonic() > until_s:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    async def restart(self, name: str) -> None:
        await self.stop(name, signal.SIGKILL)  # a fault left early may not have ended it yet
        await asyncio.to_thread(self._again, name)
        self._stopped.discard(name)

    def _again(self, name: str) -> None:
        with told(f"{name} can't be started again"):
            self._begin(self._containers[name])

    async def pause(self, name: str) -> None:
        await asyncio.to_thread(self._pause, name)

    def _pause(self, name: str) -> None:
        with told(f"{name} can't be paused"), unless_not_so("is not running"), unless_not_so("already paused"):
            self._api.pause(self._containers[name])

    async def resume(self, name: str) -> None:
        await asyncio.to_thread(self._wake, name)

    def _wake(self, name: str) -> None:
        with told(f"{name} can't be resumed"), unless_not_so("is not running"), unless_not_so("is not paused"):
            self._api.unpause(self._containers[name])

    async def states(self) -> dict[str, str]:
        found = await asyncio.to_thread(self._states)
        return {name: found.get(name, "gone") for name in self._containers if name != TOXIPROXY}

    def _states(self) -> dict[str, str]:
        with told("the nodes' states can't be read"):
            listed: list[Any] = self._api.containers(all=True, filters=engine.of_run(self._files.directory))
        words = {"running": "running", "paused": "paused"}
        return {one["Labels"][NODE]: words.get(one["State"], "gone") for one in listed if NODE in one["Labels"]}

    async def dead(self) -> list[str]:
        found = await asyncio.to_thread(self._states)
        return [name for name in self._containers if name not in self._stopped and found.get(name, "gone") == "gone"]

    def logs(self, name: str) -> list[str]:
        if name in self._containers and self._engine is not None:
            with suppress(DockerException, RequestException):
                text: bytes = self._engine.api.logs(self._containers[name])
                return text.decode("utf-8", errors="replace").splitlines()
        return kept.log_lines(self._files, name)

    async def crossings(self) -> list[str]:
        layout = self._layout
        dials = [
            Dial(
                region,
                node.name,
                f"{layout.ip_of(node.name)}:{layout.ports_of(node.name)[port]}",
                node.region == region,
            )
            for region in layout.topology.regions
            for node in layout.topology.nodes
            for port in self._wan_ports
        ]
        assert self._engine is not None
        image = self._places[("toxiproxy-server", "")]
        return await asyncio.to_thread(ways_round, self._engine, self._files.directory, image, self._networks, dials)

    async def close(self) -> list[str]:
        stayed: list[str] = []
        if self._engine is not None:
            try:
                stayed = await asyncio.wait_for(asyncio.to_thread(self._remove_all), CLOSE_WITHIN_S)
            except Exception:  # TimeoutError most of all; the reaper goes on
                names = ", ".join(name_of(self._files.directory, name) for name in self._containers) or "its networks"
                stayed = [f"the engine did not remove {names} within {CLOSE_WITHIN_S:g} s"]
            self._containers.clear()  # what they said is in the run's directory now
            self._engine.close()
        if self._ports is not None:
            self._ports.close()
        return stayed

    def _remove_all(self) -> list[str]:
        """Sentences on what the engine would not remove, asked again until the time is up."""
        until_s, last = time.monotonic() + CLOSE_CALL_WITHIN_S, ""
        self._api.timeout = CLOSE_CALL_WITHIN_S
        stayed: Mapping[str, str] = {}
        while True:
            try:
                stayed, last = leftovers.remove(self._required, self._files.directory).stayed or {}, ""
            except (DockerException, RequestException) as error:
                last = engine.why(error)
            if not (stayed or last) or time.monotonic() > until_s:
                break
            time.sleep(leftovers.AGAIN_S)
        asked = [f"the engine could not be asked to remove this run's containers: {last}"] if last else []
        return asked + [f"{name} could not be removed: {reason}" for name, reason in stayed.items()]

    @property
    def _required(self) -> docker.DockerClient:
        assert self._engine is not None, "the runtime was never opened"
        return self._engine

    @property
    def _api(self) -> docker.APIClient:
        return self._required.api

    @property
    def _first(self) -> str:
        """The region in whose network Toxiproxy is made; it joins the others before it starts."""
        return next(iter(self._networks))
