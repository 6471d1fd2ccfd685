"""On what a benchmark was made: machine and versions; no host name, user name or path."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from lab import binaries, machine

PACKAGES = ("nats-py", "uvloop", "msgspec")
PROGRAMS = ("nats-server", "toxiproxy-server", "syncstore")
DIGEST = 12


def about(say: Callable[[str], None]) -> dict[str, Any]:
    """Programs that aren't here yet are got first. Raises BinaryMissing."""
    programs = {name: binaries.find(name, say=say) for name in PROGRAMS}
    return {
        "cores": _cores(),
        "cpu": cpu_model(_text(Path("/proc/cpuinfo"))),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1m": round(os.getloadavg()[0], 2),
        "disk": machine.fsync().found,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "programs": {name: {"version": one.version, "sha256": one.sha256} for name, one in programs.items()},
    }


def sentences(told: dict[str, Any]) -> list[str]:
    """The same for people."""
    programs = ", ".join(f"{name} {one['version']}" for name, one in told["programs"].items())
    packages = ", ".join(f"{name} {one}" for name, one in told["packages"].items())
    sources = told["programs"]["syncstore"]["sha256"][:DIGEST]
    busy = f" The machine was busy when it began: load {told['load_1m']:g}." if told["load_1m"] > 1 else ""
    return [
        f"{told['cores']} cores ({told['cpu']}), {told['memory_gib']:g} GiB, {told['system']}; {told['disk']}.{busy}",
        f"Python {told['python']}, {packages}; {programs} (sources {sources}).",
    ]


def cpu_model(cpuinfo: str) -> str:
    """What /proc/cpuinfo calls it, or what Python can say."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return " ".join(value.split())
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
