"""What calls give back, and how it is read from a node's reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from lab.syncstore.wire import Reply


class Written(msgspec.Struct, frozen=True, gc=False):
    """revision: of what was written; give it to `update`. degraded: one node alone is known to hold it so far."""

    revision: str
    degraded: bool = False


class Entry(msgspec.Struct, frozen=True, gc=False):
    """value: None where there is no such key (b"" is a value). revision: opaque, comparable by the store
    alone; "" where the key is absent. degraded: one node alone is known to hold what was read. expires: Unix
    ms, 0 for never."""

    value: bytes | None
    revision: str = ""
    degraded: bool = False
    expires: int = 0

    def __bool__(self) -> bool:
        return self.value is not None


class Page(msgspec.Struct, frozen=True):
    """Some keys, in order. more: there are others behind the last one."""

    keys: list[str]
    more: bool


def _written(reply: Reply) -> Written:
    return Written(reply.revision, reply.degraded)


def _entry(reply: Reply) -> Entry:
    if not reply.present:
        return Entry(None, "", reply.degraded)
    return Entry(reply.value, reply.revision, reply.degraded, reply.expires)


def _page(reply: Reply) -> Page:
    return Page(reply.keys or [], reply.info == "more")


def _status(reply: Reply) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(reply.info)
    except msgspec.DecodeError:
        found = None
    return found if isinstance(found, dict) else {"text": reply.info}


RESULTS: dict[str, Callable[[Reply], Any]] = {
    "put": _written,
    "delete": _written,
    "create": _written,
    "update": _written,
    "get": _entry,
    "keys": _page,
    "status": _status,
    "drain": _written,
    "evict": _written,
    "serve": _written,
}
