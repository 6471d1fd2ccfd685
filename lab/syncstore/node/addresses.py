"""Addresses as people write them: "host:port", and the four that a node listens at.

Owns their text form. Resolves nothing.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from lab.syncstore.errors import Refused

OFFSETS = {"client": 0, "peer": 1, "wan": 2, "http": 3}
"""What a node's single address stands for: that port and the next three."""

_LOOPBACK_6 = bytes(15) + b"\1"


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_literal(self) -> bool:
        """Whether nobody needs to be asked where the host is."""
        return bool(_packed(self.host))

    @property
    def is_loopback(self) -> bool:
        packed = _packed(self.host)
        return self.host == "localhost" or packed[:1] == b"\x7f" or packed == _LOOPBACK_6


class Addresses(NamedTuple):
    """Where one node is found. http None: not at all."""

    peer: Address
    wan: Address
    client: Address
    http: Address | None = None


def address(text: str) -> Address:
    """Of "host:port", "[::1]:port". Raises Refused."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    sound = bool(name) and not set(name) & set(" /[]@,=") and (":" in name) == bracketed
    if not colon or not sound or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise Refused(f'expected an address as host:port, found "{text[:200]}"')
    return Address(name, int(port))


def addresses(text: str) -> Addresses:
    """All four of a node's, of the one that clients use: the next three ports are its others. Raises Refused."""
    host, port = address(text)
    if port + max(OFFSETS.values()) > 65535:
        raise Refused(f'expected an address with three ports after it for peer, wan and http, found "{text[:200]}"')
    return Addresses(**{purpose: Address(host, port + offset) for purpose, offset in OFFSETS.items()})


def _packed(host: str) -> bytes:
    """4 or 16 bytes; none for a name."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return b""
