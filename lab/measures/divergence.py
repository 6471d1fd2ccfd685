"""Divergence: keys on which regions disagree after settle (revision or value), plus buckets whose
replicas hold different content; must be 0, unknown where the backend can't tell.

Regions are compared by what they read back, the last ok read of a key each. None: neither two
regions read anything nor two replicas of a bucket were compared; or nothing disagrees, but a region
could not read some key and no replicas were compared instead. `replicas` counts the digests.
"""

from __future__ import annotations

import polars as pl

from lab.events import Operation, Replica
from lab.history import History
from lab.measurements import Divergence, Measurements

MAX_EXAMPLES = 10


def measure(history: History, done: Measurements) -> Divergence | None:
    """None when the history holds neither reads after settle nor replicas."""
    read_back = history.table(Operation).filter(pl.col("operation") == "get", pl.col("phase") == "settle")
    replicas = history.table(Replica)
    if read_back.is_empty() and replicas.is_empty():
        return None
    buckets = _told_apart(replicas, ["bucket"], "node", "digest")
    keys = _told_apart(_last_ok(read_back), ["home", "key"], "region", "content")
    examples = [_example(f"bucket {row['bucket']}", row) for row in buckets.filter("differs").to_dicts()]
    examples += [_example(f"{row['home']}/{row['key']}", row) for row in keys.filter("differs").to_dicts()]
    certain = not buckets.is_empty() or (not keys.is_empty() and _all_read(history, read_back))
    return Divergence(
        replicas=replicas.height,
        divergent=len(examples) if examples or certain else None,
        examples=examples[:MAX_EXAMPLES],
    )


def _last_ok(read_back: pl.DataFrame) -> pl.DataFrame:
    """The last ok read of every (region, key), its revision and value as `content`."""
    content = (
        pl.when(pl.col("revision") == "")
        .then(pl.lit("nothing"))
        .otherwise(pl.format("revision {} with '{}'", "revision", "value"))
    )
    return (
        read_back.filter(pl.col("outcome") == "ok")
        .unique(["region", "home", "key"], keep="last", maintain_order=True)
        .with_columns(content=content)
    )


def _told_apart(rows: pl.DataFrame, by: list[str], who: str, what: str) -> pl.DataFrame:
    """What at least two have told of, with `differs` and what each said."""
    rows = rows.sort(who)
    return (
        rows.group_by(by)
        .agg(who=pl.col(who), what=pl.col(what), tellers=pl.col(who).n_unique())
        .filter(pl.col("tellers") > 1)
        .with_columns(differs=pl.col("what").list.n_unique() > 1)
        .sort(by)
    )


def _all_read(history: History, read_back: pl.DataFrame) -> bool:
    """Whether every region read every key that any region tried to read."""
    asked = read_back.select("home", "key").unique().height
    return _last_ok(read_back).height == asked * len(history.topology.regions)


def _example(subject: str, row: dict[str, list[str]]) -> str:
    said = "; ".join(f"{who} has {what}" for who, what in zip(row["who"], row["what"], strict=True))
    return f"{subject}: {said}"
