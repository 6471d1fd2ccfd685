"""Burning processor time: as much as asked, by processes that end whatever happens, else the run is broken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from lab import files
from lab.clock import seeded
from lab.errors import Refused, RunBroken
from lab.faults.burn import BURNER, BurnFault
from lab.memory import MemoryBackend
from lab.protocols import Deployment, FaultContext
from lab.topology import Topology

NOWHERE = cast(Deployment, None)
TOPOLOGY = Topology.model_validate(
    {"name": "t", "regions": {"us": {"nodes": 1}, "sg": {"nodes": 1}}, "rtt_ms": {"us-sg": 200}}
)
CONTEXT = FaultContext(TOPOLOGY, "process", MemoryBackend("", {}), seeded(1, "fault", 0))
SHARE = 0.2


def burners() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if str(BURNER) in child.cmdline()]


def test_it_burns_what_was_asked_and_ends() -> None:
    async def scenario() -> tuple[float, float]:
        begun_s = time.monotonic()
        async with BurnFault(cores=SHARE, processes=2).apply(NOWHERE, {}):
            await asyncio.sleep(1.5)
            running = burners()
            assert len(running) == 2
            spent_s = sum(sum(process.cpu_times()[:2]) for process in running)
            return spent_s, time.monotonic() - begun_s

    spent_s, lasted_s = asyncio.run(scenario())
    assert spent_s < SHARE * lasted_s + 0.2  # a slow start is work too; of too little the fault itself tells
    assert not burners()


def test_it_ends_when_cancelled() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(entered())
        await asyncio.sleep(0.2)
        assert burners()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def entered() -> None:
        async with BurnFault(cores=SHARE).apply(NOWHERE, {}):
            await asyncio.sleep(60)

    asyncio.run(scenario())
    assert not burners()


def test_too_little_burnt_breaks_the_run() -> None:
    """A stopped process stands for one that the machine has no time for."""

    async def scenario() -> None:
        async with BurnFault(cores=0.9, processes=1).apply(NOWHERE, {}):
            for process in burners():
                process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.2)

    with pytest.raises(RunBroken, match=r"burn used 0\.\d\d of a processor, asked were 0\.9: the machine has no more"):
        asyncio.run(scenario())
    assert not burners()


def test_a_burner_ends_with_whoever_started_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    starter = f"""if True:
        import os, pathlib, subprocess, sys, time
        command = [sys.executable, "-I", "-S", {str(BURNER)!r}, "0.01", str(os.getpid())]
        child = subprocess.Popen(command, start_new_session=True)
        pathlib.Path({str(told)!r}).write_text(str(child.pid))
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", starter])
    _until(lambda: told.exists() and told.read_text() != "")
    pid = int(told.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    try:
        _until(lambda: not _alive(pid))
    finally:
        if _alive(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cores": 0}, r"cores must be 0\.01 to .*found 0\."),
        ({"cores": 2, "processes": 1}, r"cores must be 0\.01 to 1 \(as many as there are, and one a process"),
        ({"cores": 0.5, "processes": 0}, "processes must be 1 to 64, found 0"),
        ({"cores": 0.5, "processes": 65}, "processes must be 1 to 64, found 65"),
        ({"cores": "much"}, "cores: .*'much'"),
        ({"cores": 0.5, "busy_s": 2.0}, "idle_s must be 1 to 3600 s, or neither given, found 0"),
        ({"cores": 0.5, "busy_s": 0.5, "idle_s": 2.0}, r"busy_s must be 1 to 3600 s, or neither given, found 0\.5"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        files.validated(BurnFault, settings, "fault burn").check(CONTEXT)


def test_it_names_no_region_and_no_link() -> None:
    fault = BurnFault(cores=0.5)
    fault.check(CONTEXT)
    assert fault.targets == ()
    assert fault.pulses(30) == [(0, 30)]
    assert BurnFault(cores=0.5, busy_s=2, idle_s=6).pulses(26) == [(0, 2), (8, 10), (16, 18), (24, 26)]
    assert BurnFault(cores=0.5, busy_s=2, idle_s=6).pulses(25) == [(0, 2), (8, 10), (16, 18)]
    assert fault.impairments(CONTEXT) == {}


def _until(met: Any, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
