"""Snapshots: which is in force, what it takes with it, and a crash at every step of making one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.syncstore.disk import files
from lab.syncstore.errors import Storage
from lab.syncstore.log import Log
from tests.syncstore.disks import (
    Broken,
    killed,
    read,
    segments,
    snapshot_of,
    snapshots,
)

ONE, TWO, THREE = b"one", b"the second", b"3"


def test_a_snapshot_that_fails_leaves_the_older_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("write", "fdatasync", "fsync"):
        disk = tmp_path / name
        log = Log.open(disk)
        log.append(ONE)
        snapshot_of(log, b"older")
        log.append(TWO)
        log.sync()
        writer = log.begin_snapshot()
        writer.write(b"newer")
        with pytest.raises(RuntimeError, match="commit or abort"):
            log.begin_snapshot()
        with monkeypatch.context() as patch:
            Broken(patch, name, errno.ENOSPC)
            with pytest.raises(Storage, match="No space left"):
                writer.commit()
        with pytest.raises(Storage, match="begin another"):
            writer.write(b"more")
        assert not list(disk.glob("*.part"))
        assert read(killed(disk)) in ([b"older", TWO], [b"newer"])
        snapshot_of(log, b"newest")
        log.close()
        assert read(disk) == [b"newest"] and len(snapshots(disk)) == 1


def test_an_aborted_snapshot_leaves_no_trace(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    log.append(ONE)
    writer = log.begin_snapshot()
    writer.write(b"half")
    writer.flush()
    assert len(list(tmp_path.glob("*.part"))) == 1
    writer.abort()
    writer.abort()
    assert not list(tmp_path.glob("*.part"))
    log.begin_snapshot().write(bytes(5 * 2**20))  # spills; and close aborts it
    log.close()
    assert not list(tmp_path.glob("snapshot*"))
    assert read(tmp_path) == [ONE]


def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "disk", segment_bytes=1)
    log.append(ONE)
    log.sync()
    snapshot_of(log, b"chunk one", b"chunk two")  # and the only segment goes
    log.append(TWO)
    log.close()
    file = snapshots(tmp_path / "disk")[0]
    sound = file.read_bytes()
    for at in range(len(sound)):
        for damage in (sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :], sound[:at], sound + b"x"):
            file.write_bytes(damage)
            with pytest.raises(Storage, match=f"{file}: damaged at offset .* --rebuild"):
                Log.open(tmp_path / "disk")


def test_an_older_snapshot_will_do_where_all_its_segments_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    snapshot_of(log, b"older")
    log.append(TWO)
    log.sync()
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", lambda *_: None)
        snapshot_of(log, b"newer")
    assert len(snapshots(tmp_path / "disk")) == 2
    newest = killed(tmp_path / "disk")
    log.append(THREE)
    log.close()
    os.truncate(snapshots(newest)[1], 50)
    assert read(newest) == [b"older", TWO]
    damaged = tmp_path / "disk"
    os.truncate(snapshots(damaged)[1], 50)
    assert read(damaged) == [b"older", TWO, THREE]


def test_an_older_snapshot_will_not_do_where_the_log_ends_before_the_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    snapshot_of(log, b"older")
    log.append(TWO)
    monkeypatch.setattr(files, "remove", lambda *_: None)
    snapshot_of(log, b"newer")
    copy = killed(tmp_path / "disk")
    log.close()
    os.truncate(snapshots(copy)[1], 50)
    with pytest.raises(Storage, match=f"{snapshots(copy)[1]}: damaged"):
        Log.open(copy)


def test_a_snapshot_leaves_the_segments_written_while_it_was_made(tmp_path: Path) -> None:
    log = Log.open(tmp_path, segment_bytes=1)
    log.append(ONE)
    log.sync()
    writer = log.begin_snapshot()
    for payload in (TWO, THREE):
        log.append(payload)
        log.sync()
    writer.write(b"one alone")
    writer.commit()
    assert len(segments(tmp_path)) == 2
    log.close()
    assert read(tmp_path) == [b"one alone", TWO, THREE]


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """[n]: the n-th system call from now that changes the disk is not made any more, nor any after it."""
    left = [10**9]

    def wrapped(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object, **options: object) -> object:
            if not (name == "open" and not arguments[1]):  # to read
                left[0] -= 1
            if left[0] < 0:
                raise Crash
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("write", "fdatasync", "fsync", "open", "unlink", "replace", "rename"):
        wrapped(name)
    return left


def _life(log: Log, known: dict[str, int]) -> Iterator[None]:
    """Rotates, snapshots twice; says after each step what must survive."""
    for number in range(12):
        log.append(b"entry %d" % number)
        known["appended"] = number + 1
        log.sync()
        known["durable"] = number + 1
        if number in (4, 9):
            writer = log.begin_snapshot()
            for each in range(number + 1):
                writer.write(b"entry %d" % each)
            writer.flush()
            writer.commit()
        yield


def test_a_crash_at_every_step(tmp_path: Path, crash_at: list[int]) -> None:
    step, crashed = 0, True
    while crashed:
        disk, known = tmp_path / f"disk{step}", {"durable": 0, "appended": 0}
        log = Log.open(disk, segment_bytes=70)
        crash_at[0], crashed = step, False
        try:
            for _ in _life(log, known):
                pass
        except Crash:
            crashed = True
        crash_at[0] = 10**9
        kept = read(killed(disk))
        assert kept == [b"entry %d" % number for number in range(len(kept))], step
        assert known["durable"] <= len(kept) <= known["appended"], step
        step += 1
    assert step > 60
