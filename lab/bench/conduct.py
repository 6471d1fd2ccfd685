"""Every row asked for, one after another; what is measured is kept at once.

A row that breaks is told as not measured, and the next one begins.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from lab import parts
from lab.bench import about, table
from lab.bench.lines import Line
from lab.bench.rows import ROWS
from lab.bench.sizes import Sizes
from lab.errors import LabError, RunBroken
from lab.results import write_json, write_text

NODES = "nodes"
"""The folder of servers and their data: what the reaper removes."""
ROW_WITHIN_S = 600.0
"""More than any row needs: one that hangs may not keep the others from being measured."""


@dataclass
class Bench:
    """What was measured so far. broken: rows that could not be; took_s: row → how long it took, in seconds."""

    told: dict[str, Any]
    sizes: Sizes
    lines: list[Line]
    broken: list[int]
    took_s: dict[int, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": self.told,
            "sizes": asdict(self.sizes),
            "lines": [line.as_json() for line in self.lines],
            "not_measured": self.broken,
            "took_s": {str(row): round(seconds, 1) for row, seconds in self.took_s.items()},
        }

    def keep(self, directory: Path, also: Path | None) -> None:
        write_json(directory / "bench.json", self.as_json())
        write_text(directory / "bench.md", table.markdown(self.lines, titles(), about.sentences(self.told)))
        if also is not None:
            write_json(also, self.as_json())


def titles() -> dict[int, str]:
    """row → what it is about."""
    return {row: str(import_module(target.partition(":")[0]).ABOUT) for row, target in ROWS.items()}


async def conduct(
    rows: Sequence[int], sizes: Sizes, directory: Path, also: Path | None, say: Callable[[str], None]
) -> Bench:
    """Raises BinaryMissing before anything is started."""
    bench = Bench(about.about(say), sizes, [], [])
    for row in rows:
        say(f"row {row}: {titles()[row]}")
        folder, began = directory / NODES / f"row-{row}", time.monotonic()
        try:
            bench.lines += await _measured(row, folder, sizes, say)
        except Exception as error:
            if not isinstance(error, LabError):
                traceback.print_exc()
            bench.broken.append(row)
            bench.lines.append(Line(row, f"{table.NOT_MEASURED}: {type(error).__name__}: {error}"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            bench.took_s[row] = time.monotonic() - began
        say(f"row {row} took {bench.took_s[row]:.0f} s")
        bench.keep(directory, also)
    return bench


async def _measured(row: int, folder: Path, sizes: Sizes, say: Callable[[str], None]) -> list[Line]:
    """Raises RunBroken where it takes too long, and whatever the row itself raises."""
    limit = asyncio.timeout(ROW_WITHIN_S)
    try:
        async with limit:
            found: list[Line] = await parts.load(ROWS[row])(folder, sizes, lambda what: say(f"row {row}: {what}"))
            return found
    except TimeoutError:
        if not limit.expired():
            raise
        raise RunBroken(f"expected it to end within {ROW_WITHIN_S:g} s, found it still under way.") from None
