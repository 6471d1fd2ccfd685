"""The clocks of a node: one that never jumps but begins anywhere, and one that may be wrong.

Owns both. Skew moves the wall clock alone, and changes when somebody sets it.
"""

from __future__ import annotations

from lab.syncstore.ports import Moment
from lab.syncstore.simulate.settings import EPOCH_MS
from lab.syncstore.simulate.timeline import Timeline


class Clocks:
    def __init__(self, timeline: Timeline) -> None:
        self.skew_ms = 0
        self._timeline = timeline
        self._offset_ms = 0.0

    def begin(self, mono_ms: float) -> None:
        """A process begins when its monotonic clock shows this."""
        self._offset_ms = mono_ms - self._timeline.now_ms

    def now(self) -> Moment:
        return Moment(self._timeline.now_ms + self._offset_ms, self.wall_ms())

    def wall_ms(self) -> int:
        return EPOCH_MS + int(self._timeline.now_ms) + self.skew_ms

    def virtual_ms(self, mono_ms: float) -> float:
        """When in the world's time the monotonic clock shows this."""
        return mono_ms - self._offset_ms
