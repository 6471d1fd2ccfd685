"""The README says what the code says. `python -m tests.test_readme` writes its generated parts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab import report
from lab.backends.jetstream.config import Settings
from lab.experiment import Experiment

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
REFERENCE = ROOT / "results" / "reference"


def _definitions() -> str:
    return "\n".join(f"- *{word}*: {text}" for word, text in report.definitions())


def _gates() -> str:
    rows = "\n".join(f"| {name} | {what} | {limit} |" for name, what, limit in report.gates())
    return f"| gate | what it looks at | limit |\n|---|---|---|\n{rows}"


def _findings() -> str:
    found = json.loads((REFERENCE / "findings.json").read_text(encoding="utf-8"))
    rows = "\n".join("| " + " | ".join(row) + " |" for row in found["rows"])
    head = "| " + " | ".join(found["head"]) + " |\n|" + "---|" * len(found["head"])
    return f"{found['about']}\n\n{head}\n{rows}"


PARTS = {"definitions": _definitions, "gates": _gates, "findings": _findings}


@pytest.mark.parametrize("part", PARTS)
def test_generated_parts_are_current(part: str) -> None:
    text = README.read_text(encoding="utf-8")
    found = re.search(f"<!-- {part} -->\n(.*)<!-- /{part} -->", text, re.DOTALL)
    assert found is not None
    assert found[1].strip() == PARTS[part]().strip(), "run: python -m tests.test_readme"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets
    assert {"experiment", "test"} <= named


def test_ci_calls_the_readmes_test_command() -> None:
    assert "make test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test " in README.read_text(encoding="utf-8")


def test_the_example_experiment_is_one() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert Experiment.model_validate(YAML(typ="safe").load(example)).faults[0].kind == "latency"


def test_named_commands_and_options_exist() -> None:
    text = README.read_text(encoding="utf-8")
    command = [sys.executable, "-m", "lab", "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("run", "judge", "report", "index", "schema", "list", "clean"):
        assert re.search(rf"\b{name}\b", told)
    for option in Settings.__dataclass_fields__:
        assert f"`{option}=" in text


def write() -> None:
    text = README.read_text(encoding="utf-8")
    for part, make in PARTS.items():
        body = f"<!-- {part} -->\n{make()}\n<!-- /{part} -->"
        text = re.sub(f"<!-- {part} -->.*<!-- /{part} -->", lambda _, body=body: body, text, flags=re.DOTALL)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
