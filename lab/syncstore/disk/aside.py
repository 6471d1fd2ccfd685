"""Sets a disk's content aside, for whoever starts with --rebuild: nothing is ever thrown away.

Whenever it is interrupted, what is left is whole or refused, never an older state that looks whole:
newest snapshots go first, then the oldest segments.
"""

from __future__ import annotations

from pathlib import Path

from lab.syncstore.disk import files, segment, snapshot


def set_aside(directory: Path) -> Path | None:
    """Move segments and snapshots into a new `set-aside-<n>`; None where there are none. Raises Storage."""
    with files.told(f"{directory}: can't be set aside"):
        moving = [named.path for named in snapshot.listed(directory)]
        moving += [named.path for named in segment.listed(directory)] + snapshot.parts(directory)
        if not moving:
            return None
        target = _new_folder(directory)
        for path in moving:
            path.rename(target / path.name)
            files.sync_directory(directory)
        files.sync_directory(target)
        return target


def _new_folder(directory: Path) -> Path:
    number = 1
    while (directory / f"set-aside-{number}").exists():
        number += 1
    target = directory / f"set-aside-{number}"
    target.mkdir()
    return target
