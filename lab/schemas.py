"""The JSON Schemas of the files users write or read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from lab.batch_file import BatchFile
from lab.comparison.model import Comparison
from lab.errors import UnknownName
from lab.experiment import Experiment
from lab.measurements import Measurements
from lab.repeats.model import Repeats
from lab.topology import Topology
from lab.verdict import Verdict

MODELS: dict[str, type[BaseModel]] = {
    "batch": BatchFile,
    "comparison": Comparison,
    "experiment": Experiment,
    "measurements": Measurements,
    "repeats": Repeats,
    "topology": Topology,
    "verdict": Verdict,
}


def schema_of(name: str) -> dict[str, Any]:
    """The schema by name. Raises UnknownName."""
    if name not in MODELS:
        raise UnknownName.of("schema", name, MODELS)
    return MODELS[name].model_json_schema()
