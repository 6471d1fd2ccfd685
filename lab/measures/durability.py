"""Durability: acknowledged writes that can't be read after settle and were not superseded; must be 0.

Of every key the newest acknowledged write must be read back in at least one region: its value at its
revision, or a newer revision (regions that disagree are divergence, not loss). Older acknowledged
writes of the key are superseded by it, so a key counts at most once; but two different values
acknowledged under one revision lose all but one, and so do two keys where revisions count per bucket.
`tested`: how many acknowledged writes were never overwritten, one per key; the workload writes some
keys only once, so that writes made during the fault are among them. A read only speaks against a write acknowledged
before the read started. `unread` counts (region, key) pairs without an ok read; a key no region
could read proves nothing, then `lost` is None and `lost_by_region` (by home) is what is certain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from lab.events import Note, Operation
from lab.history import History
from lab.measurements import Durability, Measurements

MAX_EXAMPLES = 10


@dataclass
class _Key:
    """What was acknowledged of one key, and what every region read at the end."""

    writes: dict[str, dict[str, int]] = field(default_factory=dict)  # revision → value → ended_ns
    reads: list[tuple[str, str, str, int]] = field(default_factory=list)  # region, revision, value, start

    @property
    def newest(self) -> str:
        return max(self.writes)

    def shown(self) -> bool:
        right = self.writes[self.newest]
        return any(
            revision > self.newest or (revision == self.newest and value in right)
            for _, revision, value, _ in self.reads
        )

    def testimony(self) -> list[str]:
        """What reads that started after the acknowledgement saw, as `region: revision`."""
        since_ns = min(self.writes[self.newest].values())
        return [
            f"{region} reads {f'revision {revision} with {value!r}' if revision else 'nothing'}"
            for region, revision, value, started_ns in self.reads
            if started_ns >= since_ns
        ]


def measure(history: History, done: Measurements) -> Durability | None:
    """None when the history holds no writes at all."""
    operations = history.table(Operation)
    puts = operations.filter(pl.col("operation") == "put", pl.col("phase") != "settle")
    if puts.is_empty():
        return None
    acknowledged = puts.filter(pl.col("outcome") == "ok", pl.col("revision") != "")
    keys = _keys(acknowledged, operations)
    lost_by_region = dict.fromkeys(sorted({home for home, _ in keys}), 0)
    examples: list[str] = []
    certain = bool(keys)
    for home, sentence in _reused(history, acknowledged):
        lost_by_region[home] += 1
        examples.append(sentence)
    for (home, name), key in sorted(keys.items()):
        losses, readable = _losses(home, name, key)
        certain &= readable
        lost_by_region[home] += len(losses)
        examples += losses
    return Durability(
        acknowledged=acknowledged.height,
        tested=len(keys),
        lost=len(examples) if certain else None,
        lost_by_region=lost_by_region,
        examples=examples[:MAX_EXAMPLES],
        unread=_unread(keys, history.topology.region_names),
    )


def _keys(acknowledged: pl.DataFrame, operations: pl.DataFrame) -> dict[tuple[str, str], _Key]:
    keys: dict[tuple[str, str], _Key] = defaultdict(_Key)
    columns = ("home", "key", "revision", "value", "ended_ns")
    for home, name, revision, value, ended_ns in acknowledged.select(columns).iter_rows():
        keys[home, name].writes.setdefault(revision, {}).setdefault(value, ended_ns)
    read_back = operations.filter(pl.col("operation") == "get", pl.col("phase") == "settle", pl.col("outcome") == "ok")
    reads = read_back.select("home", "key", "region", "revision", "value", "started_ns")
    for home, name, region, revision, value, started_ns in reads.iter_rows():
        if (home, name) in keys:
            keys[home, name].reads.append((region, revision, value, started_ns))
    return keys


def _losses(home: str, name: str, key: _Key) -> tuple[list[str], bool]:
    """A sentence per write lost, and whether the key could be judged."""
    losses = [
        f"{home}/{name}: revision {revision} was acknowledged for {len(values)} different values"
        for revision, values in sorted(key.writes.items())
        for _ in range(len(values) - 1)
    ]
    if key.shown():
        return losses, True
    testimony = key.testimony()
    if testimony:
        value = next(iter(key.writes[key.newest]))
        said = "; ".join(testimony)
        losses.append(f"{home}/{name}: revision {key.newest} with {value!r} was acknowledged, but {said}")
    return losses, bool(testimony)


def _reused(history: History, acknowledged: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """(home, sentence) per acknowledgement whose revision another key of the bucket was given too.

    Only of a backend that counts revisions per bucket: there a second use means that the first
    write was cut off the log, even if its key was written again since.
    """
    notes = history.table(Note).filter(pl.col("name") == "tells")["text"].to_list()
    if not any("bucket_revisions" in text.split() for text in notes):
        return
    keys = acknowledged.group_by("home", "revision").agg(pl.col("key").unique().sort()).sort("home", "revision")
    for home, revision, names in keys.filter(pl.col("key").list.len() > 1).iter_rows():
        for _ in names[1:]:
            yield home, f"{home}: revision {revision} was acknowledged for the keys {' and '.join(names)}"


def _unread(keys: dict[tuple[str, str], _Key], regions: tuple[str, ...]) -> int:
    return sum(len(set(regions) - {read[0] for read in key.reads}) for key in keys.values())
