"""The log against a list: whatever happens, in whatever order, what comes back is a beginning of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lab.syncstore.disk import files
from lab.syncstore.errors import Storage
from lab.syncstore.log import Log
from tests.syncstore import fuzz_log
from tests.syncstore.disks import contents, end_of, segments


class OneDisk(RuleBasedStateMachine):
    """entries: all that the disk must or may hold. durable: how many of them it must."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="one-disk-"))
        self.generation, self.number = 0, 0
        self.entries: list[bytes] = []
        self.durable, self.written = 0, 0
        self.broken = False
        self.meanwhile: list[int] = []
        self.synced_bytes: dict[str, int] = {}  # of each file, as far as the medium is sure to hold it
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(files, "datasync", self._datasync)
        self.patch.setattr(files, "sync_directory", lambda _: None)

    def _datasync(self, descriptor: int) -> None:
        lengths, self.meanwhile = self.meanwhile, []
        if lengths:
            self.append(lengths)
            self.log.write_unsynced()
        if self.broken:
            raise OSError(5, "broken")
        file = os.fstat(descriptor)
        for path in self.directory.iterdir():
            if path.stat().st_ino == file.st_ino:
                self.synced_bytes[path.name] = file.st_size

    @property
    def directory(self) -> Path:
        return self.folder / str(self.generation)

    @initialize(segment_bytes=st.sampled_from([1, 150, 1_000, 10**6]))
    def begin(self, segment_bytes: int) -> None:
        self.segment_bytes = segment_bytes
        self.log = Log.open(self.directory, segment_bytes=segment_bytes)

    @rule(lengths=st.lists(st.integers(0, 90), min_size=1, max_size=6))
    def append(self, lengths: list[int]) -> None:
        for length in lengths:
            self.number += 1
            self.entries.append(b"%d:" % self.number + b"x" * length)
            assert self.log.append(self.entries[-1]) == end_of(self.entries)

    @rule(meanwhile=st.lists(st.integers(0, 90), max_size=3))
    def sync(self, meanwhile: list[int]) -> None:
        """meanwhile: lengths of what is appended, and handed over if possible, while the disk is waited for."""
        self.meanwhile = meanwhile
        before = len(self.entries)
        try:
            assert self.log.sync() >= end_of(self.entries[:before])
            self.durable = self._count(self.log.durable)
        except Storage:
            assert self.broken
        self.written = self._count(self.log.written)
        self.meanwhile = []

    def _count(self, position: int) -> int:
        return next(count for count in range(len(self.entries) + 1) if end_of(self.entries[:count]) == position)

    @rule()
    def write_unsynced(self) -> None:
        self.written = self._count(self.log.write_unsynced())

    @rule(broken=st.booleans())
    def disk_breaks_or_works_again(self, broken: bool) -> None:
        self.broken = broken

    @precondition(lambda self: not self.broken)
    @rule()
    def snapshot(self) -> None:
        writer = self.log.begin_snapshot()
        for payload in self.entries:
            writer.write(payload)
        if not self.entries:
            return writer.abort()
        writer.commit()
        self.durable = self.written = len(self.entries)  # in the snapshot
        return None

    @precondition(lambda self: self.broken and self.entries)
    @rule()
    def forget_then_snapshot(self) -> None:
        assert self.log.forget_pending()
        self.broken = False
        self.snapshot()

    @rule()
    def restart(self) -> None:
        self.broken = False
        self.log.close()
        self.durable = self.written = len(self.entries)
        self._open()

    @rule()
    def kill(self) -> None:
        self._leave()
        self._open()

    @rule(seed=st.integers(0, 2**32))
    def power_cut(self, seed: int) -> None:
        """Of what the medium is not sure to hold, any page is there, or missing, or an old one."""
        random = Random(seed)
        self._leave()
        self.written = self.durable
        for path in segments(self.directory):
            sure = self.synced_bytes.get(path.name, 0)
            content = bytearray(path.read_bytes())
            del content[random.randint(min(sure, len(content)), len(content)) :]
            for at in range(sure, len(content), 16):
                if random.random() < 0.2:
                    piece = content[at : at + 16]
                    content[at : at + 16] = random.choice([bytes(len(piece)), random.randbytes(len(piece))])
            path.write_bytes(content)
        self._open()

    def _leave(self) -> None:
        """Go on with a copy, as the disk is now."""
        self.broken = False
        shutil.copytree(self.directory, self.folder / str(self.generation + 1))
        self.log.close()
        self.generation += 1

    def _open(self) -> None:
        self.log = Log.open(self.directory, segment_bytes=self.segment_bytes)
        kept = contents(self.log)
        assert kept == self.entries[: len(kept)]
        assert len(kept) >= max(self.durable, self.written)
        assert self.log.durable == self.log.appended == end_of(kept)
        self.entries = self.entries[: len(kept)]
        self.durable = self.written = len(kept)

    @invariant()
    def positions_are_in_order(self) -> None:
        if hasattr(self, "log"):
            assert self.log.durable <= self.log.written <= self.log.appended == end_of(self.entries)

    def teardown(self) -> None:
        self.broken = False
        if hasattr(self, "log"):
            self.log.close()
        self.patch.undo()
        shutil.rmtree(self.folder)


OneDisk.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestOneDisk = OneDisk.TestCase

FOUND: dict[str, int] = {}
"""What `fuzz_log` has found, each by the seed that shows it."""


@pytest.mark.parametrize("seed", [*range(40), *FOUND.values()])
def test_damaged_disks(seed: int) -> None:
    with fuzz_log.without_waiting():
        fuzz_log.one(seed)
