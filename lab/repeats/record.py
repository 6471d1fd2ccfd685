"""Keeps what repeats came to beside their runs: `<arm slug>/repeats-s1-k3-home-three-regions.json`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lab.repeats import gather
from lab.repeats.model import Repeats
from lab.results import Run, write_json


def record(runs: Iterable[Run]) -> list[tuple[Repeats, Path]]:
    """Write one file per group of several runs; what each holds, and where. Raises Refused, OSError."""
    made = []
    for group in gather.groups(runs):
        if len(group) > 1:
            found, path = gather.together(group), group[0].path.parent / name(group)
            write_json(path, found.model_dump(mode="json"))
            made.append((found, path))
    return made


def name(group: list[Run]) -> str:
    """First seed, how many, and what else tells groups of one arm apart."""
    _, topology, leaders_in, _ = gather.which(group[0])
    told = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{leaders_in}-{topology}")[:80]
    return f"repeats-s{group[0].seed}-k{len(group)}-{told}.json"
