"""Ports for one run, so that two runs on one machine never want the same.

A run takes a block of ports for its whole life by locking the block's file (the system lets go of
the lock when the process dies), and within the block only ports that can be bound right now.
20000–31999 lies outside the range from which the system picks the ends of outgoing connections.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from lab.errors import Refused

FIRST, LAST, BLOCK = 20_000, 31_999, 600


class PortBlock:
    """Free ports, one after another; `close` gives the block back."""

    def __init__(self) -> None:
        self._lock, self._ports = _first_free_block()

    def take(self) -> int:
        """A port that is free now. Raises Refused when the block is used up."""
        for port in self._ports:
            if _bindable(port):
                return port
        raise Refused(f"no free port left among the {BLOCK} of this run; stop what listens on {FIRST}–{LAST}.")

    def close(self) -> None:
        self._lock.release()


def _first_free_block() -> tuple[FileLock, Iterator[int]]:
    folder = user_cache_path("isolation-lab", ensure_exists=True) / "ports"
    folder.mkdir(exist_ok=True)
    for begin in range(FIRST, LAST - BLOCK + 2, BLOCK):
        lock = FileLock(folder / f"{begin}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return lock, iter(range(begin, begin + BLOCK))
    raise Refused(f"all port blocks between {FIRST} and {LAST} are taken by other runs; wait, or run `lab clean`.")


def _bindable(port: int) -> bool:
    """Whether a server could listen there: like ours, and unlike a plain bind, not put off by what
    an earlier run's connections left in TIME_WAIT for a minute."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
        return True
