"""Real nodes in processes of their own, as a user starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.syncstore.nodes import HOST, free_ports

ROOT = Path(__file__).parents[2]


class Process:
    """A node: `python -m lab.syncstore serve …` in a directory. port: its clients'."""

    def __init__(self, directory: Path, port: int, *arguments: str) -> None:
        self.port, self._directory, self._arguments = port, directory, arguments
        self.url = f"syncstore://{HOST}:{port}"
        self.said = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "lab.syncstore", "serve", *self._arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, cwd=self._directory, env=environment, stderr=subprocess.PIPE, text=True
        )

    def ready(self, patience_s: float = 30) -> None:
        """Return when it is."""
        until_s = time.monotonic() + patience_s
        while not self.is_ready():
            assert self._process and self._process.poll() is None, f"it ended: {self.end()} {self.said}"
            assert time.monotonic() < until_s, "the node did not become ready"
            time.sleep(0.02)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port + 3}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a power switch does."""
        self.signal(signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for its end; its exit code. said: all that it told."""
        assert self._process is not None
        self.said += self._process.communicate(timeout=30)[1]
        return self._process.returncode

    def stop(self) -> None:
        """Whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        elif self._process is not None and self._process.stderr is not None:
            self._process.stderr.close()


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    """Started and ready; ended afterwards, whatever happens."""
    try:
        for one in processes:
            one.start()
        for one in processes:
            one.ready()
        yield
    finally:
        for one in processes:
            one.stop()


def region(directory: Path, *names: str) -> list[Process]:
    """Nodes of one region, started by hand."""
    ports = {name: free_ports(4)[0] for name in names}
    peers = ",".join(f"{name}={HOST}:{port}" for name, port in ports.items())
    return [Process(directory, port, "--node", name, "--peers", peers) for name, port in ports.items()]
