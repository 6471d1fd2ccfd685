"""However a run in containers is ended: no container, network or volume of it is left, and no other run is touched."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab.runtimes.docker import engine, leftovers
from lab.runtimes.docker.runtime import DockerRuntime
from tests.integration.test_teardown import _reapers
from tests.integration.whole import GONE_WITHIN_S, Underway, home, lab, underway, verdict_of, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.slow]
SHORT_IN_CONTAINERS = ("--runtime", "docker")


@pytest.fixture
def client() -> Iterator[Any]:
    made = engine.connected()
    yield made
    made.close()


def command() -> tuple[str, ...]:
    import sys

    return (sys.executable, "-m", "lab", "run", "short", *SHORT_IN_CONTAINERS)


def of_run(client: Any, directory: Path) -> list[str]:
    """Names of all that a run has with the engine."""
    mine = engine.of_run(directory)
    containers = client.api.containers(all=True, filters=mine)
    return sorted([one["Names"][0] for one in containers] + [one["Name"] for one in client.api.networks(filters=mine)])


def volumes(client: Any) -> set[str]:
    return {one["Name"] for one in client.api.volumes()["Volumes"] or []}


def in_mid_fault(run: Underway, client: Any) -> list[str]:
    run.reach("fault")
    found = of_run(client, run.directory)
    assert len(found) == 5, "two nodes, Toxiproxy, two networks"
    return found


def gone(run: Underway, client: Any) -> float:
    """Seconds until nothing of the run was left with the engine, or as a process."""
    return wait_for(
        "end of all containers", lambda: not of_run(client, run.directory) and not run.members(), GONE_WITHIN_S
    )


def test_runner_killed_and_strangers_spared(tmp_path: Path, client: Any) -> None:
    before, image = volumes(client), DockerRuntime.find("toxiproxy-server", "", print).place
    theirs = engine.labels_of(tmp_path / "theirs", "n-1") | {engine.USER: "4242"}
    stranger = client.api.create_container(image, [], labels=theirs)["Id"]
    try:
        with underway(home(tmp_path), *command()) as run:
            in_mid_fault(run, client)
            os.kill(run.one("lab.runner"), signal.SIGKILL)
            gone(run, client)
            run.process.communicate(timeout=60)
            assert run.process.returncode == 11
            assert verdict_of(run.directory)["verdict"] == "unknown"
            logs = {path.name for path in (run.directory / "logs").glob("*.log")}
            assert {"a-1.log", "b-1.log", "toxiproxy.log"} <= logs, "what containers said is kept all the same"
        assert client.api.inspect_container(stranger)
        assert volumes(client) <= before
    finally:
        client.api.remove_container(stranger, force=True)


def test_interrupted_while_containers_come_up(tmp_path: Path, client: Any) -> None:
    with underway(home(tmp_path), *command()) as run:
        wait_for("a container", lambda: of_run(client, run.directory), 60)
        run.process.send_signal(signal.SIGTERM)
        gone(run, client)
        _, err = run.process.communicate(timeout=60)
        assert run.process.returncode == 11, err
        assert "Traceback" not in err


def test_killed_while_containers_come_up(tmp_path: Path, client: Any) -> None:
    with underway(home(tmp_path), *command()) as run:
        wait_for("a container", lambda: of_run(client, run.directory), 60)
        os.kill(run.one("lab.runner"), signal.SIGKILL)
        gone(run, client)
        time.sleep(2)
        assert of_run(client, run.directory) == [], "what was just being made came late, and went too"
        run.process.communicate(timeout=60)


def test_two_runs_at_once_do_not_meet(tmp_path: Path, client: Any) -> None:
    """One is killed; the other goes on and ends whole."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(underway(home(tmp_path / name), *command())) for name in ("one", "other"))
        for run in (one, other):
            run.reach("fault")
        assert not set(of_run(client, one.directory)) & set(of_run(client, other.directory))
        os.kill(one.one("lab.runner"), signal.SIGKILL)
        gone(one, client)
        other.process.communicate(timeout=120)
        whys = [why for why in verdict_of(other.directory)["why"] if "interrupted" in why or "bypass" in why]
        assert whys == []
        assert of_run(client, other.directory) == []


def test_clean_removes_what_nobody_reaped(tmp_path: Path, client: Any) -> None:
    with underway(home(tmp_path), *command()) as run:
        before = in_mid_fault(run, client)
        assert lab(tmp_path, "clean").returncode == 0
        assert of_run(client, run.directory) == before, "a run under way is spared"
        for pid in _reapers(run.directory):
            os.kill(pid, signal.SIGKILL)
        os.kill(run.one("lab.runner"), signal.SIGKILL)
        time.sleep(2)
        assert of_run(client, run.directory) == before, "nobody is left to clean up"
        cleaned = lab(tmp_path, "clean")
        assert cleaned.returncode == 0, cleaned.stderr
        assert "3 leftover containers and 2 networks removed." in cleaned.stdout
        assert of_run(client, run.directory) == []
        run.process.communicate(timeout=60)
    leftovers.remove_in_time(run.directory, 30)
