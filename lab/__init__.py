"""Isolation Lab: how far does a failure in one region spread?

    import lab
    run = lab.run("gray-region", arm="jetstream-stretched", seed=1)
    lab.plots.availability(run)

Names are loaded when first used, so that a worker process that imports one small module does not
pay for plotly and polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab import plots, report
    from lab.api import Comparison, Run, compare, load, run
    from lab.errors import LabError, Refused, RunBroken

__all__ = ["Comparison", "LabError", "Refused", "Run", "RunBroken", "compare", "load", "plots", "report", "run"]

_HOME = {
    "Comparison": "lab.api",
    "LabError": "lab.errors",
    "Refused": "lab.errors",
    "Run": "lab.api",
    "RunBroken": "lab.errors",
    "compare": "lab.api",
    "load": "lab.api",
    "plots": "lab.plots",
    "report": "lab.report",
    "run": "lab.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lab' has no attribute {name!r}")
    module = import_module(_HOME[name])
    value = module if module.__name__ == f"lab.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
