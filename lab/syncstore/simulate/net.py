"""The wires of a world: TCP-like connections between ends, over links that faults harm.

Owns order, delay, loss and back-pressure: a connection delivers in order or not at all. Knows
nothing of frames' meaning. A *link* is one direction from one place to another; a *pipe* is one
direction of one connection over a link.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from lab.syncstore.simulate.links import BLACKHOLE, REFUSE, SEVERITY, STALL, Link, Wiring
from lab.syncstore.simulate.timeline import Timeline

KERNEL_BYTES = 8 * 1024
"""What both ends' kernels hold of a pipe: beyond this, what is sent is `unsent`."""
RETRY_MS = 40.0
"""How long after a heal TCP tries again."""


class End(Protocol):
    """Who holds an end of a connection: a node or a client."""

    place: str

    def accepts(self) -> str:
        """ "" while it listens, else REFUSE or BLACKHOLE."""
        ...

    def opened(self, pipe: Pipe, purpose: str, node: str) -> None:
        """The connection stands; `pipe` leads away from here. node: whom we dialled, "" when they dialled us."""
        ...

    def dial_failed(self, node: str, purpose: str) -> None: ...

    def arrived(self, pipe: Pipe, bodies: list[bytes]) -> None:
        """`pipe` leads to here: `pipe.taken` once they are read."""
        ...

    def closed(self, number: int) -> None: ...

    def writable(self, number: int) -> None:
        """What the peer has not taken fell below half of what was asked for."""
        ...


class Pipe:
    """One direction of a connection: first in, first out."""

    __slots__ = ("connection", "flying", "held", "last_ms", "link", "lost", "number", "outstanding", "source",
                 "target", "wanted")  # fmt: skip

    def __init__(self, connection: Connection, link: Link, source: End, target: End) -> None:
        self.connection, self.link, self.source, self.target = connection, link, source, target
        self.number = connection.number
        self.flying: deque[list[bytes] | None] = deque()
        self.held = 0
        self.last_ms = 0.0
        self.outstanding = 0
        self.wanted = 0
        self.lost = False
        link.pipes[id(self)] = self

    @property
    def unsent(self) -> int:
        return max(0, self.outstanding - KERNEL_BYTES)

    def send(self, bodies: list[bytes] | None, size: int, at_ms: float) -> None:
        """None: nothing follows."""
        if self.lost or self.connection.gone:
            return
        self.flying.append(bodies)
        self.last_ms = max(self.link.arrival(at_ms, size), self.last_ms)
        self.connection.timeline.at(self.last_ms, self.arrive)

    def arrive(self) -> None:
        if not self.flying or self.connection.gone:
            return
        if self.link.cut == STALL:
            self.held += 1
            return
        if self.link.cut == BLACKHOLE:
            self.lose()
            return
        bodies = self.flying.popleft()
        if bodies is None:
            self.connection.end(self.target)
            return
        self.link.carried_bytes += sum(map(len, bodies))
        self.target.arrived(self, bodies)

    def go_on(self) -> None:
        """After a cut: what was held up arrives."""
        for _ in range(self.held):
            self.connection.timeline.after(RETRY_MS + self.link.delay(), self.arrive)
        self.held = 0

    def lose(self) -> None:
        """Nothing sent on this pipe arrives any more, and nobody is told."""
        self.lost = True
        self.flying.clear()
        self.held = 0

    def taken(self, size: int) -> None:
        """The receiver has read so many bytes."""
        self.outstanding -= size
        if self.wanted and self.unsent < self.wanted:
            self.wanted = 0
            self.connection.timeline.after(0, self.source.writable, self.number)


class Connection:
    """Two pipes. Either end may end it; a reset ends it for both."""

    def __init__(self, network: Network, number: int, dialler: End, listener: End) -> None:
        self.network, self.timeline, self.number = network, network.timeline, number
        self.gone = False
        self.ends = (dialler.place, listener.place)
        self._open = {id(dialler): dialler, id(listener): listener}
        self.out = Pipe(self, network.link(dialler.place, listener.place), dialler, listener)
        self.back = Pipe(self, network.link(listener.place, dialler.place), listener, dialler)

    def pipe_from(self, end: End) -> Pipe:
        return self.out if self.out.source is end else self.back

    def end(self, end: End) -> None:
        """This end is told that the connection is over; what it has sent goes on its way, then the other is told."""
        if self._open.pop(id(end), None) is None:
            return
        self.pipe_from(end).send(None, 0, self.timeline.now_ms)
        end.closed(self.number)
        if not self._open:
            self._forget()

    def abandon(self, end: End, keep: bool) -> None:
        """The end's process is gone: its kernel says so, after what it had sent (keep) or instead of it."""
        if self._open.pop(id(end), None) is None:
            return
        pipe = self.pipe_from(end)
        if not keep:
            pipe.flying.clear()
            pipe.held = 0
        pipe.send(None, 0, self.timeline.now_ms)
        if not self._open:
            self._forget()

    def reset(self) -> None:
        """Broken somewhere between: both ends are told, and what was on its way is lost."""
        if self.gone:
            return
        self._forget()
        for end in list(self._open.values()):
            self.timeline.after(self.pipe_from(end).link.delay(), end.closed, self.number)
        self._open.clear()

    def silence(self, end: End) -> None:
        """The end's machine has lost power: nobody is told."""
        self._open.pop(id(end), None)
        self.out.lose()
        self.back.lose()

    def _forget(self) -> None:
        self.gone = True
        for pipe in (self.out, self.back):
            pipe.link.pipes.pop(id(pipe), None)
            pipe.flying.clear()


class Network:
    """Every link and connection of a world."""

    def __init__(self, timeline: Timeline, wires: Wiring, dial_timeout_ms: float) -> None:
        self.timeline = timeline
        self.ends: dict[str, End] = {}
        self.dialled: dict[tuple[str, str], int] = {}
        """(who, whom) → how often."""
        self.connections: dict[int, Connection] = {}
        self._wires, self._dial_timeout_ms = wires, dial_timeout_ms
        self._links: dict[tuple[str, str], Link] = {}
        self._numbers = 0

    def link(self, source: str, target: str) -> Link:
        found = self._links.get((source, target))
        if found is None:
            wires, chance = self._wires(source, target)
            found = Link(self.timeline, chance, wires.delay_ms, wires.jitter_ms, wires.rate)
            self._links[source, target] = found
        return found

    def dial(self, dialler: End, node: str, purpose: str, at_ms: float, still: Still) -> None:
        """`opened` or `dial_failed` follows. still: whether who dialled is still there to be told."""
        self.dialled[dialler.place, node] = self.dialled.get((dialler.place, node), 0) + 1
        there = self.link(dialler.place, node)
        self.timeline.at(at_ms + there.delay(), self._knock, dialler, node, purpose, at_ms, still)

    def _knock(self, dialler: End, node: str, purpose: str, at_ms: float, still: Still) -> None:
        there, back = self.link(dialler.place, node), self.link(node, dialler.place)
        listener = self.ends.get(node)
        answer = REFUSE if listener is None else listener.accepts()
        cut = max((there.cut, back.cut), key=SEVERITY.index)
        if cut in (STALL, BLACKHOLE) or (answer == BLACKHOLE and cut != REFUSE):
            self.timeline.at(at_ms + self._dial_timeout_ms, self._tell_failed, dialler, node, purpose, still)
        elif cut == REFUSE or answer == REFUSE or listener is None:
            self.timeline.after(back.delay(), self._tell_failed, dialler, node, purpose, still)
        elif still():
            self._open(dialler, listener, node, purpose, still)

    def _open(self, dialler: End, listener: End, node: str, purpose: str, still: Still) -> None:
        self._numbers += 1
        connection = Connection(self, self._numbers, dialler, listener)
        self.connections[connection.number] = connection
        if self._numbers % 64 == 0:
            self.connections = {number: one for number, one in self.connections.items() if not one.gone}
        pipe = connection.back
        pipe.last_ms = self.timeline.now_ms + pipe.link.delay()
        self.timeline.at(pipe.last_ms, self._tell_opened, connection, purpose, node, still)
        listener.opened(pipe, purpose, "")

    def _tell_opened(self, connection: Connection, purpose: str, node: str, still: Still) -> None:
        dialler = connection.out.source
        if still():
            if connection.gone:
                dialler.dial_failed(node, purpose)
            else:
                dialler.opened(connection.out, purpose, node)
        else:
            connection.abandon(dialler, keep=False)

    def _tell_failed(self, dialler: End, node: str, purpose: str, still: Still) -> None:
        if still():
            dialler.dial_failed(node, purpose)


class Still(Protocol):
    def __call__(self) -> bool: ...
