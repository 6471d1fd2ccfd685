"""The registers' way to the node they run in: links, log, table and clock of the core."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lab.syncstore.acks import Waiting
from lab.syncstore.core import Core
from lab.syncstore.entries import Voted
from lab.syncstore.entries import encode as encode_entry
from lab.syncstore.ports import Moment
from lab.syncstore.record import Record
from lab.syncstore.version import Version
from lab.syncstore.wire import Paxos, encode


class CorePort:
    """A `register_ports.RegistersPort`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def send(self, node: str, body: bytes) -> None:
        for link in self._core.peers():
            if link.node == node and not link.dropped:
                self._core.outlet.send(link.number, encode(Paxos(msgspec.Raw(body))))
                return

    def persist(self, payload: bytes) -> int:
        self._core.urgent = True
        return self._core.append(encode_entry(Voted(payload)))

    def write(
        self,
        bucket: str,
        key: str,
        value: bytes | None,
        expires: int,
        version: Version,
        done: Callable[[bool], None],
    ) -> None:
        record = Record(0, bucket, key, value, version.time, version.counter, expires, version.maker)
        self._core.write(record, Waiting(record, self._core.now.mono_ms, done=lambda _, degraded: done(degraded)))

    def version(self, now: Moment, above: Version) -> Version:
        time, counter = self._core.clock.next(now.wall_ms, (above.time, above.counter))
        return Version(time, counter, self._core.origin)

    def table_record(self, bucket: str, key: str) -> Record | None:
        if self._core.blank:
            return None
        return self._core.replicas[bucket.partition("/")[0]].table.get(bucket, key)

    def bits(self) -> int:
        return self._core.outlet.bits()
