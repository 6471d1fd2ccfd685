"""A call as its session keeps it, and what a session asks of whoever runs it.

A *call* is what the user asked for; a *try* is one request of it on its way to one node.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from lab.syncstore.errors import SyncStoreError
from lab.syncstore.wire import Reply, Request


class Call(msgspec.Struct, eq=False):
    """request: of the present try. waiter: whatever its runner wants to find again. node: where the try
    is, "" while the call waits. sent_ms: when it went there; first_ms: when the first try did. again_ms:
    when a waiting call goes on; 0: as soon as a node is there.

    in_doubt: an earlier try may have happened and will never be answered. refused_by: nodes that need not
    be asked again. last: what the last try came to.
    """

    request: Request
    waiter: Any
    started_ms: float
    deadline_ms: float
    node: str = ""
    sent_ms: float = 0.0
    first_ms: float = 0.0
    again_ms: float = 0.0
    tries: int = 0
    in_doubt: bool = False
    refused_by: tuple[str, ...] = ()
    last: SyncStoreError | None = None


class Runner(Protocol):
    """Does the sending, and hands results to whoever called."""

    def send(self, node: str, request: Request) -> None: ...

    def done(self, call: Call, reply: Reply) -> None: ...

    def failed(self, call: Call, error: SyncStoreError) -> None: ...

    def drop(self, node: str, why: str) -> None:
        """Close a node's connection; `lost` follows, not necessarily at once."""
        ...
