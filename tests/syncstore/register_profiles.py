"""What can go wrong in a world of registers, how often, and what its clients do: one profile for each mix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lab.syncstore.config import Limits

BUCKET = "global/register/world"
EPOCH_MS = 1_700_000_000_000
LIMITS = Limits(write_timeout_ms=600, finish_after_ms=200, token_lives_ms=1000, slice_records=3)
CALM = 1e12


@dataclass(frozen=True)
class Profile:
    """Means between faults of a kind, in ms; CALM for none. weights: of the operations."""

    nodes: int = 3
    clients: int = 3
    keys: int = 2
    length_ms: float = 3000
    think_ms: float = 60
    weights: dict[str, int] = field(
        default_factory=lambda: {"get": 30, "put": 15, "delete": 15, "create": 20, "update": 20}
    )
    crash_ms: float = CALM
    down_ms: tuple[float, float] = (20, 400)
    blank: float = 0.0
    """Of the crashes, so many lose the disk."""
    old_disk: float = 0.0
    """Of the crashes, so many come back with an old copy of the disk."""
    cut_ms: float = CALM
    gray_ms: float = CALM
    """One direction of a link loses everything, and nobody is told."""
    slow_ms: float = CALM
    slow_most_ms: float = 400
    slow_length_ms: tuple[float, float] = (50, 800)
    pause_ms: float = CALM
    pause_most_ms: float = 500
    loss: float = 0.0
    skew_ms: float = 0.0
    foreign_ms: float = CALM
    sync_ms: tuple[float, float] = (0.2, 2.0)
    tokens: float = 0.8
    sticky: float = 0.3
    """How likely a client stays at its node."""
    torn_members: bool = False
    limits: Limits = LIMITS


ONE_BY_ONE = replace(LIMITS, slice_records=1)
FORGETFUL = replace(LIMITS, register_forget_ms=1300)
PROFILES = {
    "calm": Profile(),
    "crashes": Profile(crash_ms=500, cut_ms=1500, sync_ms=(0.5, 20)),
    "blank": Profile(crash_ms=400, blank=0.6, slow_ms=500, sync_ms=(0.5, 10), down_ms=(5, 150)),
    "blank5": Profile(nodes=5, crash_ms=400, blank=0.6, slow_ms=500, cut_ms=1500, down_ms=(5, 150)),
    "old disk": Profile(crash_ms=500, old_disk=0.7, cut_ms=1200, sync_ms=(0.5, 10), down_ms=(5, 100), length_ms=6000),
    "partitions": Profile(nodes=5, cut_ms=150, gray_ms=500, loss=0.01),
    "partitions3": Profile(cut_ms=250, gray_ms=400, slow_ms=600, loss=0.01),
    "pauses": Profile(pause_ms=200, slow_ms=600, skew_ms=300),
    "copies": Profile(
        keys=5, crash_ms=120, blank=0.9, cut_ms=200, down_ms=(1, 30), length_ms=3000, limits=ONE_BY_ONE, slow_ms=300,
    ),
    "copies5": Profile(nodes=5, crash_ms=80, blank=0.9, cut_ms=150, down_ms=(1, 60), length_ms=3000, gray_ms=200),
    "old disks": Profile(crash_ms=250, old_disk=0.9, cut_ms=150, down_ms=(1, 30), length_ms=6000, gray_ms=300),
    "crash duel": Profile(
        keys=1, clients=4, think_ms=5, length_ms=500, crash_ms=50, down_ms=(1, 5), sync_ms=(0.5, 20), slow_ms=100,
        slow_most_ms=60, sticky=0.0,
    ),
    "quiet": Profile(
        keys=8, think_ms=150, crash_ms=150, down_ms=(20, 300), length_ms=1500, foreign_ms=200, slow_ms=200, gray_ms=200,
        weights={"get": 10, "put": 40, "delete": 15, "create": 20, "update": 5},
    ),
    "foreign": Profile(foreign_ms=150, skew_ms=300, crash_ms=1000, cut_ms=800, slow_ms=200, gray_ms=800, think_ms=40),
    "ghosts": Profile(
        nodes=5, keys=1, clients=4, crash_ms=60, blank=0.95, slow_ms=15, slow_most_ms=150, slow_length_ms=(10, 100),
        down_ms=(0.5, 3), sync_ms=(0.1, 0.5), length_ms=1200, think_ms=10, sticky=0.0,
    ),
    "forget": Profile(
        keys=6, slow_ms=1000, slow_most_ms=3500, crash_ms=4000, blank=0.5, pause_ms=5000, pause_most_ms=2500,
        cut_ms=8000, length_ms=15000, think_ms=400, limits=FORGETFUL,
        weights={"get": 45, "put": 10, "delete": 20, "create": 20, "update": 5},
    ),
    "duel": Profile(keys=1, clients=4, think_ms=5, length_ms=300, gray_ms=500, sticky=0.0),
    "hot": Profile(
        keys=1, clients=5, think_ms=4, length_ms=600, gray_ms=120, pause_ms=120, pause_most_ms=200, sticky=0.0,
        tokens=1.0, weights={"get": 20, "put": 40, "delete": 15, "create": 15, "update": 10},
    ),
    "torn": Profile(nodes=5, torn_members=True, cut_ms=500, think_ms=40, length_ms=2000),
    "mixed": Profile(
        crash_ms=900, blank=0.3, old_disk=0.2, cut_ms=800, gray_ms=1500, slow_ms=1200, pause_ms=900, loss=0.005,
        skew_ms=200, foreign_ms=800,
    ),
    "mixed5": Profile(
        nodes=5, crash_ms=600, blank=0.3, old_disk=0.2, cut_ms=600, gray_ms=1500, slow_ms=1200, pause_ms=900,
        loss=0.005, skew_ms=200, foreign_ms=800,
    ),
}  # fmt: skip
