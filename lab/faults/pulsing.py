"""When a fault that comes and goes is in force."""

from __future__ import annotations


def pulses(on_s: float, off_s: float, lasting_s: float) -> list[tuple[float, float]]:
    """(begin, end) of every pulse in seconds since the fault's own begin; none that would not end in time."""
    every_s = on_s + off_s
    count = int((lasting_s - on_s + 1e-6) // every_s) + 1
    return [(i * every_s, i * every_s + on_s) for i in range(count)]
