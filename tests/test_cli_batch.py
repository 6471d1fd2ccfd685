"""`lab batch`, `--junit` and `--summary` on the command line: what is refused, before anything runs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration.whole import SHORT, home, lab

BATCH = "about: Both.\nruns:\n  - experiment: short\n  - experiment: other\n"
COMMAND = ["batch", "all"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home(tmp_path)
    (tmp_path / "experiments" / "other.yaml").write_text(SHORT)
    (tmp_path / "experiments" / "all.yaml").write_text(BATCH)
    return tmp_path


REFUSED = [
    # what is wrong, the batch file, arguments of `lab`, what the sentence must say
    ("unknown key", BATCH + "rums: 1\n", COMMAND, r"all\.yaml:5: unknown key 'rums' \(did you mean 'runs'\?\)"),
    ("unknown experiment", BATCH.replace("other", "ohter"), COMMAND, r"all\.yaml:4: unknown experiment 'ohter'"),
    ("no runs", "runs: []\n", COMMAND, r"all\.yaml:1: runs: .*at least 1"),
    ("not a batch file", BATCH, ["batch", "short"], r"short\.yaml:1: .*found an experiment; `lab run`"),
    ("a batch that is run", BATCH, ["run", "all"], r"all\.yaml:1: .*found a batch of them; `lab batch all`"),
    ("no such batch", BATCH, ["batch", "al"], r"unknown batch 'al' \(did you mean 'all'\?\); known: all\."),
    ("no such experiment", BATCH, ["run", "al"], r"unknown experiment 'al'.*; known: other, short\."),
    ("no such file", BATCH, ["batch", "./no.yaml"], r"batch file '\./no\.yaml' does not exist; give"),
    ("arm's form", BATCH, [*COMMAND, "--arm", "x@"], r"arm 'x@' is not of the form backend\[@"),
    ("arm", BATCH, [*COMMAND, "--arm", "jetstrem"], r"all\.yaml:3: unknown backend 'jetstrem'"),
    ("version", BATCH, [*COMMAND, "--arm", "jetstream-stretched@99.99.99"], r"nats-server 99\.99\.99 can't be had: "),
    ("runtime", BATCH, [*COMMAND, "--runtime", "proces"], r"unknown runtime 'proces'"),
    ("negative seed", BATCH, [*COMMAND, "--seed", "-1"], r"seed must be a whole number from 0 on, found -1"),
    ("junit of a batch", BATCH, [*COMMAND, "--junit", "/none/x.xml"], r"--junit /none/x\.xml can't be written: No"),
    ("summary of a batch", BATCH, [*COMMAND, "--summary", "/none/x.md"], r"--summary /none/x\.md can't be written: No"),
    ("junit of a run", BATCH, ["run", "short", "--junit", "/none/x.xml"], r"--junit /none/x\.xml can't be written: No"),
    ("summary of a run", BATCH, ["run", "short", "--summary", "/"], r"--summary / can't be written: Is a directory"),
]  # fmt: skip
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "GOPROXY": "off", "GOFLAGS": "-mod=mod"}


@pytest.mark.parametrize(("text", "arguments", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_refused_in_one_sentence(folder: Path, text: str, arguments: list[str], sentence: str) -> None:
    (folder / "experiments" / "all.yaml").write_text(text)
    done = lab(folder, *arguments, **OFFLINE)
    said = [line for line in done.stderr.splitlines() if not line.startswith(("looking for", "building"))]
    assert done.returncode == 12, (done.stdout, done.stderr)
    assert len(said) == 1 and re.search(sentence, said[0]) and said[0].endswith((".", ").")), done.stderr
    assert list((folder / "results").rglob("*")) == []


def test_seed_not_a_number_is_usage(folder: Path) -> None:
    assert lab(folder, *COMMAND, "--seed", "seven").returncode == 2


def test_a_plan_names_every_run_and_makes_nothing(folder: Path) -> None:
    files = ["--junit", str(folder / "j.xml"), "--summary", str(folder / "s.md")]
    done = lab(folder, *COMMAND, "--plan", "--seed", "7", *files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("seed 7.") == 2
    assert re.search(r"^2 runs: about \d+ min in all\.$", done.stdout, re.MULTILINE)
    assert list((folder / "results").rglob("*")) == []
    assert not (folder / "j.xml").exists() and not (folder / "s.md").exists()


def test_without_a_seed_it_is_the_date(folder: Path) -> None:
    before = datetime.now(UTC)
    told = [json.loads(line) for line in lab(folder, *COMMAND, "--plan", "--json").stdout.splitlines()]
    assert [one["experiment"] for one in told] == ["short", "other"]
    assert {one["seed"] for one in told} <= {int(f"{when:%Y%m%d}") for when in (before, datetime.now(UTC))}


def test_list_tells_batches_from_experiments(folder: Path) -> None:
    rows = [line.split() for line in lab(folder, "list").stdout.splitlines()]
    [found] = [row for row in rows if "all" in row[:2]]
    assert (found[:2], found[-1]) == (["batch", "all"], "Both.")


def test_the_schema_is_published(folder: Path) -> None:
    assert json.loads(lab(folder, "schema", "batch").stdout)["required"] == ["runs"]
