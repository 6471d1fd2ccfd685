"""What a node is told at its start: who the members are, and every limit and time, each with its reason.

Owns values only. Times are in ms, sizes in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True)
class Limits:
    """Every knob. The simulator shortens the long ones; nothing else should."""

    ring_bytes: int = 8 * 1024 * 1024
    """Of an origin's recent writes kept as frames: how long a peer may be away and still go on by stream."""
    unsent_bytes: int = 1024 * 1024
    """A socket with more than this unsent gets no more stream."""
    credit_bytes: int = 4 * 1024 * 1024
    """What a region may send before the receiver has worked it off."""
    wan_frame_bytes: int = 64 * 1024
    logged_a_sync_bytes: int = 128 * 1024
    """Of a delta, about so much goes to the log between two syncs: own writes wait for the same ones."""
    degraded_after_ms: float = 50
    """Without any in-region peer's word for so long a write is acknowledged as degraded."""
    write_timeout_ms: float = 2000
    sync_within_ms: float = 80
    """Received records are on the disk after this, though nobody waits for it."""
    beacon_ms: float = 200
    wan_beacon_ms: float = 500
    silent_ms: float = 2000
    """A link without a byte for so long is given up."""
    greeting_ms: float = 5000
    """A connection that has not said hello after this is given up: a slow region's takes two slow ways."""
    third_region_after_ms: float = 2000
    """Behind on a third region's writes for so long, they are asked for here."""
    probe_ms: float = 5000
    """An unreachable peer is tried again at least so often."""
    dial_timeout_ms: float = 2000
    cut_kept_ms: float = 60_000
    staging_bytes: int = 4 * 1024 * 1024 * 1024
    """A delta or reset longer than this is no state that a node could hold."""
    tombstone_age_ms: float = 600_000
    """The youngest tombstone that may be dropped: no client's clock or retry reaches further back."""
    old_tombstone_ms: float = 86_400_000
    ready_after_ms: float = 2000
    behind_ms: float = 50
    """What a session has seen is waited for so long before the client is sent elsewhere."""
    enter_together_ms: float = 100
    """Other regions' records enter their registers in lots, so often: else each would take turns and syncs."""
    enter_at_once: int = 8
    """Of one lot at each node: a region that comes back after a while must not take the processor with it."""
    enter_at_most: int = 64
    """Of one lot, where so many wait that they would else never be done: a twentieth of them, up to this."""
    finish_after_ms: float = 1000
    """A register's value that was accepted and became no record is finished by any node after this."""
    slice_ms: float = 1.0
    """Work for other regions done in one go before the own region's requests are looked at again."""
    slice_records: int = 200
    """The same, as records: what the sans-IO core counts instead of reading a clock."""
    register_forget_ms: float = 600_000
    token_lives_ms: float = 60_000


@dataclass(frozen=True)
class Config:
    """members: region → its nodes. dial: node → where this node reaches it, "host:port"."""

    cluster: str
    region: str
    node: str
    members: dict[str, tuple[str, ...]]
    dial: dict[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ("resume",)
    limits: Limits = Limits()

    @property
    def peers(self) -> tuple[str, ...]:
        """The other nodes of the own region."""
        return tuple(one for one in self.members[self.region] if one != self.node)

    @property
    def foreign(self) -> tuple[str, ...]:
        return tuple(one for one in self.members if one != self.region)

    @property
    def members_hash(self) -> str:
        named = ";".join(f"{region}={','.join(sorted(self.members[region]))}" for region in sorted(self.members))
        return sha256(named.encode()).hexdigest()[:16]
