"""Batch files: what a wrong one is told, and that ours names every experiment there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from lab import batch_file, files, schemas, series
from lab.batch_file import BatchFile
from lab.errors import Refused

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
GOOD = "about: Two.\nruns:\n  - experiment: a\n    leaders_in: [home]\n  - experiment: b\n"

WRONG = {
    # the file, the line of the mistake, what the sentence must say
    "unknown key": (GOOD + "runz: []\n", 6, r"unknown key 'runz' \(did you mean 'runs'\?\); known: about, arms, "),
    "unknown key of a run": (GOOD.replace("leaders_in", "leader_in"), 4, r"key 'leader_in' \(did you mean 'leaders"),
    "no runs": ("runs: []\n", 1, r"runs: .*at least 1 .*0\."),
    "runs that are no list": ("runs: a\n", 1, r"runs: .*list, found 'a'"),
    "a run without experiment": ("runs:\n  - {repeats: 2}\n", 2, r"runs\.0.*experiment"),
    "no such placement": (GOOD.replace("[home]", "[home, hom]"), 4, r"leaders_in\.1: .*'home', .*found 'hom'"),
    "a placement that is no list": (GOOD.replace("[home]", "home"), 4, r"leaders_in: .*list, found 'home'"),
    "no repeats": (GOOD + "repeats: 0\n", 6, r"repeats: .* 1.* found 0"),
    "text for repeats": (GOOD + "repeats: '2'\n", 6, r"repeats: .* found '2'"),
    "no arms": (GOOD + "arms: []\n", 6, r"arms: .*at least 1 .*0\."),
    "what is no arm": (GOOD + "arms:\n  - memory\n  - A B\n", 8, r"arms\.1: arm 'A B' is not of the form backend\[@"),
    "an experiment": ("topology: t\n", 1, r"expected a batch file, .*`runs`, found an experiment; `lab run` runs"),
    "neither": ("regions: {}\n", 1, r"known: about, arms, repeats, runs\."),
    "a list": ("- a\n", 1, r"found a list"),
    "no YAML": ("runs: {\n", 2, r"expected .*found"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file(case: str, tmp_path: Path) -> None:
    text, line, words = WRONG[case]
    path = tmp_path / "f.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refused) as refusal:
        batch_file.load(path)
    said = str(refusal.value)
    assert re.match(rf"{re.escape(str(path))}:{line}: .*{words}", said), said
    assert said.endswith((".", ")."))


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(GOOD + "arms: [js+z=1+a=2]\nrepeats: 3\n", encoding="utf-8")
    found = batch_file.load(path)
    assert [(run.experiment, run.leaders_in) for run in found.runs] == [("a", ["home"]), ("b", None)]
    assert (found.arms, found.repeats) == (["js+a=2+z=1"], 3)
    assert batch_file.is_batch(path)


@pytest.mark.parametrize("text", ["topology: t\n", "- runs\n", "runs\n", "runs: [\n", ""])
def test_what_is_no_batch(text: str, tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text, encoding="utf-8")
    assert not batch_file.is_batch(path)


def test_nightly_names_every_experiment() -> None:
    experiments = {path.stem for path in EXPERIMENTS.glob("*.yaml") if not batch_file.is_batch(path)}
    named = {run.experiment for run in batch_file.load(EXPERIMENTS / "nightly.yaml").runs}
    assert named == experiments


def test_nightly_can_be_planned() -> None:
    asked = series.asked(str(EXPERIMENTS / "nightly.yaml"), arms=[], runtime="auto", seed=1, again=False)
    assert len(asked.planned) >= len({this.experiment.name for this in asked.planned}) >= 3


def test_the_schema_accepts_ours_and_refuses_others() -> None:
    published = schemas.schema_of("batch")
    jsonschema.Draft202012Validator.check_schema(published)
    data = json.loads(json.dumps(files.read(EXPERIMENTS / "nightly.yaml")))
    jsonschema.validate(data, published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "no_such_key": 1}, published)


def test_defaults() -> None:
    found = BatchFile.model_validate({"runs": [{"experiment": "a"}]})
    assert (found.arms, found.repeats, found.runs[0].topology) == (["jetstream-stretched"], 1, "")
