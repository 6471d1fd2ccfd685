"""What the processes of a benchmark use: CPU and memory, as the system tells it.

Servers are children of this process, each in a working directory of its own; that is how they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

SERVERS, CLIENT = "servers", "client"


def nodes(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """(node, its process) of every server whose directory lies in `folder`."""
    folder = folder.resolve()
    for process in psutil.Process().children():
        with suppress(psutil.Error, OSError):
            directory = Path(process.cwd())
            if directory.parent == folder:
                yield directory.name, process


def cpu_s(folder: Path) -> dict[str, float]:
    """node → CPU-seconds so far."""
    found = {}
    for name, process in nodes(folder):
        with suppress(psutil.Error):
            found[name] = _used_s(process)
    return found


def rss_bytes(folder: Path, node: str) -> int:
    """Memory of one node that is resident. Raises StopIteration where it isn't running."""
    return next(int(process.memory_info().rss) for name, process in nodes(folder) if name == node)


def meter(folder: Path) -> Callable[[], dict[str, float]]:
    """A function that tells the CPU-seconds so far of all servers there now, and of this process."""
    servers, client = [process for _, process in nodes(folder)], psutil.Process()

    def used() -> dict[str, float]:
        return {SERVERS: sum(map(_used_s, servers)), CLIENT: _used_s(client)}

    return used


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
