"""Nodes as plain processes on loopback ports, each in a session of its own.

Everything started carries the run's mark in its environment: that is how the reaper and
`lab clean` find what a killed runner left behind, without a list that could be torn.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import psutil

from lab import binaries
from lab.errors import DoesNotFit, NodeNotReady
from lab.protocols import STOP_WITHIN_S, TOXIPROXY, Addresses, Backend, NodeSpec, Program, RunFiles
from lab.runtimes import kept
from lab.runtimes.ports import PortBlock
from lab.topology import Topology

LOOK_EVERY_S = 0.005


class ProcessRuntime:
    """The runtime where there is no container engine. places: (program, version) → path."""

    name: ClassVar[str] = "process"

    @staticmethod
    def find(program: str, version: str, say: Callable[[str], None]) -> Program:
        if version.startswith("image:"):
            raise DoesNotFit(
                f"@{version} names an image, which only containers run: say RUNTIME=docker, or give a number."
            )
        found = binaries.find(program, version, say)
        return Program(found.name, found.version, str(found.path), {found.name: found.sha256})

    @staticmethod
    def surroundings() -> Mapping[str, str]:
        return {}

    def __init__(self, files: RunFiles, places: Mapping[tuple[str, str], Path | str]) -> None:
        self._files, self._places = files, places
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._specs: dict[str, NodeSpec] = {}
        self._stopped: set[str] = set()
        self._ports: PortBlock | None = None

    async def open(self, topology: Topology, backend: Backend) -> Addresses:
        self._ports = ports = PortBlock()

        def address() -> str:
            return f"127.0.0.1:{ports.take()}"

        return Addresses(
            listen={f"{node.name}/{port}": address() for node in topology.nodes for port in backend.ports},
            proxies={
                f"{region}/{node.name}/{port}": address()
                for region in topology.regions
                for node in topology.nodes
                if node.region != region
                for port in backend.wan_ports
            },
            witnesses={str(link): address() for link in topology.links},
            toxiproxy=address(),
        )

    async def start(self, spec: NodeSpec) -> None:
        self._specs[spec.name] = spec
        directory = self._files.nodes / spec.name
        directory.mkdir(parents=True, exist_ok=True)
        self._files.logs.mkdir(exist_ok=True)
        for name, text in spec.files.items():
            (directory / name).write_text(text, encoding="utf-8")
        kept.keep_configuration(self._files, spec)
        self._launch(spec)

    def _launch(self, spec: NodeSpec) -> None:
        binary = self._places[(spec.program, spec.version)]
        with (self._files.logs / f"{spec.name}.log").open("ab") as log:
            try:
                self._processes[spec.name] = subprocess.Popen(
                    [str(binary), *spec.arguments],
                    cwd=self._files.nodes / spec.name,
                    env={**os.environ, "TZ": "UTC"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise NodeNotReady(f"node {spec.name} can't be started from {binary}: {error.strerror}.") from error
        self._stopped.discard(spec.name)

    async def stop(self, name: str, how: signal.Signals = signal.SIGTERM, within_s: float = STOP_WITHIN_S) -> None:
        process = self._processes[name]
        self._stopped.add(name)
        if process.poll() is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # a paused one hears no other
        try:
            await asyncio.to_thread(process.wait, within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def restart(self, name: str) -> None:
        await self.stop(name, signal.SIGKILL)  # a fault left early may not have ended it yet
        self._launch(self._specs[name])

    async def pause(self, name: str) -> None:
        process = self._processes[name]
        process.send_signal(signal.SIGSTOP)
        for _ in range(int(STOP_WITHIN_S / LOOK_EVERY_S)):  # the system takes a moment to stop all its threads
            if _state(process) != "running":
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def resume(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGCONT)

    async def states(self) -> dict[str, str]:
        return {name: _state(process) for name, process in self._processes.items() if name != TOXIPROXY}

    async def dead(self) -> list[str]:
        return [name for name, p in self._processes.items() if name not in self._stopped and p.poll() is not None]

    def logs(self, name: str) -> list[str]:
        return kept.log_lines(self._files, name)

    async def crossings(self) -> list[str]:
        return await asyncio.to_thread(self._crossings)

    def _crossings(self) -> list[str]:
        """A connection crosses when its two ends belong to nodes of different regions. Both ports
        are compared: the system may give one ephemeral port to several connections at once."""
        ends: dict[tuple[int, int], str] = {}
        for name, process in self._processes.items():
            if name == TOXIPROXY or process.poll() is not None:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):  # it died between the look and the question
                for connection in psutil.Process(process.pid).net_connections(kind="tcp"):
                    if connection.raddr:
                        ends[connection.laddr.port, connection.raddr.port] = name
        found = {
            tuple(sorted((name, ends[far, near])))
            for (near, far), name in ends.items()
            if (far, near) in ends and self._region(ends[far, near]) != self._region(name)
        }
        return [f"{a} and {b} are connected without a proxy between them" for a, b in sorted(found)]

    async def close(self) -> list[str]:
        for name in list(self._processes):
            await self.stop(name, signal.SIGKILL)
        shutil.rmtree(self._files.nodes, ignore_errors=True)
        if self._ports is not None:
            self._ports.close()
        return []

    def _region(self, name: str) -> str:
        return self._specs[name].region


def _state(process: subprocess.Popen[bytes]) -> str:
    if process.poll() is not None:
        return "gone"
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended between the look and the question
        return "paused" if psutil.Process(process.pid).status() == psutil.STATUS_STOPPED else "running"
    return "gone"
