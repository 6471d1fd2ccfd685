"""The command that makes the same run again."""

from __future__ import annotations

import shlex

from lab.report import partial
from lab.results import Run


def command(run: Run) -> str:
    """One line for a shell; the Makefile takes values as they are, `$` too."""
    found = partial.experiment(run)
    settings = {
        "EXPERIMENT": str(run.plan.get("asked") or partial.experiment_name(run)),
        "TOPOLOGY": str(run.plan.get("topology_instead", "")),
        "BACKENDS": run.arm,
        "LEADERS_IN": str(run.plan.get("leaders_in") or (found.leaders_in if found else "")),
        "SEED": str(run.seed),
        "RUNTIME": partial.runtime(run),
    }
    said = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    return " ".join(["make experiment", *said])
