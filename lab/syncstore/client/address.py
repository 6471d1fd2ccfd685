"""Where a node is, as a user writes it: `syncstore://127.0.0.1:7100`."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from lab.syncstore.errors import Refused

SCHEME = "syncstore"


class Address(NamedTuple):
    """url: as it was written; it names the node in sentences."""

    url: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        """Raises Refused."""
        try:
            parts = urlsplit(url if "://" in url else f"{SCHEME}://{url}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or port is None or parts.scheme != SCHEME or parts.path.strip("/"):
            raise Refused(f"expected a node as {SCHEME}://host:port, found {url[:200]!r}")
        return cls(url, host, port)


def addresses(urls: str | list[str] | tuple[str, ...]) -> list[Address]:
    """One or several, each once. Raises Refused."""
    several = [one for one in urls.split(",") if one] if isinstance(urls, str) else urls
    found = [Address.of(url.strip()) for url in several]
    if not found:
        raise Refused(f"expected at least one node as {SCHEME}://host:port, found none")
    return list({(one.host, one.port): one for one in found}.values())
