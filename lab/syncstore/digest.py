"""Digests: whether two nodes hold the same, told in a few bytes.

Owns which hash bucket a key falls in and what a record adds to it. Counted are live records without
expiry: what expires does so at each node's own time.
"""

from __future__ import annotations

from functools import reduce
from operator import xor

from xxhash import xxh3_64_intdigest

from lab.syncstore.record import Record

HASH_BUCKETS = 1024


def hash_bucket(record: Record) -> int:
    return xxh3_64_intdigest(record.key.encode(), len(record.bucket)) % HASH_BUCKETS


def fingerprint(record: Record) -> int:
    """64 bits of a record's bucket, key, version and value; never of where in a sequence it stands."""
    version = f"{record.bucket}\0{record.key}\0{record.time}.{record.counter}.{record.maker}".encode()
    return xxh3_64_intdigest(record.value or b"", xxh3_64_intdigest(version))


class Digest:
    """Kept up with every change: adding what is there removes it."""

    __slots__ = ("sums",)

    def __init__(self) -> None:
        self.sums = [0] * HASH_BUCKETS

    def toggle(self, record: Record) -> None:
        if record.value is not None and not record.expires:
            self.sums[hash_bucket(record)] ^= fingerprint(record)

    def whole(self) -> int:
        """One number for all: the buckets' places count, so that two swapped sums differ."""
        return reduce(xor, (xxh3_64_intdigest(one.to_bytes(8, "big"), place) for place, one in enumerate(self.sums)))
