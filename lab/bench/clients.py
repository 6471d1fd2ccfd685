"""Clients of both stores, each as its users would have it, reduced to functions that put.

SyncStore's is given its region's nodes. JetStream's is connected to the very server that leads the
bucket: its best case, since any other server would have to ask that one. nats-py has two ways to write to a
bucket: `KeyValue.put`, and publishing to the bucket's subject by `publish_async`, which costs it less.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from lab.backends.jetstream import client as jetstream_client
from lab.backends.jetstream.config import monitors
from lab.backends.jetstream.monitoring import JSZ, Monitor, majority
from lab.bench.load import Put
from lab.errors import NodeNotReady
from lab.protocols import Deployment
from lab.syncstore.client import Client, connect

PATIENCE_S = 20.0
PENDING = 10_000
BUCKET = "bench"


class JetStream(NamedTuple):
    """Two ways to put the same."""

    put: Put
    publish: Put


@asynccontextmanager
async def syncstore(deployment: Deployment, region: str) -> AsyncIterator[Client]:
    """Connected; its first node is the one it prefers."""
    async with connect(urls(deployment, region), timeout=PATIENCE_S, shuffle=False) as client:
        yield client


def urls(deployment: Deployment, region: str) -> list[str]:
    """Of a region's SyncStore nodes."""
    nodes = deployment.topology.nodes_of(region)
    return [f"syncstore://{deployment.addresses.at(node, 'client')}" for node in nodes]


@asynccontextmanager
async def jetstream(deployment: Deployment, bucket: str) -> AsyncIterator[JetStream]:
    """Of a key-value bucket. Raises NodeNotReady where nobody leads it."""
    connection = await jetstream_client.connect((await _leader(deployment, bucket),))
    try:
        context = connection.jetstream(timeout=PATIENCE_S, publish_async_max_pending=PENDING)
        kv = await context.key_value(bucket)

        async def publish(key: str, value: bytes) -> Any:
            return await (await context.publish_async(f"$KV.{bucket}.{key}", value))

        yield JetStream(kv.put, publish)
    finally:
        await connection.close()


async def _leader(deployment: Deployment, bucket: str) -> str:
    """Where clients reach the server that leads a bucket."""
    topology = deployment.topology
    monitor = Monitor(monitors(topology, deployment.addresses), {node.name: node.region for node in topology.nodes})
    try:
        name = majority(await monitor.all(JSZ)).get(bucket, "")
    finally:
        await monitor.close()
    for node in topology.nodes:
        if node.name == name:
            return deployment.addresses.at(node, "client")
    raise NodeNotReady(f"expected a leader of bucket {bucket}, found {name or 'none'}; run it again.")
