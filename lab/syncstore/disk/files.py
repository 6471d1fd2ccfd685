"""The system calls of the disk, each told as a sentence when it fails.

Owns the lock on a directory and what "durable" takes on this system. Knows nothing of frames.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.syncstore.errors import Storage

REBUILD = "restore the file, or start with --rebuild to set this disk aside and join as a blank node"


def datasync(descriptor: int) -> None:
    """Return when the file's data, and what it takes to find it, is on the medium. Raises OSError."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, where fsync stops at the drive's own cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


def sync_directory(directory: Path) -> None:
    """Return when files made, renamed or removed in it stay so through a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(descriptor: int, content: bytes) -> None:
    """Write every byte, however few the system takes at a time. Raises OSError."""
    done = os.write(descriptor, content)
    while done < len(content):
        done += os.write(descriptor, memoryview(content)[done:])


def remove(paths: list[Path], directory: Path) -> None:
    """Remove those that are there, for good. Raises OSError."""
    for path in paths:
        path.unlink(missing_ok=True)
    if paths:
        sync_directory(directory)


def remove_if_possible(path: Path) -> None:
    """Tidy up after a failure: what stays is harmless."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


@contextmanager
def told(what: str) -> Iterator[None]:
    """The system's refusals in here are raised as Storage, as `what: reason; what to do`."""
    try:
        yield
    except OSError as error:
        raise sentence(what, error) from error


def sentence(what: str, error: OSError) -> Storage:
    """What the system refused, and what to do about it."""
    return Storage(f"{what}: {error.strerror or error}{_ADVICE.get(error.errno or 0, '')}.")


def lock(directory: Path) -> int:
    """Make the directory and hold it until the returned descriptor is closed or the process ends.

    Raises Storage where another process holds it, or where it can't be written.
    """
    path = directory / "lock"
    with told(f"{directory}: expected a directory this process may write"):
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        by = f" {holder}" if holder else ""
        raise Storage(
            f"{directory}: process{by} has this directory open; stop it, or give this node a directory of its own."
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:  # whose number it is can be done without; the lock is held
            return descriptor
        os.close(descriptor)
        raise sentence(f"{directory}: can't be locked", error) from error
    return descriptor


_ADVICE = {
    errno.ENOSPC: "; free some space: what waits is written then",
    errno.EDQUOT: "; raise the quota: what waits is written then",
    errno.EIO: "; look at the disk: what waits is written to a new file",
    errno.EACCES: "; give this user the right to read and write there, or name another directory",
    errno.EPERM: "; give this user the right to read and write there, or name another directory",
    errno.EROFS: "; mount it writable, or name another directory",
    errno.ENOTDIR: "; name another directory",
    errno.EEXIST: "; name another directory",
}
