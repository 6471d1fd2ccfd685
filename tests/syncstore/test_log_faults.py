"""A disk that fails: writes fail cleanly, nothing is lost once it works again."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from lab.syncstore.disk import files
from lab.syncstore.disk.backlog import GROUP_BYTES
from lab.syncstore.errors import Storage, SyncStoreError
from lab.syncstore.log import Log
from tests.syncstore.disks import (
    Broken,
    contents,
    end_of,
    killed,
    read,
    segments,
    snapshot_of,
    written,
)

ONE, TWO, THREE = b"one", b"the second", b"3"


@pytest.mark.parametrize("name", ["fdatasync", "write"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_failed_sync_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    Broken(monkeypatch, name, errno.ENOSPC, times=times)
    copies = []
    for _ in range(times):
        with pytest.raises(Storage, match=r"can't be written: No space left on device; free some space: .*"):
            log.sync()
        assert log.failing and log.durable == log.written == end_of([ONE]) and log.pending_bytes == end_of([TWO])
        copies.append(killed(tmp_path / "disk"))
    position = log.append(THREE)
    assert log.sync() == position == end_of([ONE, TWO, THREE])
    assert log.failing is None and log.pending_bytes == 0
    assert len(segments(tmp_path / "disk")) == 2  # failures leave no more than the one they began with
    assert all(read(copy) in ([ONE], [ONE, TWO]) for copy in copies)
    assert read(killed(tmp_path / "disk")) == [ONE, TWO, THREE]
    log.close()
    assert read(tmp_path / "disk") == [ONE, TWO, THREE]


def test_a_segment_is_never_synced_again_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    Broken(monkeypatch, "fdatasync")
    with pytest.raises(Storage):
        log.sync()
    log.sync()
    old, new = segments(tmp_path / "disk")
    assert ONE in old.read_bytes() and new.name.endswith(f"-{end_of([ONE]):020d}") and TWO in new.read_bytes()
    old.write_bytes(old.read_bytes()[: -end_of([TWO])] + b"never reached the medium")
    assert read(killed(tmp_path / "disk")) == [ONE, TWO]
    log.close()


def test_what_is_appended_during_a_sync_waits_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    syncing, go_on = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        syncing.set()
        assert go_on.wait(60)

    monkeypatch.setattr(os, "fdatasync", slow)
    positions: list[int] = []
    thread = threading.Thread(target=lambda: positions.append(log.sync()))
    thread.start()
    assert syncing.wait(60)
    log.append(THREE)
    assert log.write_unsynced() == end_of([ONE, TWO, THREE])
    assert log.durable == end_of([ONE])
    go_on.set()
    thread.join(60)
    assert positions == [log.durable] == [end_of([ONE, TWO])]
    assert log.sync() == end_of([ONE, TWO, THREE])
    log.close()
    assert read(tmp_path / "disk") == [ONE, TWO, THREE]


def test_a_failed_unsynced_write_is_mended_by_the_next_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    Broken(monkeypatch, "write", errno.ENOSPC)
    assert log.write_unsynced() == end_of([ONE]) and "No space left" in str(log.failing)
    log.append(THREE)
    assert log.write_unsynced() == end_of([ONE])  # not to this segment
    assert log.sync() == end_of([ONE, TWO, THREE]) and log.failing is None
    log.close()
    assert read(tmp_path / "disk") == [ONE, TWO, THREE]


def _busy(log: Log, patch: pytest.MonkeyPatch, payload: bytes) -> None:
    """During the next sync an entry is appended and handed to the system."""
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        patch.setattr(os, "fdatasync", real)
        log.append(payload)
        log.write_unsynced()
        real(descriptor)

    patch.setattr(os, "fdatasync", fdatasync)


def test_what_was_handed_over_during_a_sync_is_kept_until_it_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    _busy(log, monkeypatch, b"meanwhile")
    assert log.sync() == end_of([ONE, TWO]) and log.written == end_of([ONE, TWO, b"meanwhile"])
    for number in range(3):
        log.append(b"more %d" % number)
        log.write_unsynced()
    Broken(monkeypatch, "fdatasync")
    with pytest.raises(Storage):
        log.sync()
    assert log.sync() == log.appended
    assert re.search(b"meanwhile.*more 0.*more 1.*more 2", segments(tmp_path / "disk")[1].read_bytes(), re.DOTALL)
    log.close()


def test_a_rotation_takes_nothing_back_that_a_killed_process_would_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.open(tmp_path / "disk", segment_bytes=200)
    log.append(ONE)
    log.sync()
    log.append(TWO)
    _busy(log, monkeypatch, bytes(100))
    log.sync()
    assert log.written == end_of([ONE, TWO, bytes(100)]) and len(segments(tmp_path / "disk")) == 1
    assert read(killed(tmp_path / "disk")) == [ONE, TWO, bytes(100)]
    log.append(THREE)
    assert log.write_unsynced() < log.appended  # it is full
    log.sync()
    log.close()


def test_tries_on_a_full_disk_leave_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(bytes(500))
    real = os.write

    def write(descriptor: int, content: bytes) -> int:
        if len(content) > 500:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, content)

    monkeypatch.setattr(os, "write", write)
    for _ in range(5):
        with pytest.raises(Storage):
            log.sync()
    assert len(segments(tmp_path / "disk")) == 1
    monkeypatch.setattr(os, "write", real)
    log.close()
    assert read(tmp_path / "disk") == [ONE, bytes(500)]


def test_a_segment_and_its_name_are_durable_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("write_whole", "datasync", "sync_directory"):
        real = getattr(files, name)
        monkeypatch.setattr(files, name, lambda *given, name=name, real=real: (calls.append(name), real(*given)))
    log = Log.open(tmp_path / "disk")
    calls.clear()
    log.append(ONE)
    log.sync()
    assert calls == ["write_whole", "datasync", "sync_directory", "write_whole", "datasync"]
    log.close()


def test_a_part_of_a_write_is_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    real = os.write

    def short(descriptor: int, content: bytes) -> int:
        if len(content) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, bytes(content)[:15])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(Storage, match="No space left"):
            log.sync()
    assert read(killed(tmp_path / "disk")) == [ONE]
    log.sync()
    assert read(killed(tmp_path / "disk")) == [ONE, TWO]
    log.close()


def test_much_that_waits_is_written_in_groups(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "disk")
    payloads = [bytes([number]) * 1_500_000 for number in range(1, 9)]
    for payload in payloads:
        log.append(payload)
    assert log.sync() == end_of(payloads)
    assert end_of(payloads) > 2 * GROUP_BYTES
    log.close()
    assert read(tmp_path / "disk") == payloads


def test_a_start_on_a_full_disk_reads_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = written(tmp_path / "disk", [ONE], [TWO])
    with monkeypatch.context() as patch:
        Broken(patch, "write", errno.ENOSPC, times=99)
        log = Log.open(disk)
    assert "No space left" in str(log.failing)
    assert contents(log) == [ONE, TWO]
    assert (log.durable, log.appended) == (end_of([ONE]), end_of([ONE, TWO]))
    assert log.sync() == end_of([ONE, TWO])
    log.close()
    assert read(disk) == [ONE, TWO]


def test_memory_can_be_given_back_when_the_disk_fails_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    with monkeypatch.context() as patch:
        Broken(patch, "write", errno.ENOSPC, times=99)
        with pytest.raises(Storage, match="No space left"):
            log.sync()
    assert log.forget_pending() and log.pending_bytes == 0
    log.append(THREE)
    for _ in range(2):
        with pytest.raises(Storage, match="commit a snapshot"):
            log.sync()
    writer = log.begin_snapshot()
    last = log.append(b"behind the snapshot")
    writer.write(b"all three")
    writer.commit()
    assert log.sync() == last == log.durable and log.failing is None
    assert read(killed(tmp_path / "disk")) == [b"all three", b"behind the snapshot"]
    log.close()


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount: {mounted.stderr.decode().strip()}")
    try:
        log, payloads = Log.open(tmp_path / "disk", segment_bytes=300_000), []
        ballast = tmp_path / "ballast"
        ballast.write_bytes(bytes(500_000))
        with pytest.raises(SyncStoreError, match="No space left on device; free some space"):
            while True:
                payloads.append(os.urandom(40_000))
                log.append(payloads[-1])
                log.sync()
        for _ in range(5):
            payloads.append(b"while full")
            log.append(payloads[-1])
            with pytest.raises(Storage):
                log.sync()
        ballast.unlink()
        assert log.sync() == end_of(payloads)
        snapshot_of(log, b"".join(payload[:10] for payload in payloads))
        log.append(ONE)
        log.close()
        assert read(tmp_path / "disk") == [b"".join(payload[:10] for payload in payloads), ONE]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
