"""What the registers ask of the node they run in.

Owns the protocol only. The engine implements it in a node and in the simulator, a small world in tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lab.syncstore.ports import Moment
from lab.syncstore.record import Record
from lab.syncstore.version import Version


class RegistersPort(Protocol):
    def send(self, node: str, body: bytes) -> None:
        """To a node of this region, in a `wire.Paxos`; lost when it isn't connected."""
        ...

    def persist(self, payload: bytes) -> int:
        """Append to this node's log, after what `table_record` has shown so far. The position that must be
        durable for it: above 0, never lower than the last one."""
        ...

    def write(
        self,
        bucket: str,
        key: str,
        value: bytes | None,
        expires: int,
        version: Version,
        done: Callable[[bool], None],
    ) -> None:
        """Write the decided record, with its version, as this node's own write. done(degraded): once it is
        acknowledged as any write; never, when it isn't. The present record may be later: write all the same."""
        ...

    def version(self, now: Moment, above: Version) -> Version:
        """A new version of this node: above the given one, its clock and the last version it made."""
        ...

    def table_record(self, bucket: str, key: str) -> Record | None:
        """The present record. None while this node's table may lack deletes which its region's others hold: a
        blank node's, before it has their snapshot. What it shows may enter a register."""
        ...

    def bits(self) -> int:
        """64 random bits."""
        ...
