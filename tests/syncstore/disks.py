"""What tests of the log share: what a disk holds, what a crash leaves of it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lab.syncstore.log import Log

HEAD_BYTES = 8
_numbers = count(1)


def contents(log: Log) -> list[bytes]:
    return [payload for _, payload in log.recovered()]


def read(directory: Path) -> list[bytes]:
    log = Log.open(directory)
    try:
        return contents(log)
    finally:
        log.close()


def killed(directory: Path) -> Path:
    """A copy, as the disk would be had its process been killed now."""
    copy = directory.with_name(f"{directory.name}-{next(_numbers)}")
    shutil.copytree(directory, copy)
    return copy


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("log-*"))


def snapshots(directory: Path) -> list[Path]:
    return sorted(directory.glob("snapshot-*"))


def used(path: Path) -> int:
    """Bytes of a file without the zeros it is filled with ahead."""
    return len(path.read_bytes().rstrip(b"\0"))


def written(directory: Path, *groups: list[bytes], seal: bool = False, **options: Any) -> Path:
    """A disk on which each group was synced; without `seal` its process was killed, and its files end there."""
    log = Log.open(directory, **options)
    for group in groups:
        for payload in group:
            log.append(payload)
        log.sync()
    if seal:
        log.close()
        return directory
    copy = killed(directory)
    log.close()
    os.truncate(segments(copy)[-1], used(segments(copy)[-1]))
    return copy


def snapshot_of(log: Log, *chunks: bytes) -> None:
    writer = log.begin_snapshot()
    for chunk in chunks:
        writer.write(chunk)
    writer.commit()


def end_of(payloads: list[bytes]) -> int:
    """The position behind them."""
    return sum(HEAD_BYTES + len(payload) for payload in payloads)


class Broken:
    """Makes a system call fail: `times` times, once `after` calls went well."""

    def __init__(
        self, patch: pytest.MonkeyPatch, name: str, code: int = errno.EIO, *, times: int = 1, after: int = 0
    ) -> None:
        self.left, self.after, self.code = times, after, code
        self.real: Callable[..., Any] = getattr(os, name)
        patch.setattr(os, name, self)

    def __call__(self, *arguments: Any) -> Any:
        if self.after > 0:
            self.after -= 1
        elif self.left > 0:
            self.left -= 1
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*arguments)
