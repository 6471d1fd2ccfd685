"""Bytes that are no frames, or frames that are no use, from where nobody asked for them.

Owns what a peer may be sent that it must survive. None of it states a vector that could be believed:
authenticated peers are trusted to state true ones.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from lab.syncstore.simulate.net import Network, Pipe
from lab.syncstore.vector import Vector
from lab.syncstore.wire import Hello, encode

if TYPE_CHECKING:
    from lab.syncstore.simulate.world import World

_pack = msgspec.msgpack.encode
_LATE = 9_000_000_000_000


def junk(chance: Random, real: bytes) -> bytes:
    """Something no node should choke on. real: a frame that was sent in earnest, to be torn."""
    kind = chance.randrange(9)
    if kind == 0:
        return b"\xc1" + chance.randbytes(chance.randrange(200))
    if kind == 1:
        return real[: chance.randrange(max(1, len(real)))]
    if kind == 2:
        return b"\x91" * chance.choice((10, 5000))
    made: list[Any] = [
        [chance.randrange(40, 60000), "of a later version", 1, None],
        [2, "global", "no origin", 1, []],
        [2, "global", f"r1/r1n1/{'f' * 28}", 2**70, []],
        [2, "global", f"r9/r9n9/{'0' * 28}", 1, [[1, "global/lww/own", "k", b"v", _LATE, 0]]],
        [2, "elsewhere", f"r9/r9n9/{'0' * 28}", 1, [[1, "global/lww/own", "k", b"v", 1, 0]]],
        [2, "global", f"r9/r9n9/{'0' * 28}", 1, [[1, "region/lww/local", "0", b"v", 1, 0]]],
        [3, "global", 77, 12345, f"r9/r9n9/{'0' * 28}", []],
        [1, "other", [1, 1], [], "", "r9", "r9n9", "x", "wan", 5],
        [7, -5],
        [12, "global", "extra"],
        [14, 5, "", [], [{}, {}]],
    ]
    try:
        return _pack(chance.choice(made))
    except OverflowError:
        return b"\xc1"


def litter(world: World, region: str, chance: Random) -> None:
    """Into one of the connections that lead out of the region."""
    pipes = [
        pipe
        for connection in world.network.connections.values()
        if not connection.gone
        for pipe in (connection.out, connection.back)
        if pipe.source.place in world.plan.members[region] and pipe.target.place in world.hosts
        if world.hosts[pipe.target.place].region != region
    ]
    if pipes:
        pipe = chance.choice(pipes)
        thrown = junk(chance, b"".join(pipe.flying[-1] or ()) if pipe.flying else b"")
        pipe.outstanding += len(thrown) + 4
        pipe.send([thrown], len(thrown) + 4, world.timeline.now_ms)


class Foe:
    """Dials nodes as another region would, says junk, and never reads an answer."""

    def __init__(self, network: Network, place: str, chance: Random) -> None:
        self.place = place
        self._network, self._chance = network, chance
        self._pipes: list[Pipe] = []
        self._left = False

    def call_on(self, node: str) -> None:
        self._network.dial(self, node, "wan", self._network.timeline.now_ms, lambda: not self._left)

    def leave(self) -> None:
        self._left = True
        for pipe in self._pipes:
            pipe.connection.reset()

    def accepts(self) -> str:
        return ""

    def opened(self, pipe: Pipe, purpose: str, node: str) -> None:
        self._pipes.append(pipe)
        region = self.place.removesuffix("foe")
        hello = encode(
            Hello("world", (1, 1), (), "?", region, f"{region}n1", "0" * 28, "wan", 1, {"global": Vector({}, {})})
        )
        said = [hello] if self._chance.random() < 0.5 else []
        said += [junk(self._chance, hello) for _ in range(self._chance.randint(1, 4))]
        for body in said:
            pipe.outstanding += len(body) + 4
        pipe.send(said, sum(map(len, said)), self._network.timeline.now_ms)

    def dial_failed(self, node: str, purpose: str) -> None:
        pass

    def arrived(self, pipe: Pipe, bodies: list[bytes]) -> None:
        pass

    def closed(self, number: int) -> None:
        pass

    def writable(self, number: int) -> None:
        pass
