"""The key-value client of JetStream, through nats-py; loaded by worker processes.

Settings a careful user would choose: reconnects for ever, only to servers of its own region,
notices a dead connection within seconds, reads from any replica. It never retries by itself, and
while it has no connection it fails at once: buffered calls would all be sent after the reconnect,
when nobody waits for them any longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client as Connection
from nats.js.kv import KeyValue

from lab.errors import OperationError, OperationFailed, OperationIndefinite
from lab.protocols import ClientSpec, Entry

T = TypeVar("T")
# Longer than the lab waits for any operation, so that the library's own limit never decides.
PATIENCE_S = 20.0


async def _quiet(error: Exception) -> None:
    """nats-py prints every connection error with its stack otherwise; outcomes tell them all."""


async def connect(servers: tuple[str, ...], **options: Any) -> Connection:
    """One connection, for ever, to these servers alone."""
    return await nats.connect(
        servers=[f"nats://{server}" for server in servers],
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.25,
        connect_timeout=2,
        ping_interval=3,
        max_outstanding_pings=2,
        pending_size=-1,
        error_cb=_quiet,
        **options,
    )


class JetStreamClient:
    """One connection in one region. options: `buckets`, the buckets it will use; `direct`."""

    def __init__(self, spec: ClientSpec) -> None:
        self._spec = spec
        self._buckets: dict[str, KeyValue] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        self._connection = await connect(self._spec.servers)
        self._js = self._connection.jetstream(timeout=PATIENCE_S)
        for bucket in self._spec.options["buckets"]:
            self._buckets[bucket] = await self._js.key_value(bucket)

    async def close(self) -> None:
        for farewell in self._farewells:
            farewell.cancel()
        await self._connection.close()

    async def put(self, bucket: str, key: str, value: str) -> str:
        return _revision(await _called(self._buckets[bucket].put(key, value.encode())))

    async def get(self, bucket: str, key: str) -> Entry | None:
        try:
            return _entry(await _called(self._buckets[bucket].get(key)))
        except nats.js.errors.KeyNotFoundError:
            return None

    async def delete(self, bucket: str, key: str) -> None:
        await _called(self._buckets[bucket].delete(key))

    async def create(self, bucket: str, key: str, value: str) -> str:
        try:
            return _revision(await _called(self._buckets[bucket].create(key, value.encode())))
        except nats.js.errors.KeyWrongLastSequenceError as error:
            raise OperationFailed("wrong_revision") from error

    async def update(self, bucket: str, key: str, value: str, revision: str) -> str:
        try:
            call = self._buckets[bucket].update(key, value.encode(), last=int(revision))
            return _revision(await _called(call))
        except nats.js.errors.KeyWrongLastSequenceError as error:
            raise OperationFailed("wrong_revision") from error

    async def keys(self, bucket: str) -> list[str]:
        try:
            return sorted(await _called(self._buckets[bucket].keys()))
        except nats.js.errors.NoKeysError:
            return []

    @contextlib.asynccontextmanager
    async def watch(self, bucket: str, pattern: str) -> AsyncIterator[AsyncIterator[Entry | None]]:
        opening = asyncio.create_task(self._buckets[bucket].watch(pattern))
        try:
            yield _entries(await _called(asyncio.shield(opening)))
        finally:
            farewell = asyncio.create_task(self._end(bucket, opening))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    async def _end(self, bucket: str, opening: asyncio.Task[KeyValue.KeyWatcher]) -> None:
        """Unsubscribe and delete the consumer, as other NATS clients do: nats-py leaves it to the
        server's five minutes of inactivity, and 1,000 consumers a stream are its limit.

        Also for a watch nobody waited for any longer: nats-py, cancelled while it opens one, would
        leave a subscription behind that makes itself a new consumer every ten seconds.
        """
        with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError, OperationError):
            subscription: Any = (await _called(opening))._sub  # the watcher names its consumer nowhere
            await subscription.unsubscribe()
            await self._js.delete_consumer(f"KV_{bucket}", subscription._consumer)


async def _entries(watcher: KeyValue.KeyWatcher) -> AsyncIterator[Entry | None]:
    async for entry in watcher:
        yield None if entry is None else _entry(entry)


def _entry(entry: KeyValue.Entry) -> Entry:
    return Entry(entry.key, (entry.value or b"").decode(), _revision(entry.revision))


def _revision(sequence: int | None) -> str:
    """A stream sequence as text that sorts like it."""
    return f"{sequence or 0:020d}"


async def _called(call: Awaitable[T]) -> T:
    """Tell what certainly did not happen from what may have."""
    try:
        return await call
    except (nats.js.errors.NoStreamResponseError, nats.errors.NoRespondersError) as error:
        raise OperationFailed("no_responders") from error
    except (
        nats.js.errors.KeyNotFoundError,
        nats.js.errors.KeyWrongLastSequenceError,
        nats.js.errors.NoKeysError,
    ):
        raise
    except nats.js.errors.APIError as error:  # the server says no
        raise OperationFailed(f"api_{error.err_code or error.code}") from error
    except (TimeoutError, nats.errors.TimeoutError) as error:
        raise OperationIndefinite("timeout") from error
    except nats.errors.OutboundBufferLimitError as error:  # not connected, and nothing is buffered
        raise OperationFailed("disconnected") from error
    except (nats.errors.Error, OSError) as error:
        raise OperationIndefinite(type(error).__name__) from error
