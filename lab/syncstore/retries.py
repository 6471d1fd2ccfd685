"""Whether, when and how often a call is tried again.

Owns what is safe to repeat, the budget and the back-off. A retry never makes a bad day worse: over any
stretch that begins with a session there are at most `SPARE` + a tenth of its operations.
"""

from __future__ import annotations

from functools import lru_cache

from lab.syncstore.record import LWW, bucket_parts
from lab.syncstore.wire import Request

SPARE = 10
"""Retries that a session which has done nothing yet may make."""
SHARE = 0.1
BURST = 1000
"""Retries saved up at most: what may come down on a region at once when a node of it dies."""
BASE_MS = 20.0
MOST_MS = 1000.0

READS = frozenset(("get", "keys", "status"))
ADVICE = frozenset(("drain", "evict", "serve"))
"""They write one lww record, with the same value each time."""


@lru_cache(maxsize=4096)
def is_lww(bucket: str) -> bool:
    """Raises ValueError for what is no bucket's name."""
    return bucket_parts(bucket)[1] == LWW


def needs_token(op: str, bucket: str) -> bool:
    """Whether a repetition must be recognised by the node, since doing it twice isn't the same as once."""
    if op == "put" or op == "delete":
        return not is_lww(bucket)
    return op not in READS and op not in ADVICE


def is_safe(request: Request, *, beside: bool) -> bool:
    """Whether it may be asked again. beside: the earlier try may still be carried out, even after this one.

    A node that stands still holds requests it has not read yet. When it goes on it carries them out as
    new: a put of it gets a later version than whatever was acknowledged elsewhere meanwhile, and a
    register forgets a token after eight others. So beside a try that is still out, only a read goes, and an
    update, whose revision is there once.
    """
    if request.op in READS:
        return True
    if beside:
        return request.op == "update" and bool(request.token)
    return bool(request.token) or not needs_token(request.op, request.bucket)


def backoff_ms(tries: int, bits: int) -> float:
    """Full jitter: anywhere between now and twice as late as the last time. bits: 64 random ones."""
    most = min(BASE_MS * 2.0 ** min(tries, 32), MOST_MS)
    return most * (bits & (2**53 - 1)) / 2**53


class Budget:
    """A bucket of tokens that operations fill; read only when a retry wants one, so operations pay nothing."""

    __slots__ = ("_gone", "spent")

    def __init__(self) -> None:
        self.spent = 0
        self._gone = 0.0
        """Spent, or flowed over."""

    def take(self, operations: int) -> bool:
        """operations: all that the session has begun so far."""
        left = SPARE + SHARE * operations - self._gone
        if left > BURST:
            self._gone += left - BURST
            left = BURST
        if left < 1:
            return False
        self._gone += 1
        self.spent += 1
        return True
