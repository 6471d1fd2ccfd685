"""Who is called: one connection to a node, or the reason why there is none, within a time.

Names are looked up by few threads, those of the own region and of others apart: a name server of
another region that never answers must not hold up a call to a neighbour.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab.syncstore.node.addresses import Address

LOOKUPS = 2
TLS_S = 5.0


class Dialer:
    """timeout_ms: for the whole of it."""

    def __init__(self, timeout_ms: float, tls: ssl.SSLContext | None) -> None:
        self._timeout_s, self._tls = timeout_ms / 1000, tls
        self._lookups: dict[str, ThreadPoolExecutor] = {}
        self._known: dict[Address, str] = {}

    async def call(self, address: Address, purpose: str, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Return when the connection stands, handshake of TLS included. Raises OSError (TimeoutError, SSLError …)."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            host = address.host if address.is_literal else await self._looked_up(address, purpose)
            await loop.create_connection(
                factory,
                host,
                address.port,
                ssl=self._tls,
                ssl_handshake_timeout=TLS_S if self._tls else None,
                server_hostname=address.host if self._tls else None,
            )

    def close(self) -> None:
        for pool in self._lookups.values():
            pool.shutdown(wait=False, cancel_futures=True)

    async def _looked_up(self, address: Address, purpose: str) -> str:
        """What the name means now, or, should nobody answer, what it meant the last time."""
        loop = asyncio.get_running_loop()
        pool = self._lookups.setdefault(purpose, ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup"))
        try:
            async with asyncio.timeout(self._timeout_s / 2):
                found = await loop.run_in_executor(pool, _look_up, address)
        except (TimeoutError, OSError):
            if address in self._known:
                return self._known[address]
            raise
        self._known[address] = found
        return found


def _look_up(address: Address) -> str:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
