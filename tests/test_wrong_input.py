"""Runs that are none, or no longer whole; folders one may not touch; values with odd characters."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import in_process
from tests.integration.whole import ROOT, environment, home
from tests.repeats import made
from tests.test_memory_runs import run_once

# -- runs that can't be read ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a judged run with its history."""
    phases = {"steady_s": 6, "fault_s": 16, "recovery_s": 4}
    return run_once(tmp_path_factory.mktemp("whole"), "memory", faults=[], phases=phases).path


@pytest.fixture
def run(tmp_path: Path, whole: Path) -> Path:
    """A copy of it in the results/ of a LAB_HOME."""
    home(tmp_path)
    return Path(shutil.copytree(whole, tmp_path / "results" / "toy" / "memory" / "20260101T000000Z-s1"))


def older_measurements(run: Path) -> None:
    """As a version of the lab wrote them that did not know of harness.start_late_p99_ms yet."""
    path = run / "measurements.json"
    data = json.loads(path.read_text())
    for harness in data["harness"].values():
        del harness["start_late_p99_ms"]
    path.write_text(json.dumps(data))


def cut_short(name: str) -> Callable[[Path], None]:
    def cut(run: Path) -> None:
        os.truncate(run / name, (run / name).stat().st_size // 2)

    return cut


def emptied(name: str) -> Callable[[Path], None]:
    return lambda run: os.truncate(run / name, 0)


def not_judged(run: Path) -> None:
    (run / "verdict.json").unlink()


OLDER = (
    r"measurements\.json is not as this version .* \(harness\.\w+\.start_late_p99_ms\); `lab judge .*` judges the run"
)
HISTORY = r"the history in .* can't be read \(.*\); copy the run's directory again, whole, or make the run again\."
PLAN = r"plan\.json is damaged: expected JSON, found a mistake \(.*\); copy the run's directory again"
JUDGED_AGAIN = (0, "")
# what is wrong, how, then what `judge`, `report` and `index` answer: (exit code, stderr)
UNREADABLE = [
    ("older format", older_measurements, JUDGED_AGAIN, (12, OLDER), (0, rf"left out: .*{OLDER}")),
    ("history cut short", cut_short("history.parquet"), (12, HISTORY), (12, HISTORY), (0, "")),
    ("samples cut short", cut_short("samples.parquet"), (12, HISTORY), (12, HISTORY), (0, "")),
    ("history empty", emptied("history.parquet"), (12, HISTORY), (12, HISTORY), (0, "")),
    ("plan cut short", cut_short("plan.json"), (12, PLAN), (12, PLAN), (0, rf"left out: .*{PLAN}")),
    (
        "verdict cut short", cut_short("verdict.json"), JUDGED_AGAIN,
        (12, r"verdict\.json is not as this version .* \(the whole of it\)"),
        (0, r"left out: .*verdict\.json is not as this version"),
    ),
    ("experiment cut short", emptied("experiment.yaml"), (12, r"experiment\.yaml:1: expected a mapping"),
     (12, r"experiment\.yaml:1: expected a mapping"), (0, "")),
    ("not judged", not_judged, JUDGED_AGAIN, (12, r"was never judged: the run died\. `lab judge"), (0, "")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "command", "code", "said"),
    [
        pytest.param(damage, command, *answer, id=f"{command}: {name}")
        for name, damage, *answers in UNREADABLE
        for command, answer in zip(("judge", "report", "index"), answers, strict=True)
        if answer != JUDGED_AGAIN
    ],
)
def test_a_run_that_is_not_whole(run: Path, damage: Callable[[Path], None], command: str, code: int, said: str) -> None:
    damage(run)
    before = sorted(path.name for path in run.iterdir())
    done = in_process.lab(run.parents[3], command, str(run))
    assert done.returncode == code, (done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("no judged run is there")]
    assert len(lines) == (said != "")
    assert all(re.search(said, line) for line in lines), lines
    assert sorted(path.name for path in run.iterdir()) == before, "nothing is written"


@pytest.mark.parametrize(
    "damage",
    [pytest.param(damage, id=name) for name, damage, judge, *_ in UNREADABLE if judge == JUDGED_AGAIN],
)
def test_judging_again_mends_what_judging_wrote(run: Path, damage: Callable[[Path], None]) -> None:
    damage(run)
    done = in_process.lab(run.parents[3], "judge", str(run))
    assert done.returncode == 0, (done.stdout, done.stderr)
    done = in_process.lab(run.parents[3], "index", str(run))
    assert (done.returncode, done.stderr) == (0, "")


# -- folders without leave --------------------------------------------------------------------------


def without_privilege() -> None:
    """In a child before it becomes `lab`: root, too, has to be allowed to."""
    overrides, searches, drop_from_bounding_set = 1, 2, 24
    for capability in (overrides, searches):
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)


def lab(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`lab …` as somebody to whom a file's permissions apply."""
    command = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=without_privilege,
    )  # fmt: skip


def closed(path: Path, mode: int) -> Path:
    path.chmod(mode)
    check = [sys.executable, "-c", "import os, sys; sys.exit(os.access(sys.argv[1], os.W_OK))", str(path)]
    if subprocess.run(check, check=False, preexec_fn=without_privilege).returncode:
        path.chmod(0o755)
        pytest.skip("permissions don't hold for this user")
    return path


FORBIDDEN = [
    # command, the folder's mode, exit code, stderr
    ("judge", 0o000, 12, r"can't be looked into: Permission denied; give a run's directory\.$"),
    ("report", 0o000, 12, r"can't be looked into: Permission denied; give a run's directory\.$"),
    ("index", 0o000, 12, r"is no folder that can be read; give one that holds runs, or none for results/\.$"),
    ("judge", 0o555, 12, r"can't be written to; ask for leave to, or copy the run where you may write\.$"),
    ("report", 0o555, 12, r"can't be written to; ask for leave to, or copy the run where you may write\.$"),
]


@pytest.mark.parametrize(("command", "mode", "code", "said"), FORBIDDEN)
def test_a_run_without_leave(tmp_path: Path, command: str, mode: int, code: int, said: str) -> None:
    path = closed(made.run(home(tmp_path) / "results", 1).path, mode)
    done = lab(tmp_path, command, str(path))
    path.chmod(0o755)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert re.search(said, done.stderr.rstrip("\n")) and done.stderr.count("\n") == 1


def test_the_index_names_what_it_may_not_look_into(tmp_path: Path) -> None:
    made.run(home(tmp_path) / "results", 1)
    path = closed(made.run(tmp_path / "results", 2).path, 0)
    done = lab(tmp_path, "index")
    path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^left out: .*-s2/plan.json can't be read: Permission denied; ", done.stderr)
    assert "1 × valid" in done.stdout


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_results_one_may_not_write(tmp_path: Path, mode: int) -> None:
    path = closed(home(tmp_path) / "results", mode)
    done = lab(tmp_path, "run", "short")
    path.chmod(0o755)
    assert done.returncode == 12, (done.stdout, done.stderr)
    assert re.search(r"results can't be written below .*/results: Permission denied; free space or choose", done.stderr)
    assert list(path.rglob("*")) == []


def test_an_experiment_one_may_not_read(tmp_path: Path) -> None:
    path = closed(home(tmp_path) / "experiments" / "short.yaml", 0)
    done = lab(tmp_path, "run", "short")
    assert done.returncode == 12, (done.stdout, done.stderr)
    assert done.stderr == (
        f"{path}:1: expected a file that can be read, found: Permission denied; give a file, and leave to read it.\n"
    )


# -- values with odd characters -----------------------------------------------------------------------

ODD = [
    "a b",
    "",
    "$(touch pwned)",
    "$(shell touch pwned)",
    "${shell touch pwned}",
    "`touch pwned`",
    "x; touch pwned",
    "x && touch pwned #",
    "x'; touch pwned; '",
    'x"; touch pwned; "',
    "$HOME $$HOME",
    "*",
    "-h",
    "a\\b",
    "ü—",
    "one\ntouch pwned",
]
NAMES = ("EXPERIMENT", "RUNTIME", "SEED", "REPEATS", "LEADERS_IN", "TOPOLOGY", "BACKENDS")


def make(folder: Path, *assigned: str, **environment: str) -> list[str]:
    """What a stand-in for `lab` is given by `make experiment`, run in `folder`."""
    stand_in = folder / "bin" / "lab"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/bash\nprintf "%s\\0" "$@" > given\n')
    stand_in.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in NAMES and not name.startswith("MAKE")}
    command = ["make", "-s", "-f", str(ROOT / "Makefile"), "experiment", "READY=", f"BIN={stand_in.parent}", *assigned]
    subprocess.run(command, cwd=folder, env=kept | environment, check=True, capture_output=True, timeout=60)
    assert {path.name for path in folder.iterdir()} == {"bin", "given"}, "a value was run"
    return (folder / "given").read_text(encoding="utf-8").split("\0")[:-1]


def handed(value: str) -> list[str]:
    """How `lab` is called when every variable has that value."""
    arms = [f"--arm={word}" for word in value.split("\n")[0].split()]
    names = {"runtime": value, "seed": value, "repeats": value, "leaders-in": value, "topology": value}
    return ["run", *arms, *(part for name, text in names.items() for part in (f"--{name}", text)), "--", value]


@pytest.mark.parametrize("value", ODD)
def test_make_hands_values_on_as_they_are(tmp_path: Path, value: str) -> None:
    assert make(tmp_path, *(f"{name}={value}" for name in NAMES)) == handed(value)


@pytest.mark.parametrize("value", ODD)
def test_make_hands_on_the_environment_as_it_is(tmp_path: Path, value: str) -> None:
    assert make(tmp_path, **dict.fromkeys(NAMES, value)) == handed(value)


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("option", ["--", "--arm=", "--leaders-in=", "--topology=", "--runtime="])
def test_odd_values_are_refused_in_words(tmp_path: Path, option: str, value: str) -> None:
    arguments = ["--", value] if option == "--" else [f"{option}{value}", "--", "short"]
    done = in_process.lab(home(tmp_path), "run", "--plan", *arguments)
    if value == "" and option in ("--leaders-in=", "--topology="):
        assert done.returncode == 0, "empty: as the file says"
        return
    assert done.returncode == 12, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "unknown" in done.stderr or "not of the form" in done.stderr or "does not exist" in done.stderr
    assert list((tmp_path / "results").rglob("*")) == [] and not (ROOT / "pwned").exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "../" * 20 + "etc/passwd", "/etc/passwd"])
def test_a_path_out_of_the_lab_is_a_file_like_any_other(tmp_path: Path, name: str) -> None:
    done = in_process.lab(home(tmp_path), "run", name)
    assert done.returncode == 12
    assert re.match(rf"({re.escape(name)}:1: expected a mapping|experiment file .* does not exist)", done.stderr)
    assert list((tmp_path / "results").rglob("*")) == []


@pytest.mark.parametrize("name", ["nul\0l", "x" * 5000, "a/" + "x" * 300])
def test_names_no_file_can_have(tmp_path: Path, name: str) -> None:
    done = in_process.lab(home(tmp_path), "run", "--", name)
    assert done.returncode == 12
    assert re.match("unknown experiment|the system refuses: File name too long|experiment file", done.stderr)


def test_the_line_of_a_mistake_is_no_emoji(tmp_path: Path) -> None:
    """`:100:` is one, to a library that means well."""
    path = home(tmp_path) / "experiments" / "short.yaml"
    path.write_text("\n" * 99 + "phasen: 1\n")
    done = in_process.lab(tmp_path, "run", "short")
    assert done.stderr.startswith(f"{path}:100: unknown key 'phasen'")
