"""Damages disks at random and opens them: `python -m tests.syncstore.fuzz_log --seconds 60 [--seed N]`.

Whatever lies on the disk, opening it raises nothing but Storage and takes bounded memory; what it
yields is a beginning of what was appended, with all that was durable before the damaged place.
A failing seed prints the command that replays it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

from lab.syncstore.disk import files, frames
from lab.syncstore.errors import Storage
from lab.syncstore.log import Log

MEMORY_BYTES = 24 * 2**20  # buffers of 1 MiB and one longest payload, twice


@dataclass
class Disk:
    """What was appended, and how many of them were durable at the end. Its snapshots hold, as chunks,
    the entries they stand for."""

    entries: list[bytes]
    durable: int
    directory: Path


def grown(directory: Path, chance: random.Random) -> Disk:
    """A disk with a random history: groups, rotations, failed writes, snapshots, restarts, and a crash."""
    entries: list[bytes] = []
    log = Log.open(directory, segment_bytes=chance.choice([200, 2_000, 100_000]))
    for _ in range(chance.randrange(1, 40)):
        what = chance.random()
        if what < 0.75:
            for _ in range(chance.randrange(1, 6)):
                entries.append(b"%d:" % len(entries) + chance.randbytes(chance.choice([0, 3, 100, 400])))
                log.append(entries[-1])
        if what < 0.5:
            log.sync()
        elif what < 0.6:
            log.write_unsynced()
        elif what > 0.9:
            _snapshot(log, entries)
        elif what > 0.85:
            log.close()
            log = Log.open(directory, segment_bytes=chance.choice([200, 2_000, 100_000]))
    durable = _count(entries, log.durable)
    if chance.random() < 0.5:
        log.close()
        return Disk(entries, len(entries), directory)
    copy = directory.with_name("crashed")
    shutil.copytree(directory, copy)
    log.close()
    return Disk(entries, durable, copy)


def _snapshot(log: Log, entries: list[bytes]) -> None:
    writer = log.begin_snapshot()
    for payload in entries:
        writer.write(payload)
    writer.commit()


def _count(entries: list[bytes], position: int) -> int:
    count = 0
    while count < len(entries) and position >= 8 + len(entries[count]):
        position -= 8 + len(entries[count])
        count += 1
    return count


def damaged(directory: Path, chance: random.Random) -> tuple[Path, int, str]:
    """Damage one file; (file, first offset that may differ, what was done)."""
    path = chance.choice(sorted(path for path in directory.iterdir() if path.name != "lock"))
    content = bytearray(path.read_bytes())
    at = chance.randrange(len(content)) if content else 0
    length = min(len(content) - at, chance.choice([1, 4, 16, 64, 1000]))
    kind = chance.choice(["flip", "flip", "zero", "cut", "tail", "repeat", "drop", "huge", "append", "remove"])
    match kind:
        case "flip":
            content[at] ^= 1 << chance.randrange(8)
        case "zero":
            content[at : at + length] = bytes(length)
        case "cut":
            content[at : at + length] = b""
        case "tail" | "drop":
            del content[at:]
        case "repeat":
            content[at:at] = content[at : at + length]
        case "huge":
            content[at : at + 4] = chance.choice([0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 8 * 2**20]).to_bytes(4, "big")
        case "append":
            at = len(content)
            content += chance.randbytes(length)
        case "remove":
            path.unlink()
            return path, 0, kind
    path.write_bytes(content)
    return path, at, kind


def check(disk: Disk, before: Path, damage: tuple[Path, int, str]) -> str:
    """Open the damaged disk and judge; "refused" or "opened". Raises AssertionError."""
    path, at, kind = damage
    whole = _whole_before(before, path, at)
    proven = _proven_behind(disk, before / path.name, at) if kind == "flip" else 0
    tracemalloc.reset_peak()
    base = tracemalloc.get_traced_memory()[0]
    try:
        log = Log.open(disk.directory)
    except Storage as error:
        assert str(path.parent) in str(error), error
        assert not _merely_torn(before, path, at), f"refused, though nothing durable is behind the damage: {error}"
        return "refused"
    try:
        kept = _recovered(log)
    finally:
        log.close()
    assert tracemalloc.get_traced_memory()[1] - base < MEMORY_BYTES
    assert kept == disk.entries[: len(kept)], "what was never appended, or not in this order"
    sure = min(disk.durable, max(whole, proven))
    assert len(kept) >= sure, f"{sure - len(kept)} entries lost that were durable before the damaged place"
    return "opened"


def _recovered(log: Log) -> list[bytes]:
    """Chunks and entries alike: together they are the entries."""
    return [payload for _, payload in log.recovered()]


def _whole_before(before: Path, path: Path, at: int) -> int:
    """How many entries are left when the file ends where the damage begins, and no later segment is there."""
    twin = before.with_name("judge")
    shutil.copytree(before, twin)
    try:
        _cut(twin, path.name, at)
        log = Log.open(twin)
        count = len(_recovered(log))
        log.close()
        return count
    except Storage:
        return 0  # nothing can be read without what is damaged
    finally:
        shutil.rmtree(twin)


def _cut(twin: Path, name: str, at: int) -> None:
    if not name.startswith("log-"):
        (twin / name).unlink()
        return
    for later in twin.glob("log-*"):
        if later.name > name:
            later.unlink()
    with (twin / name).open("r+b") as content:
        content.truncate(at)


def _merely_torn(before: Path, path: Path, at: int) -> bool:
    """Nothing behind the damage, which is in the newest segment, says that the damaged place was durable."""
    if path.name != max((log.name for log in before.glob("log-*")), default=""):
        return False
    content = (before / path.name).read_bytes()
    named = frames.read_header(frames.SEGMENT, content[: frames.HEADER_BYTES])
    if named is None or at < frames.HEADER_BYTES:
        return False
    walk = frames.Walk(BytesIO(content[frames.HEADER_BYTES : at]), named[1], named[0])
    for _ in walk.payloads():
        pass
    return frames.said_behind(BytesIO(content[at:]), named[1])[0] <= walk.position


def _proven_behind(disk: Disk, sound: Path, at: int) -> int:
    """How many entries a whole mark behind the damage, or a later segment, says were durable."""
    if not sound.name.startswith("log-"):
        return 0
    if later := [log.name for log in sound.parent.glob("log-*") if log.name > sound.name]:
        return _count(disk.entries, int(min(later).rsplit("-")[-1]))
    content = sound.read_bytes()
    named = frames.read_header(frames.SEGMENT, content[: frames.HEADER_BYTES])
    return _count(disk.entries, frames.said_behind(BytesIO(content[at + 1 :]), named[1])[0]) if named else 0


def one(seed: int) -> str:
    """One disk, damaged up to three times, each time from its sound state."""
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-log-"))
    try:
        disk = grown(folder / "disk", chance)
        before = folder / "before"
        shutil.copytree(disk.directory, before)
        said = []
        for _ in range(3):
            if any(path.name != "lock" for path in disk.directory.iterdir()):
                said.append(check(disk, before, damaged(disk.directory, chance)))
            shutil.rmtree(disk.directory)
            shutil.copytree(before, disk.directory)
        return " ".join(said)
    finally:
        shutil.rmtree(folder)


@contextmanager
def without_waiting() -> Iterator[None]:
    """No power is cut in here, so nothing need be synced."""
    with patch.object(files, "datasync", lambda _: None), patch.object(files, "sync_directory", lambda _: None):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, default=None, help="this one alone")
    options = parser.parse_args()
    if options.seed is not None:
        print(one(options.seed))
        return
    until, seed, said = time.monotonic() + options.seconds, options.first, ""
    while time.monotonic() < until:
        (tracemalloc.start if seed % 10 == 0 else tracemalloc.stop)()  # it slows everything down
        try:
            with without_waiting():
                said += one(seed) + " "
        except Exception:
            print(f"seed {seed} fails; replay: python -m tests.syncstore.fuzz_log --seed {seed}")
            raise
        seed += 1
    print(f"{seed - options.first} disks: opened {said.count('opened')}, refused {said.count('refused')} times")


if __name__ == "__main__":
    main()
