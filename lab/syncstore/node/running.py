"""A node put together from its settings: engine, disk, listeners, HTTP.

Owns the order of a start (HTTP first, so that a long recovery can be watched; clients last) and of a stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from lab.syncstore import security
from lab.syncstore.config import Config
from lab.syncstore.disk.files import REBUILD
from lab.syncstore.errors import Malformed, Storage
from lab.syncstore.node.connections import CLIENT, PEER, WAN, Tls
from lab.syncstore.node.histogram import Histogram
from lab.syncstore.node.http import Http, Shown
from lab.syncstore.node.node import LIMITS, Engine, EngineMaker, Node, Recovered
from lab.syncstore.node.say import Say
from lab.syncstore.node.settings import Settings
from lab.syncstore.ports import Disk, Outlet

OpenStore = Callable[[Path, bool], Recovered]


class Running:
    """make_engine, open_store: for tests; else the real ones."""

    def __init__(
        self,
        chosen: Settings,
        say: Say,
        make_engine: EngineMaker | None = None,
        open_store: OpenStore | None = None,
    ) -> None:
        """On the loop. Raises Refused: certificates that can't be read."""
        self._chosen, self._say = chosen, say
        self._make_engine, self._open_store = make_engine or _engine, open_store or _log
        files = chosen.tls
        tls = Tls(security.server_context(files), security.client_context(files)) if files else None
        self.node = Node(chosen.config, tls, say, chosen.clock_offset_ms)
        self._http: Http | None = None

    async def start(self) -> None:
        """Return when clients are let in. Raises Refused, Storage."""
        at = self._chosen.listened
        if at.http is not None:
            files = self._chosen.tls if not at.http.is_loopback else None
            shown = Shown(self.not_ready, self.status, self.metrics)
            self._http = Http(at.http, shown, security.http_context(files) if files else None, self._say)
            await self._http.open()
        connections = self.node.connections
        for purpose, address in ((PEER, at.peer), (WAN, at.wan), (CLIENT, at.client)):
            connections.bind(purpose, address, LIMITS[purpose])  # before the disk is read: it may take long
        open_store = partial(self._open_store, self._chosen.data, self._chosen.rebuild)
        store = await asyncio.get_running_loop().run_in_executor(None, open_store)
        try:
            await self.node.recover(self._make_engine, store)
        except Malformed as error:
            raise Storage(f"{self._chosen.data}: its log can't be understood: {error}; {REBUILD}.") from error
        connections.reach(self._chosen.reached)
        connections.listen()
        self.node.serve()

    async def stop(self) -> None:
        await self.node.stop()
        if self._http is not None:
            self._http.close()

    def not_ready(self) -> str:
        """Why this node had better not be asked yet; "" when it is ready."""
        node = self.node
        if node.phase != "serving" or node.engine is None:
            return f"it is {node.phase}"
        return "" if node.engine.ready else "it does not yet hold what its peers held when it started"

    def status(self) -> dict[str, object]:
        """Everything, JSON-able."""
        node = self.node
        told: dict[str, object] = {
            "cluster": self._chosen.cluster,
            "region": self._chosen.region,
            "node": self._chosen.node,
            "phase": node.phase,
            "ready": not self.not_ready(),
            "bugs": node.bugs,
            "loop_lag": node.lag.histogram.told(),
            "connections": node.connections.told(),
        }
        if node.disk is not None and node.snapshots is not None:
            taken = {"taken": node.snapshots.taken, "failures": node.snapshots.failures}
            told |= {"log": node.disk.told(), "snapshots": taken}
        if node.engine is not None and node.phase not in ("starting", "recovering"):
            told |= {"engine": node.engine.status(), "counters": dict(node.engine.counters)}
        return told

    async def metrics(self) -> tuple[str, bytes]:
        """In Prometheus' own words; made in a thread, since the library is big and its text long."""
        node = self.node
        status = self.status()
        sync = node.disk.latency if node.disk is not None else None
        return await asyncio.to_thread(_exposed, status, sync, node.lag.histogram)


def _exposed(status: dict[str, object], sync: Histogram | None, lag: Histogram) -> tuple[str, bytes]:
    from lab.syncstore.metrics import exposed

    return exposed(status, sync, lag)


def _engine(config: Config, outlet: Outlet, disk: Disk) -> Engine:
    from lab.syncstore import engine

    return cast(Engine, engine.Engine(config, outlet, disk))


def _log(directory: Path, rebuild: bool) -> Recovered:
    from lab.syncstore.log import Log

    return cast(Recovered, Log.open(directory, rebuild=rebuild))
