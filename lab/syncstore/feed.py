"""What one link is sent of one scope: streams where the ring reaches, else a delta.

Owns what was sent and what is still to be sent. Knows nothing of credit or sockets: whoever has room
asks for the next frame. There is no queue: a slow link costs a position, not memory.

*Primary* origins are streamed as they come: a node's own and, as gateway, those it hears; to another
region, those of the own region. Any other is somebody else's to send, and is sent here, by delta, only
when the peer has been behind on it for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from lab.syncstore.config import Limits
from lab.syncstore.delta import Cut, Position
from lab.syncstore.replica import Replica
from lab.syncstore.vector import Vector

NOT_TAKEN = 15
"""What was sent and moved nothing for so many times `third_region_after_ms` was not taken: it is sent again."""


class Feed:
    def __init__(
        self,
        replica: Replica,
        stated: Vector,
        primary: Callable[[str], bool],
        limits: Limits,
        bits: Callable[[], int],
        *,
        everything: bool,
    ) -> None:
        """stated: what the peer says it holds. everything: begin with all it lacks, whoever's it is."""
        self.replica, self.stated = replica, stated.copy()
        self.open = False
        """Closed while either side lacks what the other one forgot."""
        self._primary, self._limits, self._bits = primary, limits, bits
        self._sent: dict[str, int] = {}
        self._pending: dict[str, None] = {}
        """A set in order: one seed must give one world."""
        self._behind: dict[str, tuple[float, int]] = {}
        self._unmoved: dict[str, tuple[int, float]] = {}
        """Origin → how far the peer is, and since when, though more was sent."""
        self._cut: Cut | None = None
        self._bodies: Iterator[bytes] = iter(())
        self._streamed = False
        self._delta_wanted = everything
        self._awaited: tuple[Vector, float] | None = None
        self._reset: Iterator[bytes] | None = None
        self.deltas = 0
        self.advance_all()
        if everything and not any(not primary(one) for one in self._lacking()):
            self._delta_wanted = self._lacks_marks()

    def _lacking(self) -> list[str]:
        return self.replica.vector.beyond(self.stated)

    def _lacks_marks(self) -> bool:
        closed = self.stated.closed
        return any(closed.get(member, "") < mark for member, mark in self.replica.vector.closed.items())

    def advance_all(self) -> None:
        self._pending.update((one, None) for one in self.replica.vector.entries if self._primary(one))

    def advanced(self, origin: str) -> None:
        """More of an origin is held here now."""
        if self._primary(origin):
            self._pending[origin] = None

    def go_back(self, vector: Vector) -> None:
        """The peer did not take what was sent: go on from where it says it is."""
        self.stated.join(vector)
        self._sent = {}
        self.stop()
        self.advance_all()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send, as far as is known without looking."""
        if self._reset is not None:
            return False
        return not self.open or not (self._pending or self._delta_wanted or self._cut is not None)

    def keep(self) -> Cut | None:
        """The link ends: the cut that was being sent, for the same peer's next link."""
        cut, self._cut = self._cut, None
        return cut

    def resume(self, cut: Cut, position: Position) -> None:
        """Go on with a cut where an earlier link broke off."""
        self._cut, self._delta_wanted = cut, False
        self._bodies = cut.bodies(self._limits.wan_frame_bytes, after=position)

    def stop(self) -> None:
        if self._cut is not None:
            self._cut.close()
            self._cut, self._delta_wanted = None, True

    def states(self, vector: Vector, now_ms: float) -> None:
        """The peer tells what it holds; what nobody sends it is sent after a while."""
        self.stated.join(vector)
        waited = self._limits.third_region_after_ms
        behind, unmoved = {}, {}
        for origin, entry in self.replica.vector.entries.items():
            held = self.stated.get(origin)
            if held >= entry:
                continue
            if self._primary(origin):
                before, since = self._unmoved.get(origin, (held, now_ms))
                unmoved[origin] = (held, since if before == held else now_ms)
                if now_ms - unmoved[origin][1] >= NOT_TAKEN * waited:
                    self._sent.pop(origin, None)
                    del unmoved[origin]
                if self._sent.get(origin, -1) < entry:  # or it came while another way was the one for it
                    self._pending[origin] = None
                continue
            since, then = self._behind.get(origin, (now_ms, entry))
            behind[origin] = (now_ms, entry) if held >= then else (since, then)
        if self._lacks_marks():
            behind[""] = self._behind.get("", (now_ms, 0))
        self._behind, self._unmoved = behind, unmoved
        if any(now_ms - since >= waited for since, _ in behind.values()) and self._may_cut(now_ms):
            self._delta_wanted = True
            self._behind = {}

    def _may_cut(self, now_ms: float) -> bool:
        if self._cut is not None:
            return False
        if self._awaited is None:
            return True
        vector, since = self._awaited
        return self.stated.covers_all(vector) or now_ms - since >= 5 * self._limits.third_region_after_ms

    @property
    def walking(self) -> bool:
        """Whether the next frame has to be made from the table, which takes longer than handing one on."""
        return self._cut is not None or self._reset is not None

    def begin_reset(self) -> None:
        """Send the whole state, which is to replace the peer's; its connections end when it has it."""
        if self._reset is None and self.replica.applying is None:
            self._reset = self.replica.state()
            self.deltas += 1

    def next(self, now_ms: float) -> bytes | None:
        """The next frame's body, or None when there is nothing to send now."""
        if self._reset is not None:
            body = next(self._reset, None)
            if body is not None:
                return body
            self._reset = None
        if not self.open:
            return None
        while True:
            if self._cut is not None:
                body = self._between()
                if body is not None:
                    return body
                body = next(self._bodies, None)
                if body is not None:
                    self._streamed = False
                    self.replica.effort += 1 + len(body) // 256
                    return body
                self._end_cut(now_ms)
            body = self._next_of_stream(list(self._pending))
            if body is not None:
                return body
            if not self._delta_wanted or not self._begin_cut():
                return None

    def _between(self) -> bytes | None:
        """After each frame of a cut one of a stream, if any goes on beyond what the cut brings: a delta takes its
        time, and the writes that are made meanwhile are waited for."""
        if self._streamed or not self._pending or self._cut is None:
            return None
        brought = self._cut.vector
        body = self._next_of_stream([one for one in self._pending if self._reached(one) >= brought.get(one)])
        self._streamed = body is not None
        return body

    def _next_of_stream(self, origins: Iterable[str]) -> bytes | None:
        for origin in origins:
            sent = self._reached(origin)
            if sent >= self.replica.vector.get(origin):
                del self._pending[origin]
                continue
            chunk = self.replica.ring.find(origin, sent + 1)
            if chunk is None:
                del self._pending[origin]
                self._delta_wanted = True
                continue
            self._sent[origin] = chunk.last
            return chunk.body
        return None

    def _reached(self, origin: str) -> int:
        """Where a stream goes on."""
        sent = self._sent.get(origin)
        return sent if sent is not None else max(self.stated.get(origin), 0)

    def _begin_cut(self) -> bool:
        cut = self.replica.cut(self._bits(), self.stated)
        if cut is None:
            return False
        self._cut, self._bodies, self._delta_wanted = cut, cut.bodies(self._limits.wan_frame_bytes), False
        self.deltas += 1
        return True

    def _end_cut(self, now_ms: float) -> None:
        assert self._cut is not None
        for origin, entry in self._cut.vector.entries.items():
            self._sent[origin] = max(self._sent.get(origin, 0), entry)
        self._awaited = (self._cut.vector, now_ms)
        self._cut.close()
        self._cut = None
        self.advance_all()
