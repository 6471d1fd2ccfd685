"""What the clients of a world did and were told.

Owns the shapes. Outcomes are as everywhere: `ok`; `fail`: certainly did not happen; `info`: may have
happened; "" while open. Instants are virtual ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.syncstore.version import NO_VERSION, Version, version_of
from lab.syncstore.watched import Event
from lab.syncstore.wire import Seen

OK, FAIL, INFO = "ok", "fail", "info"


@dataclass(eq=False, slots=True)
class Operation:
    """One call of a client. before: what its session had seen of the key when it was sent."""

    region: str
    client: str
    op: str
    bucket: str
    key: str
    value: bytes = b""
    expires: int = 0
    ttl_ms: int = 0
    expected: str = ""
    """Of an update: the revision it is to replace."""
    stale_ok: bool = False
    invoked_ms: float = 0.0
    completed_ms: float = 0.0
    outcome: str = ""
    error: str = ""
    attempts: int = 0
    node: str = ""
    before: Seen | None = None
    reset_away: bool = False
    """Of a failed read: a reset took what its session had seen, and it has not come back yet."""
    seen: Seen | None = None
    present: bool = False
    found: bytes = b""
    found_expires: int = 0
    degraded: bool = False
    sent_wall_ms: int = 0
    """The node's clock when the last attempt was sent to it."""
    sent_ms: float = 0.0

    @property
    def latency_ms(self) -> float:
        return self.completed_ms - self.invoked_ms

    @property
    def writes(self) -> bool:
        return self.op not in ("get", "keys")

    @property
    def register(self) -> bool:
        return "/register/" in self.bucket


@dataclass(eq=False)
class WatchLog:
    """What a watch over a prefix has shown its user, through all the nodes it moved over.

    latest: key → (version shown last, whether it is there). went_back: (key, version before, what was seen),
    wherever an older version was shown after a newer one.
    """

    region: str
    client: str
    bucket: str
    prefix: str
    node: str = ""
    """Who serves it."""
    latest: dict[str, tuple[str, bool]] = field(default_factory=dict)
    told: int = 0
    resumed: int = 0
    compacted: int = 0
    went_back: list[tuple[str, Version, str]] = field(default_factory=list)
    on_shown: Callable[[WatchLog, Event], None] = lambda log, event: None

    def shown(self, event: Event, node: str, at_ms: float) -> None:
        """Shows its user one thing."""
        self.told += 1
        self.on_shown(self, event)
        before = self.latest.get(event.key, ("", False))[0]
        if event.revision and before and version_of(event.revision) < version_of(before):
            sentence = (
                f"a watch of {self.client} on {self.bucket} showed {event.key!r} as {event.revision} from {node}"
                f" at {at_ms:.1f} ms, after it had shown {before}"
            )
            self.went_back.append((event.key, version_of(before), sentence))
        self.latest[event.key] = (event.revision or before, event.value is not None)


def version_seen(seen: Seen | None) -> Version:
    return NO_VERSION if seen is None else Version(seen.time, seen.counter, seen.maker)
