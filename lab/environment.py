"""environment.json: on what a run was made, so that a reader can tell two runs apart.

Versions, host, digests of the server binaries, git revision, and (wall, monotonic) pairs from the
begin and the end. No host name, user name or path: reports get shared.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from lab import plan
from lab.clock import wall_pair
from lab.plan import Plan
from lab.protocols import Program
from lab.results import Run, write_json

PACKAGES = ("isolation-lab", "nats-py", "toxiproxy-python", "papermill", "plotly", "polars")


def begin(this: Plan, directory: Path) -> None:
    """Write what is known before the first process starts."""
    programs = plan.programs_of(this)
    write_json(
        directory / "environment.json",
        {
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES},
            "host": {
                "system": f"{platform.system()} {platform.release()}",
                "machine": platform.machine(),
                "cores": os.cpu_count(),
                "memory_mib": psutil.virtual_memory().total // 2**20,
                "load_1m": round(os.getloadavg()[0], 2),
            },
            "binaries": {
                one.name: {"version": one.version, "sha256": one.sha256.get(one.name, "")} | _image(this, one)
                for one in programs.values()
            },
            "surroundings": dict(plan.surroundings_of(this)),
            "git": _revision(),
            "clock_pairs_ns": [wall_pair()],
        },
    )


def end(directory: Path) -> None:
    """Add the clock pair of the end."""
    known: dict[str, Any] = dict(Run.at(directory).environment)
    if known:
        known["clock_pairs_ns"] = [*known["clock_pairs_ns"], wall_pair()]
        write_json(directory / "environment.json", known)


def _image(this: Plan, program: Program) -> dict[str, str]:
    """By what the engine knows it; its digest stands for all that is in it."""
    return {"image": program.place} if this.runtime == "docker" else {}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _revision() -> str:
    """The checkout's revision, with `+` when files differ from it; "" outside a checkout."""
    here = Path(__file__).resolve().parents[1]
    try:
        answer = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
