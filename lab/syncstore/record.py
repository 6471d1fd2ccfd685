"""A record: one key's value, its version, and where in which origin's sequence it was accepted.

Owns the record, the order between two of them, and the limits of keys and values. Knows nothing of
tables. Records are written once and never changed afterwards; they are not declared frozen only
because decoding fills in what the frame around them says once for all.
"""

from __future__ import annotations

import msgspec

from lab.syncstore.version import Version

KEY_BYTES = 512
VALUE_BYTES = 256 * 1024
NAME_BYTES = 128

LWW = "lww"
REGISTER = "register"
GLOBAL = "global"
REGION = "region"
SCOPES = (REGION, GLOBAL)
KINDS = (LWW, REGISTER)


class Record(msgspec.Struct, array_like=True, gc=False):
    """value None: a tombstone. time, counter, maker: the version. expires: Unix ms, 0 for never.

    maker and origin are left out on the wire where the frame says them (`Stream`, `Delta`):
    `filled` puts them back.
    """

    sequence: int
    bucket: str
    key: str
    value: bytes | None
    time: int
    counter: int
    expires: int = 0
    maker: str | None = None
    origin: str = ""

    @property
    def version(self) -> Version:
        return Version(self.time, self.counter, self.maker or self.origin)


def filled(records: list[Record], origin: str) -> list[Record]:
    """Records as decoded from a frame of one origin, made whole."""
    for record in records:
        record.origin = origin
        if record.maker is None:
            record.maker = origin
    return records


def later(a: Record, b: Record) -> bool:
    """Whether a's version is above b's."""
    if a.time != b.time:
        return a.time > b.time
    if a.counter != b.counter:
        return a.counter > b.counter
    return (a.maker or "") > (b.maker or "")


def same_version(a: Record, b: Record) -> bool:
    return a.time == b.time and a.counter == b.counter and a.maker == b.maker


def bucket_name(scope: str, kind: str, name: str) -> str:
    """A bucket's name on the wire: its scope and kind are part of it, so no two nodes can disagree on them."""
    return f"{scope}/{kind}/{name}"


def bucket_parts(bucket: str) -> tuple[str, str, str]:
    """(scope, kind, name). Raises ValueError with a sentence."""
    scope, _, rest = bucket.partition("/")
    kind, _, name = rest.partition("/")
    if scope not in SCOPES or kind not in KINDS or not name or len(name) > NAME_BYTES:
        raise ValueError(f"expected a bucket as region|global/lww|register/name, found {bucket[:200]!r}")
    return scope, kind, name
