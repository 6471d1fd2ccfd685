"""GitHub's workflows: what they promise, what reaches a shell, and that actionlint finds nothing.

What their steps run is run here too, with a stand-in for `lab` that tells what it was given.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from lab import files
from lab.programs import ways
from lab.programs.commands import Failed, run

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
HOSTILE = "$(touch pwned) `touch pwned`; touch pwned '\" ${{ x }} --again"


def workflow(name: str) -> Any:
    return files.read(ROOT / ".github" / "workflows" / f"{name}.yml")


def steps(name: str) -> list[Any]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def step(name: str, word: str) -> Any:
    """The only step whose action or script holds a word."""
    [found] = [one for one in steps(name) if word in one.get("uses", "") + one.get("run", "")]
    return found


def test_there_are_two() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml"]


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_they_may_only_read_and_end_in_time(name: str) -> None:
    found = workflow(name)
    assert dict(found["permissions"]) == {"contents": "read"}
    assert "group" in found["concurrency"]
    for job in found["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 180


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_nothing_is_interpolated_into_a_shell(name: str) -> None:
    for one in steps(name):
        assert "${{" not in one.get("run", ""), one
        if "uses" in one:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", one["uses"]), "pinned by major version"


@pytest.mark.parametrize("name", ["ci", "nightly"])
def test_what_is_slow_to_get_is_kept(name: str) -> None:
    python = step(name, "setup-python")["with"]
    assert (python["cache"], python["cache-dependency-path"]) == ("pip", "requirements.lock")
    kept = step(name, "actions/cache")["with"]
    if sys.platform == "linux" and not os.environ.get("XDG_CACHE_HOME"):  # as on GitHub's machines
        assert Path(kept["path"]).expanduser() == user_cache_path("isolation-lab") / "bin"
    assert "hashFiles('lab/binaries.py')" in kept["key"] and (ROOT / "lab" / "binaries.py").is_file()


# -- CI ------------------------------------------------------------------------------------------------


def test_ci_runs_the_readmes_test_command_on_every_python() -> None:
    found = workflow("ci")
    assert {"push", "pull_request"} <= set(found["on"])
    assert found["concurrency"]["cancel-in-progress"] is True
    [job] = found["jobs"].values()
    versions = job["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"], "quoted: 3.10 would be 3.1"
    assert "matrix.python" in step("ci", "setup-python")["with"]["python-version"]
    assert [one["run"] for one in steps("ci") if "run" in one] == [".ci/run"]
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# -- nightly -------------------------------------------------------------------------------------------


def test_nightly_runs_by_the_clock_and_on_demand_with_inputs_as_variables() -> None:
    found = workflow("nightly")
    [clock] = found["on"]["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \*", clock["cron"])
    [job] = found["jobs"].values()
    inputs = found["on"]["workflow_dispatch"]["inputs"]
    assert {"batch", "seed", "arms"} == set(inputs)
    for name in inputs:
        assert f"inputs.{name}" in job["env"][name.upper()]
    assert (ROOT / inputs["batch"]["default"]).is_file()


def test_nightly_keeps_what_was_found_also_when_it_failed() -> None:
    kept = step("nightly", "upload-artifact")
    assert kept["if"] == "always()"
    assert 0 < kept["with"]["retention-days"] <= 90
    assert "results/" in kept["with"]["path"].split()
    [job] = workflow("nightly")["jobs"].values()
    assert step("nightly", "lab batch")["timeout-minutes"] < job["timeout-minutes"], "time is left to keep it"


def given_by(folder: Path, command: list[str], **environment: str) -> list[str]:
    """What a stand-in for `.venv/bin/lab` is given by a command that runs in `folder`, once."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    stand_in = folder / ".venv" / "bin" / "lab"
    stand_in.write_text('#!/bin/bash\nset -o noclobber; printf "%s\\0" "$@" > given\n')
    stand_in.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for name in ("SEED", "BATCH", "JUNIT", "SUMMARY", "RUNTIME"):
        kept.pop(name, None)
    subprocess.run(command, cwd=folder, env=kept | environment, check=True, capture_output=True, timeout=60)
    assert not (folder / "pwned").exists()
    return (folder / "given").read_text(encoding="utf-8").split("\0")[:-1]


@pytest.mark.parametrize(
    ("seed", "arms", "options"),
    [
        ("", "", []),
        ("7", "", ["--seed=7"]),
        ("", "jetstream-stretched  a@./x+y=z", ["--arm=jetstream-stretched", "--arm=a@./x+y=z"]),
    ],
)
def test_nightly_hands_its_inputs_to_the_lab(tmp_path: Path, seed: str, arms: str, options: list[str]) -> None:
    script = step("nightly", "lab batch")["run"]
    environment = {"BATCH": HOSTILE, "SEED": seed, "ARMS": arms, "GITHUB_STEP_SUMMARY": "/a b/summary"}
    given = given_by(tmp_path, ["bash", "-e", "-c", script], **environment)
    written = ["--junit", "results/junit.xml", "--summary", "/a b/summary"]
    assert given == ["batch", *options, *written, "--", HOSTILE]


def test_hostile_inputs_are_words_and_nothing_else(tmp_path: Path) -> None:
    script = step("nightly", "lab batch")["run"]
    environment = {"BATCH": "b", "SEED": HOSTILE, "ARMS": HOSTILE, "GITHUB_STEP_SUMMARY": "s"}
    given = given_by(tmp_path, ["bash", "-e", "-c", script], **environment)
    assert given[:2] == ["batch", f"--seed={HOSTILE}"]
    assert given[2:-6] == [f"--arm={word}" for word in HOSTILE.split()]


# -- make nightly --------------------------------------------------------------------------------------

NIGHTLY = "experiments/nightly.yaml"
MAKE = [
    ("as it is", [], {}, ["--", NIGHTLY]),
    ("a seed", ["SEED=7"], {}, ["--seed=7", "--", NIGHTLY]),
    ("the seed that experiment has by default", ["SEED=1"], {}, ["--seed=1", "--", NIGHTLY]),
    ("a seed from the environment", [], {"SEED": "9"}, ["--seed=9", "--", NIGHTLY]),
    ("an empty seed", ["SEED="], {}, ["--", NIGHTLY]),
    ("files", ["JUNIT=a b.xml", "SUMMARY=s.md"], {}, ["--junit=a b.xml", "--summary=s.md", "--", NIGHTLY]),
    ("another batch", ["BATCH=my batch"], {}, ["--", "my batch"]),
    ("a hostile batch", [], {"BATCH": HOSTILE}, ["--", HOSTILE]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "environment", "given"), [pytest.param(*row[1:], id=row[0]) for row in MAKE])
def test_make_nightly(tmp_path: Path, arguments: list[str], environment: dict[str, str], given: list[str]) -> None:
    command = ["make", "-s", "-f", str(ROOT / "Makefile"), "nightly", "READY=", *arguments]
    assert given_by(tmp_path, command, **environment) == ["batch", "--runtime", "auto", *given]


# -- actionlint ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """Built as `lab.programs.ways` builds Toxiproxy. Without shellcheck and pyflakes, whose version would vary."""
    try:
        go = ways.go_command(print)
        environment = ways.go_environment(tmp_path)
        run("go install", [go, "install", ACTIONLINT], ways.BUILD_TIMEOUT_S, environment)
    except (Failed, OSError) as error:
        pytest.skip(f"actionlint can't be built here: {error}")
    command = [str(tmp_path / "actionlint"), "-no-color", "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
