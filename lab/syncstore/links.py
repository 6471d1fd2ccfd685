"""A connection as the engine sees it, and whether the one at its other end may stay.

Owns what is remembered of a connection. Knows nothing of sockets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from lab.syncstore.config import Config
from lab.syncstore.delta import Staging
from lab.syncstore.feed import Feed
from lab.syncstore.vector import Floor, Vector
from lab.syncstore.wire import PROTOCOL, Beacon, Hello, Message

PEER, WAN, CLIENT = "peer", "wan", "client"


@dataclass(eq=False)
class Link:
    """number: given by the runner. purpose: peer, wan, client. dialled: by us. roles, name: of the other
    side's certificate; empty without TLS."""

    number: int
    purpose: str
    dialled: str
    opened_ms: float
    roles: frozenset[str] = frozenset()
    name: str = ""
    hello: Hello | None = None
    heard_ms: float = 0.0
    beacon_ms: float = 0.0
    feeds: dict[str, Feed] = field(default_factory=dict)
    stated: dict[str, Vector] = field(default_factory=dict)
    durable: dict[str, Vector] = field(default_factory=dict)
    floors: dict[str, Floor] = field(default_factory=dict)
    staging: dict[str, Staging] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    """To be told with the next flush: scope → origin → sequence merged here."""
    wanted_ms: dict[str, float] = field(default_factory=dict)
    asked_reset_ms: dict[str, float] = field(default_factory=dict)
    sends_away: str = ""
    """Why the other side takes nothing from here, EVICTED or RETURNING; from then on it gives a reset."""
    inbox: deque[tuple[Message, bytes]] = field(default_factory=deque)
    """Frames of another region, worked off in slices."""
    inbox_bytes: int = 0
    worked_bytes: int = 0
    credit: int = 0
    beacon: Beacon | None = None
    dropped: str = ""
    """Why it was told to close, as it is counted; nothing more is taken from it then."""

    @property
    def region(self) -> str:
        return self.hello.region if self.hello is not None else ""

    @property
    def node(self) -> str:
        return self.hello.node if self.hello is not None else self.dialled

    @property
    def receives(self) -> bool:
        """Whether records come in over it: from peers, and from a region that this node dialled."""
        return self.purpose == PEER or (self.purpose == WAN and bool(self.dialled))


def refusal(config: Config, link: Link, hello: Hello) -> str:
    """Why the one who says this hello can't stay; "" when it can."""
    if hello.purpose != link.purpose and not (link.purpose == CLIENT and hello.purpose == "admin"):
        return f"expected a {link.purpose} here, found a {hello.purpose}: it dialled the wrong port"
    if hello.cluster != config.cluster and not (link.purpose == CLIENT and not hello.cluster):
        return f"expected cluster {config.cluster!r}, found {hello.cluster!r}"
    low, high = hello.protocol
    if high < PROTOCOL[0] or low > PROTOCOL[1]:
        return f"expected a protocol of {PROTOCOL[0]} to {PROTOCOL[1]}, found {low} to {high}: upgrade the older one"
    if link.purpose == CLIENT:
        return ""
    if link.dialled and hello.node != link.dialled:
        return f"dialled {link.dialled}, found {hello.node}: an address names the wrong node"
    if link.name and link.name != f"{hello.region}/{hello.node}":
        return f"the certificate is of {link.name}, the hello of {hello.region}/{hello.node}"
    if link.purpose == PEER and (hello.region != config.region or hello.node not in config.peers):
        return f"expected a node of {config.region}, found {hello.region}/{hello.node}"
    if link.purpose == WAN and (hello.region == config.region or hello.region not in config.members):
        return f"expected a node of another region, found {hello.region}/{hello.node}"
    return ""
