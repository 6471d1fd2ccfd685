"""How a simulated world differs from a real one: shorter limits, and what CPU and disk cost.

Owns numbers only, each with its reason. A world lives for seconds, so whatever takes minutes in
earnest is shortened here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.syncstore.config import Limits

EPOCH_MS = 1_790_000_000_000
"""What a right wall clock shows when a world begins."""

LIMITS = Limits(
    # Small rings, caches and credits, so that worlds of some hundred writes go beyond them.
    ring_bytes=24 * 1024,
    unsent_bytes=16 * 1024,
    credit_bytes=32 * 1024,
    wan_frame_bytes=1536,
    logged_a_sync_bytes=2048,
    slice_records=5,
    # Minutes in earnest: nothing would ever be dropped, closed or forgotten in a world of 15 s.
    tombstone_age_ms=800,
    old_tombstone_ms=20_000,
    register_forget_ms=1500,
    # Above the longest a client of a world goes on trying; below a world's life.
    token_lives_ms=4000,
    cut_kept_ms=2500,
    # Faults last 0.3–4 s here: what notices and mends them has to be quicker than that.
    silent_ms=700,
    third_region_after_ms=700,
    probe_ms=1000,
    dial_timeout_ms=400,
    ready_after_ms=800,
    write_timeout_ms=1000,
    finish_after_ms=400,
    wan_beacon_ms=250,
)


@dataclass(frozen=True)
class Costs:
    """What a node's work takes. Measured for the orders of magnitude: 11 µs for a whole put of the bare
    path, of which a record's merge and encoding are about a third."""

    turn_us: float = 10.0
    """One turn of the loop: poll, flush, timers."""
    frame_us: float = 15.0
    """One frame in or out: read, decode, dispatch."""
    byte_us: float = 0.004
    effort_us: float = 4.0
    """One record merged or encoded, as the engine counts them."""
    sync_ms: float = 0.4
    """One fdatasync of an SSD with power-loss protection."""
    disk_bytes_per_ms: float = 200_000.0
    recover_us: float = 10.0
    """One entry read back at a start."""
    start_ms: float = 20.0


COSTS = Costs()
SLOW = Costs(turn_us=80.0, frame_us=100.0, effort_us=60.0)
"""A processor busy with other things: what is done in slices takes long enough for others to come between."""
