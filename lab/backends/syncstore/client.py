"""The key-value client of SyncStore; loaded by worker processes.

Never tries a call twice, and fails at once while it has no connection, as the lab asks of every
backend's client. The store's own client would do both within the caller's deadline.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from lab.errors import OperationFailed, OperationIndefinite
from lab.protocols import ClientSpec, Entry
from lab.syncstore.client import Bucket, Client, SyncStoreError, Timeout, Watch, WrongRevision, connect

T = TypeVar("T")
# Longer than the lab waits for any operation, so that the library's own limit never decides.
PATIENCE_S = 20.0


class SyncStoreClient:
    """One client in one region. options: `buckets`, the buckets it will use; `kind`, theirs."""

    def __init__(self, spec: ClientSpec) -> None:
        self._spec = spec
        self._buckets: dict[str, Bucket] = {}

    async def connect(self) -> None:
        urls = [f"syncstore://{server}" for server in self._spec.servers]
        self._client: Client = await connect(urls, retry=False, timeout=PATIENCE_S)
        for bucket in self._spec.options["buckets"]:
            self._buckets[bucket] = self._client.bucket(bucket, kind=self._spec.options["kind"])

    async def close(self) -> None:
        await self._client.close()

    async def put(self, bucket: str, key: str, value: str) -> str:
        return (await _called(self._buckets[bucket].put(key, value.encode()))).revision

    async def get(self, bucket: str, key: str) -> Entry | None:
        found = await _called(self._buckets[bucket].get(key))
        return None if found.value is None else Entry(key, found.value.decode(), found.revision)

    async def delete(self, bucket: str, key: str) -> None:
        await _called(self._buckets[bucket].delete(key))

    async def create(self, bucket: str, key: str, value: str) -> str:
        return (await _called(self._buckets[bucket].create(key, value.encode()))).revision

    async def update(self, bucket: str, key: str, value: str, revision: str) -> str:
        return (await _called(self._buckets[bucket].update(key, value.encode(), revision))).revision

    async def keys(self, bucket: str) -> list[str]:
        return await _called(self._buckets[bucket].keys())

    @contextlib.asynccontextmanager
    async def watch(self, bucket: str, pattern: str) -> AsyncIterator[AsyncIterator[Entry | None]]:
        """pattern: `>` for all, else a prefix that ends in `*` or `>`."""
        async with self._buckets[bucket].watch(pattern.rstrip("*>")) as watch:
            yield _entries(watch)


async def _entries(watch: Watch) -> AsyncIterator[Entry | None]:
    async for event in watch:
        yield None if event is None else Entry(event.key, (event.value or b"").decode(), event.revision)


async def _called(call: Awaitable[T]) -> T:
    """Tell what certainly did not happen from what may have."""
    try:
        return await call
    except WrongRevision as error:
        raise OperationFailed("wrong_revision") from error
    except Timeout as error:
        raise OperationIndefinite("timeout") from error
    except SyncStoreError as error:
        raise OperationFailed(type(error).__name__.lower()) from error
