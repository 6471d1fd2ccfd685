"""What a node's answer, or its silence, means for a call: which error it is, and whether another try may help.

Owns the table of errors, and the rule that keeps them honest: once a try may have reached a node and
was never answered, no later answer makes it certain that nothing happened.
"""

from __future__ import annotations

from lab.syncstore.errors import (
    Behind,
    Denied,
    Refused,
    Storage,
    SyncStoreError,
    Timeout,
    TooLarge,
    Unavailable,
    WrongKind,
    WrongRevision,
)
from lab.syncstore.retries import READS
from lab.syncstore.wire import Reply, Request

ERRORS: dict[str, type[SyncStoreError]] = {
    kind.__name__: kind
    for kind in (Unavailable, Timeout, WrongRevision, WrongKind, TooLarge, Denied, Refused, Storage, Behind)
}
FINAL = frozenset(("WrongRevision", "WrongKind", "TooLarge", "Denied", "Refused"))
"""Every node would say the same."""
ONCE = frozenset(("Behind", "Storage"))
"""Of this node only, and still so a moment later: another one may be asked."""
DEFINITE = FINAL | ONCE | {"Unavailable"}


def named(request: Request) -> str:
    """The call, in an error's sentence."""
    return f"{request.op} {request.bucket} {request.key[:80]!r}" if request.bucket else request.op


def error_of(request: Request, reply: Reply) -> SyncStoreError:
    """The error a node's answer is, as if there had been no other try."""
    sentence = reply.info or f"{named(request)}: the node answered {reply.error}"
    if reply.error == "WrongRevision":
        return WrongRevision(sentence, reply.revision)
    if reply.error == "Behind":
        return Unavailable(f"{sentence}: no node at hand holds what this session has already seen")
    kind = ERRORS.get(reply.error)
    if kind is None:
        return Timeout(f"{named(request)}: the node answered {reply.error[:80]!r}, which this client doesn't know")
    return kind(sentence)


def no_answer(request: Request, why: str) -> Timeout:
    """A try may have reached a node, and nothing came back."""
    happened = "" if request.op in READS else "; it may have happened"
    return Timeout(f"{named(request)}: no answer: {why}{happened}")


def in_all(request: Request, error: SyncStoreError, in_doubt: bool) -> SyncStoreError:
    """The error of the whole call. in_doubt: another try of it may have reached a node and was never answered.

    That holds for `WrongRevision` too, token or not: the register may have forgotten the token (it keeps
    the last 8), or the lost try may still be on its way and find the key absent again.
    """
    if not in_doubt or isinstance(error, Timeout) or request.op in READS:
        return error
    return Timeout(f"{named(request)}: an earlier try was not answered and may have happened; the last one: {error}")
