"""What a request does to a register, decided from the register's state: one pure function per question.

Owns the meaning of get, put, delete, create and update, the memory of tokens, and how a record from
another region enters. Knows nothing of ballots, votes or nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import xxhash

from lab.syncstore.paxos import SPENT, SPENT_BYTES, TOKENS, State
from lab.syncstore.record import Record
from lab.syncstore.version import NO_VERSION, Version
from lab.syncstore.wire import Reply, Request

Take = Callable[[Version], Version]
"""A new version above the given one (and above whatever the node itself must stay above)."""


class Decision(NamedTuple):
    """state: what the register becomes, None to leave it. shows: the version the reply speaks of.
    recorded: the reply waits until the table holds the register's record."""

    state: State | None
    reply: Reply
    shows: Version = NO_VERSION
    recorded: bool = False


def with_later(state: State | None, record: Record | None) -> State | None:
    """The register as it is once the table's record, when later, has entered. Its tokens stay."""
    if record is None or (state is None and record.value is None):
        return state
    if state is not None and record.version <= state.version:
        return state
    tokens, spent = (state.tokens, state.spent) if state is not None else ([], b"")
    time, counter, maker = record.version
    return State(record.value, record.expires, time, counter, maker, tokens, spent)


def is_present(state: State | None, wall_ms: int) -> bool:
    return state is not None and state.value is not None and not (state.expires and state.expires <= wall_ms)


def decide(request: Request, state: State | None, record: Record | None, wall_ms: int, take: Take) -> Decision:
    """record: the key's present one in the table. wall_ms: the node's clock, for expiry."""
    seen = Version(request.seen.time, request.seen.counter, request.seen.maker) if request.seen else NO_VERSION
    if request.op == "get":
        return _read(request, state, record, wall_ms, seen)
    if request.token and state is not None and (earlier := _earlier(request, state)) is not None:
        return earlier
    entered = with_later(state, record)
    refused = _refusal(request, entered, wall_ms)
    if refused is not None:
        return Decision(None if entered is state else entered, refused, _version(entered), entered is not state)
    above = max(_version(entered), record.version if record is not None else NO_VERSION, seen)
    changed = _changed(request, entered, take(above))
    return Decision(changed, Reply(request.number, revision=str(changed.version)), changed.version, True)


def _read(request: Request, state: State | None, record: Record | None, wall_ms: int, seen: Version) -> Decision:
    """A record that this session saw in the table enters first: its reads never go back."""
    entered = with_later(state, record) if seen > _version(state) else state
    deleted = record.version if record is not None and record.value is None else NO_VERSION
    if seen > max(_version(entered), deleted):  # a delete that the table knows answers too, where there is no register
        return Decision(None, Reply(request.number, "Behind", "The session has seen a later version than is here."))
    reply = Reply(request.number)
    if entered is not None and is_present(entered, wall_ms):
        reply = Reply(
            request.number,
            present=True,
            value=entered.value or b"",
            revision=str(entered.version),
            expires=entered.expires,
        )
    return Decision(None if entered is state else entered, reply, _version(entered), entered is not state)


def _earlier(request: Request, state: State) -> Decision | None:
    """What an earlier try of this request did, if it did anything."""
    for token, time, counter, maker in state.tokens:
        if token == request.token:
            version = Version(time, counter, maker)
            return Decision(None, Reply(request.number, revision=str(version)), version, True)
    spent = xxhash.xxh32_digest(request.token)
    if any(state.spent[at : at + SPENT_BYTES] == spent for at in range(0, len(state.spent), SPENT_BYTES)):
        info = "An earlier try was applied; its revision is no longer known, for more than 8 changes followed it."
        return Decision(None, Reply(request.number, "Timeout", info))
    return None


def _refusal(request: Request, state: State | None, wall_ms: int) -> Reply | None:
    """The reply of a request that changes nothing. A delete always writes: a late first try of it, after one
    that had found nothing to delete, would else delete what came since."""
    present = is_present(state, wall_ms)
    revision = str(_version(state)) if present else ""
    found = f"it has revision {revision}" if present else "there is none"
    if request.op == "create" and present:
        return Reply(request.number, "WrongRevision", f"Expected no such key, {found}.", revision=revision)
    if request.op == "update" and not (present and revision == request.revision):
        info = f"Expected revision {request.revision[:120]} of the key, {found}."
        return Reply(request.number, "WrongRevision", info, revision=revision)
    return None


def _changed(request: Request, state: State | None, version: Version) -> State:
    tokens, spent = (state.tokens, state.spent) if state is not None else ([], b"")
    if request.token:
        tokens = [*tokens, (request.token, *version)]
        for token, *_ in tokens[:-TOKENS]:
            spent = (spent + xxhash.xxh32_digest(token))[-SPENT * SPENT_BYTES :]
        tokens = tokens[-TOKENS:]
    value = None if request.op == "delete" else request.value
    return State(value, request.expires if value is not None else 0, *version, tokens, spent)


def _version(state: State | None) -> Version:
    return state.version if state is not None else NO_VERSION
