"""What a batch file says: which experiments to run, on which arms, on how many seeds.

A file in `experiments/` beside the experiments it names, told from them by its key `runs`. Owns
the shape only: whether what it names exists is for `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lab import files
from lab.errors import DoesNotFit, FileRefused, Refused
from lab.experiment import Arm, LeadersIn


def _arm(text: str) -> str:
    """The arm as it prints, so that options in any order are one arm."""
    try:
        return Arm.parse(text).text
    except Refused as refused:
        raise ValueError(str(refused).rstrip(".")) from None


Arms = Annotated[list[Annotated[str, AfterValidator(_arm)]], Field(min_length=1, max_length=64)]
Repeats = Annotated[int, Field(ge=1, le=1000, strict=True)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BatchRun(_Model):
    """One experiment of a batch, on every arm, leader placement and seed."""

    experiment: str = Field(min_length=1, description="A name in experiments/, or a path to a file.")
    topology: str = Field("", description="A name in topologies/, or a path to a file; else as the experiment says.")
    leaders_in: Annotated[list[LeadersIn], Field(min_length=1)] | None = Field(
        None, description="Where leaders must be, one run for each; else as the experiment says."
    )
    arms: Arms | None = Field(None, description="Else the batch's.")
    repeats: Repeats | None = Field(None, description="Else the batch's.")


class BatchFile(_Model):
    """Experiments to run one after another, as a file in `experiments/`."""

    about: str = Field("", description="What this batch is for, in one sentence.")
    runs: list[BatchRun] = Field(min_length=1, max_length=1000)
    arms: Arms = ["jetstream-stretched"]
    repeats: Repeats = Field(1, description="As many seeds, from the batch's seed on.")


def is_batch(path: Path) -> bool:
    """Whether a YAML file is a batch rather than an experiment; False also where it is no YAML."""
    try:
        data = files.read(path)
    except FileRefused:
        return False
    return isinstance(data, Mapping) and "runs" in data


def load(path: Path) -> BatchFile:
    """Read and validate a batch file. Raises FileRefused; DoesNotFit where it is an experiment's."""
    data = files.read(path)
    if isinstance(data, Mapping) and "runs" not in data and "topology" in data:
        raise DoesNotFit(
            f"{path}:1: expected a batch file, with a key `runs`, found an experiment; `lab run` runs one of those."
        )
    return files.load(path, BatchFile)
