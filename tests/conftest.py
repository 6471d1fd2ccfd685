"""What every test starts from: the signals of a terminal, and no container engine but for tests marked `docker`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.runtimes.docker import engine

NOWHERE = "unix:///nonexistent/no-engine-for-this-test.sock"
GIVEN = pytest.StashKey[str | None]()
WHY_NOT = pytest.StashKey[str]()
SKIPPED = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    # Jobs in a shell's background ignore SIGINT, and so would all that the tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # So that `auto` is `process`, whatever this machine has, and nothing is left with an engine by mistake.
    config.stash[GIVEN] = os.environ.get("DOCKER_HOST")
    config.stash[SKIPPED] = 0
    os.environ["DOCKER_HOST"] = NOWHERE


def pytest_unconfigure(config: pytest.Config) -> None:
    _point_at(config.stash[GIVEN])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Around a test and its fixtures: one marked `docker` sees the engine that the user has."""
    if item.get_closest_marker("docker") is None:
        return (yield)
    _point_at(item.config.stash[GIVEN])
    try:
        return (yield)
    finally:
        _point_at(NOWHERE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is not None and (reason := _why_not(item.config)):
        item.config.stash[SKIPPED] += 1
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash[SKIPPED]:
        terminalreporter.write_line(f"{count} tests of the docker runtime were skipped: {config.stash[WHY_NOT]}")


def _why_not(config: pytest.Config) -> str:
    """The sentence on why no engine answers, asked for once; "" where one does."""
    if WHY_NOT not in config.stash:
        try:
            engine.connected().close()
            config.stash[WHY_NOT] = ""
        except LabError as error:
            config.stash[WHY_NOT] = str(error)
    return config.stash[WHY_NOT]


def _point_at(host: str | None) -> None:
    if host is None:
        os.environ.pop("DOCKER_HOST", None)
    else:
        os.environ["DOCKER_HOST"] = host
