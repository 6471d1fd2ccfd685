"""Nine nodes in containers: up in time, every link as long as it should be, no way round, and gone in time."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from pathlib import Path

import pytest

from lab import plan, reaper
from lab.deploy import deployed
from lab.network.toxiproxy.proxies import ToxiproxyNetwork
from lab.protocols import CountsConnections, Deployment, RunFiles
from lab.runtimes.docker import engine

pytestmark = [pytest.mark.docker, pytest.mark.slow]
UP_WITHIN_S, GONE_WITHIN_S = 45.0, 15.0  # on a busy machine; alone it takes 8 s and 3 s


async def _put(deployment: Deployment, region: str) -> None:
    spec = deployment.backend.client(deployment.addresses, deployment.topology, region)
    module, _, name = spec.factory.partition(":")
    client = getattr(import_module(module), name)(spec)
    await client.connect()
    await client.put(region, "k", "v")
    await client.close()


@pytest.mark.parametrize("arm", ["jetstream-stretched", "syncstore"])
def test_up_whole_and_gone(tmp_path: Path, arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    this = plan.make(str(Path("experiments/gray-region.yaml").resolve()), arm=arm, runtime="docker")
    this.save(tmp_path)
    monkeypatch.setenv(reaper.MARK, str(tmp_path))
    watcher = reaper.start(tmp_path)  # a killed pytest leaves nothing behind

    async def main() -> float:
        network = plan.network_of(this)
        began_s = time.monotonic()
        async with deployed(this, plan.runtime_of(this, RunFiles(tmp_path)), network) as deployment:
            await asyncio.gather(*(_put(deployment, region) for region in deployment.topology.regions))
            assert time.monotonic() - began_s < UP_WITHIN_S
            assert await deployment.runtime.crossings() == []
            assert set((await deployment.runtime.states()).values()) == {"running"}
            assert isinstance(network, ToxiproxyNetwork)
            delayed, _ = network._api.state()
            carriers = {toxic.proxy for toxic in delayed if toxic.type == "latency"}
            foreign = len(this.topology.nodes) * (len(this.topology.regions) - 1)
            assert len(carriers) == foreign + len(this.topology.links), "each backend proxy and each witness is delayed"
            if isinstance(this.backend, CountsConnections):
                pairs = await this.backend.connections(deployment)
                nodes = [node.name for node in this.topology.nodes]
                assert set(pairs) == {(one, other) for one in nodes for other in nodes if one != other}
            return time.monotonic()

    try:
        assert time.monotonic() - asyncio.run(main()) < GONE_WITHIN_S
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait(30)
    client = engine.connected()
    try:
        mine = engine.of_run(tmp_path)
        assert client.api.containers(all=True, filters=mine) == [] == client.api.networks(filters=mine)
    finally:
        client.close()
    assert len(list((tmp_path / "logs").glob("*.log"))) == len(this.topology.nodes) + 1
    assert any((tmp_path / "configuration").iterdir())
