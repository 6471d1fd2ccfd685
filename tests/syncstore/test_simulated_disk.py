"""The disk in virtual time says what the real one says, and crashes as a disk may."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from lab.syncstore.disk import files
from lab.syncstore.errors import Storage, TooLarge
from lab.syncstore.journal import Journal
from lab.syncstore.log import Log
from lab.syncstore.simulate.disk import SimulatedLog
from tests.syncstore.disks import end_of, killed

ENTRIES = [b"one", b"the second", b"3", b"four"]


def _synced(log: SimulatedLog, *payloads: bytes) -> SimulatedLog:
    for payload in payloads:
        log.append(payload)
    log.begin_sync()
    log.finish_sync()
    return log


def _said(log: Journal) -> tuple[object, ...]:
    return (
        log.blank,
        log.appended,
        log.written,
        log.durable,
        log.pending_bytes,
        log.bytes_since_snapshot,
        log.failing is None,
    )


def _sync(log: Log | SimulatedLog) -> None:
    if isinstance(log, Log):
        log.sync()
    else:
        log.begin_sync()
        log.finish_sync()


@pytest.mark.parametrize("seed", range(25))
def test_it_says_what_the_real_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance, broken = Random(seed), [False]

    def datasync(_: int) -> None:
        if broken[0]:
            raise OSError(5, "broken")

    monkeypatch.setattr(files, "datasync", datasync)
    monkeypatch.setattr(files, "sync_directory", lambda _: None)
    directory = tmp_path / "disk"
    real, simulated = Log.open(directory, segment_bytes=300), SimulatedLog()
    for _ in range(60):
        step = chance.choice(["append", "append", "sync", "snapshot", "break", "mend", "forget", "restart"])
        if step == "append":
            payload = chance.randbytes(chance.randint(1, 90))
            assert real.append(payload) == simulated.append(payload)
        elif step in ("break", "mend"):
            broken[0] = simulated.broken = step == "break"
        elif step == "forget" and broken[0]:
            assert real.forget_pending() and simulated.forget_pending()
        elif step == "snapshot" and real.appended:
            for log in (real, simulated):
                writer = log.begin_snapshot()
                writer.write(b"up to %d" % writer.position)
                try:
                    writer.commit()
                except Storage:
                    assert broken[0]
        elif step == "restart" and not broken[0] and real.failing is None:
            directory = killed(directory)
            real.close()
            real, before = Log.open(directory, segment_bytes=300), list(simulated.recovered())
            recovered = simulated.crash(chance, torn=False)
            assert list(real.recovered()) == recovered == before[: len(recovered)]
        elif step == "sync":
            for log in (real, simulated):
                try:
                    _sync(log)
                except Storage:
                    assert log.failing
        assert _said(real) == _said(simulated), step
    real.close()


def test_a_kill_keeps_what_was_written_and_a_power_cut_what_was_durable_and_some_more() -> None:
    kept: dict[bool, set[int]] = {True: set(), False: set()}
    for torn in kept:
        for seed in range(60):
            log = _synced(SimulatedLog(), ENTRIES[0])
            log.append(ENTRIES[1])
            log.append(ENTRIES[2])
            log.write_unsynced()
            log.append(ENTRIES[3])
            found = log.crash(Random(seed), torn)
            assert found == [("entry", payload) for payload in ENTRIES[: len(found)]]
            assert log.durable == log.appended == end_of(ENTRIES[: len(found)])
            kept[torn].add(len(found))
    assert kept == {True: {1, 2, 3}, False: {3}}


def test_a_power_cut_in_mid_sync() -> None:
    log = _synced(SimulatedLog(), ENTRIES[0])
    log.append(ENTRIES[1])
    assert log.begin_sync() == end_of(ENTRIES[:2])
    with pytest.raises(RuntimeError, match="finish that one first"):
        log.begin_sync()
    assert log.append(ENTRIES[2]) == end_of(ENTRIES[:3])
    assert {len(log.copy().crash(Random(seed), torn=True)) for seed in range(20)} == {1, 2}
    assert log.finish_sync() == end_of(ENTRIES[:2])
    assert {len(log.copy().crash(Random(seed), torn=True)) for seed in range(20)} == {2}


@pytest.mark.parametrize("fault", ["full", "broken"])
def test_a_failed_sync_loses_nothing(fault: str) -> None:
    log = _synced(SimulatedLog(), ENTRIES[0])
    setattr(log, fault, True)
    log.append(ENTRIES[1])
    log.begin_sync()
    with pytest.raises(Storage, match=fault):
        log.finish_sync()
    assert log.failing and log.durable == log.written == end_of(ENTRIES[:1])
    with pytest.raises(Storage, match="full or broken"):
        log.begin_snapshot().commit()
    setattr(log, fault, False)
    log.begin_sync()
    assert log.finish_sync() == end_of(ENTRIES[:2]) and log.failing is None


def test_a_snapshot_counts_once_it_is_committed() -> None:
    log = _synced(SimulatedLog(), *ENTRIES[:2])
    half = log.begin_snapshot()
    half.write(b"half")
    assert [kind for kind, _ in log.crash(Random(1), torn=True)] == ["entry", "entry"]
    with pytest.raises(Storage, match="begin another"):
        half.commit()
    whole = log.begin_snapshot()
    whole.write(b"both")
    _synced(log, ENTRIES[2])
    whole.commit()
    assert log.crash(Random(1), torn=True) == [("snapshot", b"both"), ("entry", ENTRIES[2])]
    assert log.bytes_since_snapshot == end_of(ENTRIES[2:3])


def test_an_old_disk_and_a_new_one() -> None:
    log = _synced(SimulatedLog(), *ENTRIES[:2])
    old = log.copy()
    _synced(log, *ENTRIES[2:])
    assert old.crash(Random(1), torn=True) == [("entry", payload) for payload in ENTRIES[:2]]
    assert len(log.crash(Random(1), torn=True)) == 4 and not log.blank
    log.wipe()
    assert log.blank and log.crash(Random(1), torn=True) == [] and log.durable == 0


def test_an_old_disk_is_put_back_in_health() -> None:
    log = _synced(SimulatedLog(), ENTRIES[0])
    log.full = log.broken = True
    old = log.copy()
    assert old.crash(Random(1), torn=True) == [("entry", ENTRIES[0])]
    _synced(old, ENTRIES[1])
    assert log.full and len(old.crash(Random(1), torn=True)) == 2


def test_an_entry_has_a_length() -> None:
    with pytest.raises(TooLarge):
        SimulatedLog().append(b"")
