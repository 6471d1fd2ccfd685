"""The control of what costs work: the machine is kept as busy as a fault makes it, and nothing is harmed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab.clock import NS_PER_S, now_ns
from lab.errors import DoesNotFit, RunBroken
from lab.faults import pulsing
from lab.faults.none import NoFault
from lab.protocols import Deployment, FaultContext, Impairment
from lab.topology import Link

BURNER = Path(__file__).with_name("burner.py")
MOST_PROCESSES = 64
LEAST_SHARE = 0.7  # as for the witness of a link
TOLD_FROM_S = 1.0  # the system counts processor time in hundredths of a second, and a start takes some


@dataclass(frozen=True)
class BurnFault(NoFault):
    """`processes` processes that are connected to nothing use `cores` processors together: throughout, or for
    `busy_s`, then not for `idle_s`, and so on.

    On one machine all regions share its processors, so whatever makes one region work makes the
    others slower: what a fault costs beyond such a burn is the backend's doing, the rest is the
    machine's. It names no region, so that every outage counts. It is its own witness: when the
    system gave the processes less than 0.7 × what was asked, the run is `unknown`.
    """

    cores: float = 0.5
    processes: int = 9
    busy_s: float = 0.0
    idle_s: float = 0.0

    def check(self, context: FaultContext) -> None:
        there = float(os.cpu_count() or 1)
        if not 1 <= self.processes <= MOST_PROCESSES:
            raise DoesNotFit(f"fault burn: processes must be 1 to {MOST_PROCESSES}, found {self.processes}.")
        if not 0.01 <= self.cores <= min(there, self.processes):
            raise DoesNotFit(
                f"fault burn: cores must be 0.01 to {min(there, self.processes):g} (as many as there are, and one a "
                f"process at most), found {self.cores:g}."
            )
        for name, seconds in (("busy_s", self.busy_s), ("idle_s", self.idle_s)):
            if (self.busy_s or self.idle_s) and not TOLD_FROM_S <= seconds <= 3600:
                raise DoesNotFit(
                    f"fault burn: {name} must be {TOLD_FROM_S:g} to 3600 s, or neither given, found {seconds:g}."
                )

    def pulses(self, lasting_s: float) -> list[tuple[float, float]]:
        if not self.busy_s:
            return [(0.0, lasting_s)]
        return pulsing.pulses(self.busy_s, self.idle_s, lasting_s)

    @asynccontextmanager
    async def apply(self, deployment: Deployment, impairments: Mapping[Link, Impairment]) -> AsyncIterator[None]:
        burners: list[subprocess.Popen[bytes]] = []
        begun_ns = now_ns()
        try:
            for _ in range(self.processes):
                burners.append(_started(self.cores / self.processes))
                await asyncio.sleep(0)
            yield
            self._confirm(burners, (now_ns() - begun_ns) / NS_PER_S)
        finally:
            _end(burners)

    def _confirm(self, burners: Sequence[subprocess.Popen[bytes]], lasted_s: float) -> None:
        """Raise RunBroken when less was burnt than asked."""
        spent_s = sum(map(_spent_s, burners))
        if lasted_s >= TOLD_FROM_S and spent_s < LEAST_SHARE * self.cores * lasted_s:
            raise RunBroken(
                f"burn used {spent_s / lasted_s:.2f} of a processor, asked were {self.cores:g}: "
                "the machine has no more to give; ask for less, or lower rate_per_s."
            )


def _started(share: float) -> subprocess.Popen[bytes]:
    """It carries the run's mark, as all of the runner's children do, and ends with the runner."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(BURNER), str(share), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _spent_s(burner: subprocess.Popen[bytes]) -> float:
    """Processor seconds of a process; 0 of one that is gone."""
    try:
        times = psutil.Process(burner.pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _end(burners: Sequence[subprocess.Popen[bytes]]) -> None:
    for burner in burners:
        burner.kill()
    for burner in burners:
        burner.wait()
