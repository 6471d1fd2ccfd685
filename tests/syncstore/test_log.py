"""The disk of a node: what is durable stays, what is torn goes, what is damaged is refused."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.syncstore.disk import frames
from lab.syncstore.errors import Storage, TooLarge
from lab.syncstore.log import Log
from tests.syncstore.disks import (
    Broken,
    contents,
    end_of,
    killed,
    read,
    segments,
    snapshot_of,
    snapshots,
    used,
    written,
)

ONE, TWO, THREE = b"one", b"the second", b"3"


def test_entries_and_positions_outlast_restarts(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "disk")
    assert log.blank and contents(log) == [] and log.durable == 0
    first = log.append(ONE)
    assert (log.appended, log.written, log.durable, log.pending_bytes) == (first, 0, 0, first)
    assert log.sync() == first == end_of([ONE])
    log.append(TWO)
    log.close()
    log = Log.open(tmp_path / "disk")
    assert not log.blank and contents(log) == [ONE, TWO] and log.durable == end_of([ONE, TWO])
    assert log.append(THREE) == end_of([ONE, TWO, THREE])
    log.close()
    assert read(tmp_path / "disk") == [ONE, TWO, THREE]


def test_recovered_tells_snapshot_from_entries(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    log.append(ONE)
    snapshot_of(log, b"all", b"so far")
    log.append(TWO)
    log.close()
    log = Log.open(tmp_path)
    assert list(log.recovered()) == [("snapshot", b"all"), ("snapshot", b"so far"), ("entry", TWO)]
    assert log.bytes_since_snapshot == end_of([TWO])
    log.close()


def test_whatever_was_not_synced_is_what_a_crash_may_take(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "disk")
    log.append(ONE)
    log.sync()
    log.append(TWO)
    assert read(killed(tmp_path / "disk")) == [ONE]
    assert log.write_unsynced() == log.written == end_of([ONE, TWO]) and log.durable == end_of([ONE])
    assert read(killed(tmp_path / "disk")) == [ONE, TWO]
    log.close()


def test_a_torn_tail_is_passed_over_wherever_it_is_torn(tmp_path: Path) -> None:
    disk = written(tmp_path / "disk", [ONE], [TWO, THREE])
    whole = segments(disk)[0].stat().st_size
    for cut in range(1, len(THREE) + 8 + 1):
        torn = killed(disk)
        os.truncate(segments(torn)[0], whole - cut)
        left = max(0, used(segments(torn)[0]) - (whole - len(THREE) - 8))
        log = Log.open(torn)
        assert contents(log) == [ONE, TWO], cut
        assert log.torn_bytes == left, cut
        assert log.append(b"anew") == end_of([ONE, TWO, b"anew"])
        log.close()
        assert read(torn) == [ONE, TWO, b"anew"], cut


def test_a_file_is_filled_ahead_and_cut_when_it_is_left(tmp_path: Path) -> None:
    """A sync finds room that is there: were it to grow the file, it would wait for the file system's journal."""
    log = Log.open(tmp_path / "disk", segment_bytes=4096)
    log.append(ONE)
    log.sync()
    size = segments(tmp_path / "disk")[0].stat().st_size
    for _ in range(20):
        log.append(TWO)
        log.sync()
        assert segments(tmp_path / "disk")[0].stat().st_size == size
    crashed = Log.open(killed(tmp_path / "disk"))
    assert contents(crashed) == [ONE, *[TWO] * 20]
    assert crashed.torn_bytes == 0, "zeros ahead are no torn tail"
    crashed.close()
    for _ in range(100):
        log.append(b"much" * 20)
        log.sync()
    *left, _ = segments(tmp_path / "disk")
    assert left
    assert all(one.stat().st_size == used(one) for one in left)
    log.close()
    assert all(one.stat().st_size == used(one) for one in segments(tmp_path / "disk"))
    assert read(tmp_path / "disk") == [ONE, *[TWO] * 20, *[b"much" * 20] * 100]


@pytest.mark.parametrize("kept", [1, 20, 45])
def test_a_torn_group_may_leave_zeros_where_it_was_to_be(tmp_path: Path, kept: int) -> None:
    log = Log.open(tmp_path / "disk")
    for group in (ONE, TWO):
        log.append(group)
        log.sync()
    file = segments(killed(tmp_path / "disk"))[0]
    content = file.read_bytes()
    start = used(file) - (40 + 8 + len(TWO))
    file.write_bytes(content[: start + kept] + bytes(len(content) - start - kept))
    torn = Log.open(file.parent)
    assert contents(torn) == [ONE]
    torn_from = start + 40 * (kept > 40)  # behind the group's mark, where that is whole
    assert torn.torn_bytes == len(content[torn_from : start + kept].rstrip(b"\0"))
    torn.close()
    log.close()


TORN = {
    "nothing but zeros": lambda tail: bytes(len(tail)),
    "zeros behind": lambda tail: tail + bytes(5000),
    "noise behind": lambda tail: tail + bytes(range(256)) * 20,
    "a length without end": lambda tail: b"\x7f\xff\xff\xff" + tail[4:],
    "an old piece behind": lambda tail: tail + tail,
    "the first page missing, the rest there": lambda tail: bytes(50) + tail[50:],
    "one bit": lambda tail: tail[:60] + bytes([tail[60] ^ 1]) + tail[61:],
}


@pytest.mark.parametrize("name", TORN)
def test_a_tail_that_no_one_was_told_of_may_look_like_anything(tmp_path: Path, name: str) -> None:
    disk = written(tmp_path / "disk", [ONE], [TWO, b"long" * 20, THREE])
    file = segments(disk)[0]
    synced = file.stat().st_size - end_of([TWO, b"long" * 20, THREE]) - 40  # without the group's mark
    content = file.read_bytes()
    file.write_bytes(content[:synced] + TORN[name](content[synced:]))
    kept = read(disk)
    assert kept[:1] == [ONE] and kept == [ONE, TWO, b"long" * 20, THREE][: len(kept)]


def test_every_bit_flipped_before_a_synced_place_is_refused_with_file_and_offset(tmp_path: Path) -> None:
    disk = written(tmp_path / "disk", [ONE], [TWO], seal=True)
    file = segments(disk)[0]
    sound = file.read_bytes()
    first = sound.index(ONE) - 8
    for at in range(len(sound) - 40):  # all but the seal
        file.write_bytes(sound[:at] + bytes([sound[at] ^ 4]) + sound[at + 1 :])
        with pytest.raises(Storage, match=re.escape(str(file))) as raised:
            Log.open(disk)
        assert "damaged at offset" in str(raised.value) and "--rebuild" in str(raised.value)
        if first <= at < first + 8 + len(ONE):
            assert f"damaged at offset {first}:" in str(raised.value)
    file.write_bytes(sound)
    assert read(disk) == [ONE, TWO]


def test_rebuild_sets_the_disk_aside_and_begins_empty(tmp_path: Path) -> None:
    disk = written(tmp_path / "disk", [ONE], [TWO], seal=True)
    for number in (1, 2):
        before = segments(disk)[0].read_bytes()
        log = Log.open(disk, rebuild=True)
        assert log.blank and contents(log) == []
        assert segments(disk / f"set-aside-{number}")[0].read_bytes() == before
        log.append(THREE)
        log.close()
    assert read(disk) == [THREE]
    assert read(disk / "set-aside-1") == [ONE, TWO]


def _long_history(directory: Path) -> Path:
    return written(directory, [ONE] * 5, [TWO] * 5, [THREE] * 5, seal=True, segment_bytes=50)


def test_rebuild_interrupted_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in range(3):
        disk = _long_history(tmp_path / f"disk{step}")
        with monkeypatch.context() as patch:
            Broken(patch, "rename", after=step)
            with pytest.raises(Storage, match="can't be set aside"):
                Log.open(disk, rebuild=True)
        if step:
            with pytest.raises(Storage, match="missing"):
                Log.open(disk)
        else:
            assert len(read(disk)) == 15


@pytest.mark.parametrize("gone", [0, 1])
def test_a_missing_segment_is_refused(tmp_path: Path, gone: int) -> None:
    disk = _long_history(tmp_path / "disk")
    assert len(segments(disk)) == 3
    segments(disk)[gone].unlink()
    with pytest.raises(Storage, match=r"the entries from \d+ to \d+, (before|behind) log-[-\d]*, are missing"):
        Log.open(disk)


def test_a_middle_segment_that_ends_early_is_refused(tmp_path: Path) -> None:
    disk = _long_history(tmp_path / "disk")
    middle = segments(disk)[1]
    os.truncate(middle, middle.stat().st_size - 1)
    with pytest.raises(Storage, match=f"{middle}: damaged at offset .*next segment starts"):
        Log.open(disk)


def test_segments_of_two_disks_are_refused(tmp_path: Path) -> None:
    disk = _long_history(tmp_path / "disk")
    stranger = written(tmp_path / "other", [ONE])
    (disk / segments(stranger)[0].name.replace("00000001", "00000009")).write_bytes(segments(stranger)[0].read_bytes())
    with pytest.raises(Storage, match="aren't of one disk"):
        Log.open(disk)


def test_the_birth_of_a_segment_may_be_torn_anywhere(tmp_path: Path) -> None:
    disk = written(tmp_path / "disk", [ONE])
    name = f"log-00000002-{end_of([ONE]):020d}"
    born = frames.header(frames.SEGMENT, end_of([ONE]), b"s" * 16)
    for length in range(len(born) + 1):
        torn = killed(disk)
        (torn / name).write_bytes(born[:length])
        assert read(torn) == ([ONE])


def test_one_process_at_a_time(tmp_path: Path) -> None:
    log = Log.open(tmp_path)
    with pytest.raises(Storage, match=f"process {os.getpid()} has this directory open"):
        Log.open(tmp_path)
    log.close()
    log.close()  # twice does no harm
    Log.open(tmp_path).close()


def test_a_directory_that_can_not_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Storage, match=r"expected a directory this process may write: .*; name another directory\."):
        Log.open(tmp_path / "file")
    written(tmp_path / "disk", [ONE])
    refusal = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(refusal))
    with pytest.raises(Storage, match="Permission denied; give this user the right"):
        Log.open(tmp_path / "disk")


def test_a_refused_disk_is_let_go(tmp_path: Path) -> None:
    disk = _long_history(tmp_path / "disk")
    segments(disk)[0].unlink()
    for _ in range(2):
        with pytest.raises(Storage, match="missing"):
            Log.open(disk)
    Log.open(disk, rebuild=True).close()


@pytest.mark.parametrize("length", [0, frames.PAYLOAD_BYTES + 1])
def test_an_entry_has_a_length_within_limits(tmp_path: Path, length: int) -> None:
    log = Log.open(tmp_path)
    with pytest.raises(TooLarge, match=f"found {length}"):
        log.append(bytes(length))
    log.append(bytes(frames.PAYLOAD_BYTES))
    log.close()
    assert len(read(tmp_path)[0]) == frames.PAYLOAD_BYTES


def test_segments_rotate_and_a_snapshot_removes_those_it_covers(tmp_path: Path) -> None:
    log = Log.open(tmp_path, segment_bytes=100)
    for number in range(20):
        log.append(b"entry %d" % number)
        log.sync()
    assert len(segments(tmp_path)) == 10
    snapshot_of(log, b"first")
    assert len(segments(tmp_path)) == 0  # the last had just been closed
    log.append(ONE)
    log.sync()
    snapshot_of(log, b"second")
    log.append(TWO)
    log.close()
    assert len(snapshots(tmp_path)) == len(segments(tmp_path)) == 1
    assert read(tmp_path) == [b"second", TWO]


def test_what_may_not_be_durable_is_written_again_at_the_next_start(tmp_path: Path) -> None:
    """After a failed sync the system may show what the medium does not hold."""
    disk = written(tmp_path / "disk", [ONE], [TWO])
    log = Log.open(disk)
    assert log.durable == end_of([ONE, TWO])
    log.append(THREE)
    log.close()
    old = segments(disk)[0]
    os.truncate(old, old.stat().st_size - end_of([TWO]))  # it never was there
    assert read(disk) == [ONE, TWO, THREE]


WRITER = """
import sys
from io import BytesIO
from pathlib import Path
from lab.syncstore.log import Log
log = Log.open(Path(sys.argv[1]), segment_bytes=20_000)
number = 0
while True:
    for _ in range(7):
        number += 1
        log.append(b"%d" % number * 20)
    print(number, log.sync(), flush=True)
    if number % 700 == 0:
        writer = log.begin_snapshot()
        for each in range(1, number + 1):
            writer.write(b"%d" % each * 20)
        writer.commit()
"""


def test_kill_9_takes_nothing_that_was_synced(tmp_path: Path) -> None:
    for turn in range(3):
        disk = tmp_path / f"disk{turn}"
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(disk)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        said = b""
        while said.count(b"\n") < 80 + 67 * turn:
            assert select.select([process.stdout], [], [], 60)[0], "the writer says nothing"
            said += os.read(process.stdout.fileno(), 65536)
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
        process.wait()
        process.stdout.close()
        number, position = said[: said.rindex(b"\n")].split(b"\n")[-1].split()
        log = Log.open(disk)
        kept = contents(log)
        assert log.durable >= int(position)
        log.close()
        assert len(kept) >= int(number)
        assert kept == [b"%d" % each * 20 for each in range(1, len(kept) + 1)]
