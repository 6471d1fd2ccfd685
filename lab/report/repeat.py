"""The command that makes the same run again."""

from __future__ import annotations

import shlex

from lab.report import partial
from lab.results import Run


def command(run: Run) -> str:
    """One line for a shell; make's `$` is doubled, so that what make reads is what was meant."""
    found = partial.experiment(run)
    settings = {
        "EXPERIMENT": partial.experiment_name(run),
        "BACKENDS": run.arm,
        "LEADERS_IN": str(run.plan.get("leaders_in") or (found.leaders_in if found else "")),
        "SEED": str(run.seed),
        "RUNTIME": partial.runtime(run),
    }
    said = [f"{name}={shlex.quote(value.replace('$', '$$'))}" for name, value in settings.items() if value]
    return " ".join(["make experiment", *said])
