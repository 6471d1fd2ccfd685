"""All connections of a node: numbered, told apart by purpose, and what the engine sends on them.

Owns who may come in (role and name of a certificate, see `security`), the calls out, and what is
written once a turn. Of frames it knows nothing but that a goodbye is one.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from lab.syncstore import security, wire
from lab.syncstore.config import Config
from lab.syncstore.node.addresses import Address
from lab.syncstore.node.dial import Dialer
from lab.syncstore.node.foreign import Foreign
from lab.syncstore.node.listen import Listener
from lab.syncstore.node.say import Say
from lab.syncstore.node.transport import ENDED, Link

PEER, WAN, CLIENT = "peer", "wan", "client"
TURN = "had its turn"
REMIND_S = 60.0
CLIENTS = frozenset({security.CLIENT, security.ADMIN})


class Inputs(Protocol):
    """Who is told what happens on connections, as numbers. `soon` asks for a turn."""

    def opened(self, link: Link, roles: frozenset[str], name: str) -> None: ...

    def received(self, link: Link, body: bytes) -> None: ...

    def closed(self, link: Link) -> None: ...

    def writable(self, link: Link) -> None: ...

    def dial_failed(self, node: str, purpose: str) -> None: ...

    def soon(self) -> None: ...


@dataclass(frozen=True)
class Tls:
    server: ssl.SSLContext
    client: ssl.SSLContext


class Connections:
    """An engine's `Outlet`. counts: events by name, of what came and went. waiting: links to be written."""

    def __init__(self, config: Config, tls: Tls | None, inputs: Inputs, say: Say) -> None:
        self.waiting: list[Link] = []
        self.unsent_limit = config.limits.unsent_bytes
        self.counts: Counter[str] = Counter()
        self.foreign = Foreign(inputs.received)
        self._config, self._tls, self._inputs, self._say = config, tls, inputs, say
        self._links: dict[int, Link] = {}
        self._known: set[int] = set()  # those the engine was told of
        self._names: dict[int, str] = {}  # what their certificate says
        self._came_in: dict[int, Listener] = {}
        self._over_turn: list[Link] = []
        self._last = 0
        self._listeners: list[Listener] = []
        self._dialer = Dialer(config.limits.dial_timeout_ms, tls.client if tls else None)
        self._dials: list[tuple[str, str]] = []
        self._unreachable: dict[str, tuple[float, float]] = {}  # since when, and when that was last said
        self._dialling: set[asyncio.Task[None]] = set()
        self._addresses: dict[str, Address] = {}

    # -- from outside ------------------------------------------------------------------------------

    def bind(self, purpose: str, address: Address, limit: int) -> None:
        """Take an address; nobody comes in before `listen`. limit: connections at once. Raises Refused."""
        server = self._tls.server if self._tls else None
        listener = Listener(purpose, address, limit, server, self._accepted, self._say, self._count)
        listener.bind()
        self._listeners.append(listener)

    def listen(self) -> None:
        """Raises Refused."""
        for listener in self._listeners:
            listener.open()

    def reach(self, addresses: dict[str, Address]) -> None:
        """Where each node is dialled."""
        self._addresses = addresses

    async def stop_listening(self) -> None:
        for listener in self._listeners:
            await listener.close()
        self._listeners.clear()

    async def shut(self, why: str, patience_s: float) -> None:
        """Say goodbye to everybody and end all; returns when they are gone or the time is up."""
        for task in self._dialling:
            task.cancel()
        for link in list(self._links.values()):
            link.send(wire.encode(wire.Goodbye(why)))
            link.end("this node stops")
        until = asyncio.get_running_loop().time() + patience_s
        while self._links and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.01)
        for link in list(self._links.values()):
            link.abort("this node stops")
        self._dialer.close()

    def flush(self) -> None:
        """Write what was sent, once for each link; call who is to be called; let who read too much read on."""
        waiting, self.waiting = self.waiting, []
        for link in waiting:
            link.flush()
        dials, self._dials = self._dials, []
        for node, purpose in dials:
            task = asyncio.create_task(self._dial(node, purpose))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
        over, self._over_turn = self._over_turn, []
        for link in over:
            link.resume(TURN)

    def told(self) -> dict[str, object]:
        """For `/status`."""
        open_ = Counter(link.purpose for link in self._links.values())
        return {
            "open": {purpose: open_[purpose] for purpose in (PEER, WAN, CLIENT)},
            "foreign_waiting_bytes": self.foreign.waiting_bytes,
            "counts": dict(self.counts),
        }

    # -- the engine's outlet -----------------------------------------------------------------------

    def send(self, link: int, body: bytes) -> None:
        if (there := self._links.get(link)) is not None:
            there.send(body)

    def unsent(self, link: int) -> int:
        there = self._links.get(link)
        return there.unsent() if there is not None else 0

    def close(self, link: int, why: str) -> None:
        if (there := self._links.get(link)) is not None and not there.closing:
            self._say.warn(f"a connection of {self._who(there)} is ended: {why}", f"ended {there.purpose}")
            there.end(ENDED)

    def dial(self, node: str, purpose: str) -> None:
        self._dials.append((node, purpose))
        self._inputs.soon()

    def bits(self) -> int:
        return int.from_bytes(os.urandom(8), "big")

    # -- from links --------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        self._links[link.number] = link
        self.counts["opened"] += 1
        roles: frozenset[str] = frozenset()  # without TLS whoever reaches a port may do what it is for
        if self._tls is not None:
            roles, name = security.identity_of(link.extra("ssl_object"))
            if refusal := self._refusal(link, roles, name):
                self._refuse(link, refusal)
                return
            self._names[link.number] = name
        if self._unreachable.pop(link.node, None):
            self._say.info(f"{link.node} is reached", f"dial {link.node}")
        self._known.add(link.number)
        self._inputs.opened(link, roles, self._names.get(link.number, ""))
        self._inputs.soon()

    def link_received(self, link: Link, body: bytes) -> None:
        if not link.heard:
            link.greeted()
        if link.purpose == WAN:
            self.foreign.add(link, body)
        else:
            self._inputs.received(link, body)

    def link_turn(self, link: Link) -> None:
        if link.over_turn and not link.closing:
            link.pause(TURN)
            self._over_turn.append(link)
            link.next_turn()
        self._inputs.soon()

    def link_writable(self, link: Link) -> None:
        if link.number in self._known:
            self._inputs.writable(link)
            self._inputs.soon()

    def link_closed(self, link: Link, reason: str) -> None:
        self.counts[f"closed: {reason}"] += 1
        self._links.pop(link.number, None)
        self._names.pop(link.number, None)
        self.foreign.gone(link)
        if (listener := self._came_in.pop(link.number, None)) is not None:
            listener.left()
        if link.number in self._known:
            self._known.discard(link.number)
            self._inputs.closed(link)
        elif link.node:
            self._inputs.dial_failed(link.node, link.purpose)
        self._inputs.soon()

    # -- who is who --------------------------------------------------------------------------------

    def _accepted(self, listener: Listener) -> Link:
        link = self._link(listener.purpose, "")
        self._came_in[link.number] = listener
        return link

    def _link(self, purpose: str, node: str) -> Link:
        self._last += 1
        return Link(self._last, purpose, node, self)

    async def _dial(self, node: str, purpose: str) -> None:
        address, link = self._addresses.get(node), self._link(purpose, node)
        try:
            if address is None:
                raise OSError("no address is known")
            await self._dialer.call(address, purpose, lambda: link)
        except Exception as error:  # of the network, of TLS, of a name that is none: the engine must hear of it
            if link.number in self._links:  # it stood for a moment, so its end is told as such
                return
            self.counts["dial_failed"] += 1
            why = (error.strerror if isinstance(error, OSError) else "") or error.__class__.__name__
            self._unreached(node, f"{node} can't be reached at {address}: {why}")
            self._inputs.dial_failed(node, purpose)
            self._inputs.soon()

    def _unreached(self, node: str, words: str) -> None:
        """Say so once; then once a minute, as long as it lasts."""
        now_s = asyncio.get_running_loop().time()
        since_s, said_s = self._unreachable.get(node, (now_s, -REMIND_S))
        if now_s - said_s >= REMIND_S:
            said_s = now_s
            self._say.warn(words if now_s == since_s else f"{words} (for {now_s - since_s:.0f} s)", f"dial {node}")
        self._unreachable[node] = (since_s, said_s)

    def _refusal(self, link: Link, roles: frozenset[str], name: str) -> str:
        """Why this certificate has no business here; "" where it has."""
        if link.purpose == CLIENT:
            return "" if roles & CLIENTS else f"expected a certificate of a client or an admin, found {_listed(roles)}"
        if security.PEER not in roles:
            return f"expected a certificate of a peer, found {_listed(roles)}"
        if link.node and name != f"{self._region_of(link.node)}/{link.node}":
            return f"expected {link.node} there, found the certificate of {name}"
        return ""

    def _refuse(self, link: Link, why: str) -> None:
        self.counts["denied"] += 1
        self._say.warn(f"a connection of {self._who(link)} is refused: {why}", f"refused {link.purpose}")
        link.send(wire.encode(wire.Goodbye(f"Denied: {why}")))
        link.end("denied")

    def _region_of(self, node: str) -> str:
        return next((region for region, nodes in self._config.members.items() if node in nodes), "")

    def _who(self, link: Link) -> str:
        peer = link.extra("peername")
        where = f" at {peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
        return f"{link.node or self._names.get(link.number) or f'a {link.purpose}'}{where}"

    def _count(self, name: str) -> None:
        self.counts[name] += 1


def _listed(roles: frozenset[str]) -> str:
    return " and ".join(sorted(roles)) or "one without a role"
