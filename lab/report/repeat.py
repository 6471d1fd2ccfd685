"""The command that makes the same run again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from lab.report import partial
from lab.results import Run


def command(run: Run, arms: Sequence[str] = (), repeats: int = 1) -> str:
    """One line for a shell; the Makefile takes values as they are, `$` too.

    arms: instead of the run's own; repeats: as many seeds, from the run's on.
    """
    found = partial.experiment(run)
    settings = {
        "EXPERIMENT": str(run.plan.get("asked") or partial.experiment_name(run)),
        "TOPOLOGY": str(run.plan.get("topology_instead", "")),
        "BACKENDS": " ".join(arms) or run.arm,
        "LEADERS_IN": str(run.plan.get("leaders_in") or (found.leaders_in if found else "")),
        "SEED": str(run.seed),
        "REPEATS": str(repeats) if repeats > 1 else "",
        "RUNTIME": partial.runtime(run),
    }
    said = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    return " ".join(["make experiment", *said])
