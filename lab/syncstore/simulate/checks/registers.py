"""Registers, as far as it can be told without a search: what linearizable histories never show.

Within a region versions of a register's key follow each other in real time, and of updates that expect
one revision one succeeds. Histories are judged in full where registers have a world of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from lab.syncstore.simulate.history import OK, Operation, version_seen
from lab.syncstore.simulate.world import World
from lab.syncstore.version import NO_VERSION, Version

FINISHED_MS = 1000.0
"""What is accepted and has no record is finished by then, if it still is what counts."""


def ordered(operations: Sequence[Operation]) -> Iterator[str]:
    """What begins after something ended shows nothing older."""
    by_key: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for one in operations:
        if one.register and one.outcome == OK and one.seen is not None and not one.stale_ok:
            by_key[one.region, one.key].append(one)
    for line in by_key.values():
        latest, by = NO_VERSION, ""
        ended = sorted(line, key=lambda one: one.completed_ms)
        place = 0
        for one in sorted(line, key=lambda one: one.invoked_ms):
            while place < len(ended) and ended[place].completed_ms < one.invoked_ms:
                shown = version_seen(ended[place].seen)
                if shown > latest:
                    latest, by = shown, f"{ended[place].client} {ended[place].op} at {ended[place].completed_ms:.1f} ms"
                place += 1
            yield from _back(one, latest, by)


def written(world: World) -> Iterator[str]:
    """What a register showed became a record, unless a later decision took its place before anyone had to finish it."""
    for one in world.unwritten:
        place, shown = ("", one.bucket, one.key), version_seen(one.seen)
        record = world.oracle.find(place, shown)
        until_ms = one.completed_ms + FINISHED_MS
        passed = any(other.version > shown and other.at_ms < until_ms for other in world.oracle.keys.get(place, ()))
        if (record is None and not passed) or (record is not None and record.value != one.found):
            yield (
                f"{one.client} get {one.key} at {one.node} showed {one.found[:40]!r} at {version_seen(one.seen)} at"
                f" {one.completed_ms:.1f} ms, which never became a record"
            )


def _back(one: Operation, latest: Version, by: str) -> Iterator[str]:
    shown = version_seen(one.seen)
    if shown < latest and not (one.attempts > 1 and one.writes):
        yield (
            f"{one.client} {one.op} {one.key} at {one.node}, begun at {one.invoked_ms:.1f} ms, showed {shown} of a"
            f" register, after {by} had shown {latest}"
        )


def exclusive(operations: Sequence[Operation]) -> Iterator[str]:
    """Of updates that expect one revision one succeeds."""
    won: dict[tuple[str, str], Operation] = {}
    for one in operations:
        if one.op == "update" and one.outcome == OK:
            other = won.setdefault((one.key, one.expected), one)
            if other is not one and other.region == one.region:
                yield (
                    f"{one.client} and {other.client} both updated {one.key} from {one.expected}, at"
                    f" {one.invoked_ms:.1f} and {other.invoked_ms:.1f} ms"
                )
