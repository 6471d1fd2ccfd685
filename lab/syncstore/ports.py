"""What stands between the sans-IO core (`engine`) and whoever runs it: `node/` or `simulate/`.

Inputs are method calls of the engine, each with the moment it happens at; outputs go to the `Outlet`
and the `Disk`. The engine never blocks, reads no clock, and draws no random number of its own.

    engine.start(now, disk.recovered(), blank)  once
    engine.opened(now, link, purpose, node)     a connection stands; node: whom we dialled, "" when they dialled us
    engine.received(now, link, body)            one frame's body; raises nothing: a bad one closes its link
    engine.closed(now, link)                    the connection is gone
    engine.dial_failed(now, node, purpose)
    engine.synced(now, position)                the disk holds everything up to here
    engine.sync_failed(now, sentence)
    engine.wake(now)                            a timer: call at `engine.next_wake_ms`
    engine.has_work -> bool                     whether `work` would find anything to do
    engine.work(now) -> bool                    one slice of work for others; True while there is more
    engine.flush(now)                           after each batch of inputs: sends what they gathered
    engine.wants_sync(now) -> bool              asked after flush: whether to start a sync (never two at once)
    engine.writable(now, link)                  a link's unsent bytes fell below half of the limit
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Moment(NamedTuple):
    """mono_ms: a clock that never jumps, for every duration. wall_ms: Unix ms of this node's own, possibly
    wrong, clock: for versions and expiry alone."""

    mono_ms: float
    wall_ms: int


class Outlet(Protocol):
    """Where the engine's outputs go. A link is a number given by whoever opened the connection; sending to
    one that is gone does nothing."""

    def send(self, link: int, body: bytes) -> None: ...

    def unsent(self, link: int) -> int:
        """Bytes given to `send` that the socket has not taken yet."""
        ...

    def close(self, link: int, why: str) -> None:
        """`closed` follows, after what was sent has gone."""
        ...

    def dial(self, node: str, purpose: str) -> None:
        """purpose: peer or wan. Answered by `opened` or `dial_failed`."""
        ...

    def bits(self) -> int:
        """64 random bits."""
        ...


class Disk(Protocol):
    """The part of the log that the engine itself uses; syncing is its runner's business."""

    def append(self, payload: bytes) -> int:
        """The position that must be durable for this entry. Only buffers."""
        ...

    def write_unsynced(self) -> int:
        """Hand what is buffered to the operating system: it then survives kill −9. The position up to which
        that succeeded. Never raises."""
        ...
