"""What a node shows over HTTP: /metrics, /healthz, /readyz, /status. GET, and nothing else.

Owns as much of HTTP as that takes: a request line and headers of 8 KiB in 5 s, one answer, closed. With
TLS (elsewhere than on loopback) probes get in without a certificate, all else takes one of our CA.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Awaitable, Callable

from lab.syncstore import security
from lab.syncstore.node.addresses import Address
from lab.syncstore.node.listen import bound, listened
from lab.syncstore.node.say import Say

REQUEST_BYTES = 8 * 1024
PATIENCE_S = 5.0
CONNECTIONS = 32
READ_OUT = 64
"""As many times REQUEST_BYTES are thrown away of a request that is too long."""
HEALTH, READY, METRICS, STATUS = "/healthz", "/readyz", "/metrics", "/status"
TEXT, JSON = "text/plain; charset=utf-8", "application/json"
_LINE = re.compile(rb"GET (/[!-~]{0,200}) HTTP/1\.[01]\r\n")
_WORDS = {
    200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip


class Shown:
    """What is shown. ready: "" or why not. status: JSON-able. metrics: (content type, text)."""

    def __init__(
        self,
        ready: Callable[[], str],
        status: Callable[[], dict[str, object]],
        metrics: Callable[[], Awaitable[tuple[str, bytes]]],
    ) -> None:
        self.ready, self.status, self.metrics = ready, status, metrics


Answer = tuple[int, str, bytes]


class Http:
    def __init__(self, address: Address, shown: Shown, tls: ssl.SSLContext | None, say: Say) -> None:
        self._address, self._shown, self._tls, self._say = address, shown, tls, say
        self._server: asyncio.Server | None = None
        self._connections = 0

    async def open(self) -> None:
        """Raises Refused where the address can't be had."""
        patience_s = PATIENCE_S if self._tls else None
        self._server = await asyncio.start_server(
            self._serve,
            sock=listened(bound("http", self._address), "http", self._address),
            limit=REQUEST_BYTES,
            ssl=self._tls,
            ssl_handshake_timeout=patience_s,
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, kind, body = await self._answer(reader, writer)
                head = f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Type: {kind}\r\n"
                head += f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
                await _read_out(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # gone, or too slow (TimeoutError is an OSError), or the node stops
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        if self._connections > 2 * CONNECTIONS:
            raise ConnectionAbortedError
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _told(431, f"expected a request of at most {REQUEST_BYTES} bytes")
        if self._connections > CONNECTIONS:
            return _told(503, f"expected at most {CONNECTIONS} connections at once")
        line = _LINE.match(head)
        if line is None:
            sound = re.match(rb"[A-Z]{1,16} [!-~]{1,8000} HTTP/1\.[01]\r\n", head)
            return _told(405, "expected GET") if sound else _told(400, "expected GET /path HTTP/1.1")
        path = line[1].decode().partition("?")[0]
        open_to_all = self._tls is None or path in (HEALTH, READY)
        if not open_to_all and not security.identity_of(writer.get_extra_info("ssl_object")).roles:
            return _told(403, "expected a certificate of a client, admin or peer")
        try:
            return await self._page(path)
        except Exception as error:
            self._say.error(f"a bug: {path}: {error.__class__.__name__}: {error}", "http bug")
            return _told(500, "a bug of this node; its log tells more")

    async def _page(self, path: str) -> Answer:
        if path == HEALTH:
            return _told(200, "ok")
        if path == READY:
            why = self._shown.ready()
            return _told(503, why) if why else _told(200, "ready")
        if path == STATUS:
            return 200, JSON, json.dumps(self._shown.status(), default=str).encode() + b"\n"
        if path == METRICS:
            kind, text = await self._shown.metrics()
            return 200, kind, text
        return _told(404, f"expected {HEALTH}, {READY}, {METRICS} or {STATUS}")


async def _read_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what still comes, up to a limit: closed over unread bytes, a socket takes back the answer, too."""
    if not writer.can_write_eof():
        writer.close()
        await writer.wait_closed()
        return
    writer.write_eof()
    for _ in range(READ_OUT):
        if not await reader.read(REQUEST_BYTES):
            return


def _told(status: int, sentence: str) -> Answer:
    return status, TEXT, sentence.encode() + b"\n"
