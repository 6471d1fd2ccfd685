"""Nodes as containers: one bridge network per region, Toxiproxy the only one who stands in several.

A node's data lie in its container's own layer, on the same disk for every backend, and stay there when it is
stopped and started again. Ports that this machine dials are published on 127.0.0.1 alone.
"""

from __future__ import annotations

import asyncio
import io
import signal
import tarfile
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
from lab.runtimes.docker import leftovers, networks
from lab.runtimes.docker.bypass import Dial, ways_round
from lab.runtimes.docker.engine import NODE, connected, labels_of, of_run, told
from lab.runtimes.docker.images import image_of
from lab.runtimes.docker.layout import Layout, laid_out, name_of
from lab.runtimes.ports import PortBlock
from lab.topology import Topology

HOME = "node"
NOBODY = 65534
OPEN_FILES, PROCESSES = 16_384, 4096
MEMORY = "2g"
"""Far above what a node of ours takes: one that runs wild takes itself down, not the machine."""
LOG = {"max-size": "64m", "max-file": "2"}
LOOK_EVERY_S, REMOVE_WITHIN_S = 0.02, 8.0


class DockerRuntime:
    """The runtime where an engine answers. places: (program, version) → image."""

    name: ClassVar[str] = "docker"

    @staticmethod
    def find(program: str, version: str, say: Callable[[str], None]) -> Program:
        engine = connected()
        try:
            image = image_of(engine, program, version, say)
        finally:
            engine.close()
        return Program(program, image.version, image.id, image.sha256)

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
        self._engine = connected()
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
        api, layout = self._api, self._layout
        with told(f"{spec.name} can't be started"):
            container = self._containers[spec.name] = self._create(spec)
            api.put_archive(container, "/", _home(spec.files))
            for region in self._networks:
                if spec.name == TOXIPROXY and region != self._first:
                    api.connect_container_to_network(
                        container, self._networks[region], ipv4_address=layout.road_ip(region)
                    )
            api.start(container)

    def _create(self, spec: NodeSpec) -> str:
        api, layout = self._api, self._layout
        is_road = spec.name == TOXIPROXY
        region = self._first if is_road else spec.region
        published = layout.published[spec.name]
        container: dict[str, str] = api.create_container(
            self._places[(spec.program, spec.version)],
            list(spec.arguments),
            name=name_of(self._files.directory, spec.name),
            hostname=spec.name,
            user=f"{NOBODY}:{NOBODY}",
            working_dir=f"/{HOME}",
            environment={"TZ": "UTC"},
            labels=labels_of(self._files.directory, spec.name),
            ports=list(published),
            networking_config=api.create_networking_config(
                {
                    self._networks[region]: api.create_endpoint_config(
                        ipv4_address=layout.road_ip(region) if is_road else layout.ip_of(spec.name)
                    )
                }
            ),
            host_config=api.create_host_config(
                network_mode=self._networks[region],
                port_bindings={port: ("127.0.0.1", host_port) for port, host_port in published.items()},
                extra_hosts={} if is_road else layout.names_in(region),
                mem_limit=MEMORY,
                memswap_limit=MEMORY,
                pids_limit=PROCESSES,
                ulimits=[docker.types.Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES)],
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                log_config=docker.types.LogConfig(type="json-file", config=LOG),
            ),
        )
        return container["Id"]

    async def stop(self, name: str, how: signal.Signals = signal.SIGTERM, within_s: float = STOP_WITHIN_S) -> None:
        self._stopped.add(name)
        await asyncio.to_thread(self._stop, name, how, within_s)

    def _stop(self, name: str, how: signal.Signals, within_s: float) -> None:
        container = self._containers[name]
        with told(f"{name} can't be stopped"):
            self._resume(container)  # the engine signals no container that is paused
            self._signal(container, how)
            if not self._ended(container, within_s):
                self._signal(container, signal.SIGKILL)
                if not self._ended(container, STOP_WITHIN_S):
                    raise NodeNotReady(f"{name} does not end, though it was killed: look at `docker ps` and the engine.")

    def _signal(self, container: str, how: signal.Signals) -> None:
        try:
            self._api.kill(container, int(how))
        except APIError as error:
            if error.status_code != 409:  # it does not run
                raise

    def _ended(self, container: str, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while self._api.inspect_container(container)["State"]["Running"]:
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_EVERY_S)
        return True

    async def restart(self, name: str) -> None:
        await self.stop(name, signal.SIGKILL)  # a fault left early may not have ended it yet
        await asyncio.to_thread(self._again, name)
        self._stopped.discard(name)

    def _again(self, name: str) -> None:
        with told(f"{name} can't be started again"):
            self._api.start(self._containers[name])

    async def pause(self, name: str) -> None:
        await asyncio.to_thread(self._api.pause, self._containers[name])

    async def resume(self, name: str) -> None:
        await asyncio.to_thread(self._resume, self._containers[name])

    def _resume(self, container: str) -> None:
        try:
            self._api.unpause(container)
        except APIError as error:
            if error.status_code not in (409, 500):  # not paused, or gone; older engines say so with 500
                raise

    async def states(self) -> dict[str, str]:
        found = await asyncio.to_thread(self._states)
        return {name: found.get(name, "gone") for name in self._containers if name != TOXIPROXY}

    def _states(self) -> dict[str, str]:
        with told("the nodes' states can't be read"):
            listed: list[Any] = self._api.containers(all=True, filters=dict(of_run(self._files.directory)))
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
            Dial(region, node.name, f"{layout.ip_of(node.name)}:{layout.ports[f'{node.name}/{port}']}", node.region == region)
            for region in layout.topology.regions
            for node in layout.topology.nodes
            for port in self._wan_ports
        ]  # fmt: skip
        image = self._places[("toxiproxy-server", "")]
        assert self._engine is not None
        return await asyncio.to_thread(
            ways_round, self._engine, self._files.directory, image, self._networks, dials
        )

    async def close(self) -> None:
        if self._engine is not None:
            await asyncio.to_thread(self._remove_all, self._engine)
            self._engine.close()
        if self._ports is not None:
            self._ports.close()

    def _remove_all(self, engine: docker.DockerClient) -> None:
        """What can't be removed now is the reaper's."""
        until = time.monotonic() + REMOVE_WITHIN_S
        while time.monotonic() < until:
            with suppress(DockerException, RequestException):
                leftovers.remove(engine, self._files.directory)
                return
            time.sleep(LOOK_EVERY_S)

    @property
    def _api(self) -> docker.APIClient:
        assert self._engine is not None, "the runtime was never opened"
        return self._engine.api

    @property
    def _first(self) -> str:
        """The region in whose network Toxiproxy is made; it joins the others before it starts."""
        return next(iter(self._networks))


def _home(files: Mapping[str, str]) -> bytes:
    """A node's directory with its files, as an archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        home = tarfile.TarInfo(HOME)
        home.type, home.mode, home.uid, home.gid = tarfile.DIRTYPE, 0o755, NOBODY, NOBODY
        tar.addfile(home)
        for name, text in files.items():
            content = text.encode()
            file = tarfile.TarInfo(f"{HOME}/{name}")
            file.size, file.mode, file.uid, file.gid = len(content), 0o644, NOBODY, NOBODY
            tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()
