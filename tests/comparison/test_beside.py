"""Comparisons as commands make them: kept, told, drawn; and as notebooks have them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

import lab
from lab import plan, render
from lab.batch import Outcome
from lab.beside import Beside
from lab.errors import Refused, RunBroken
from lab.many import Many
from lab.plan import Plan
from lab.results import Run
from lab.schemas import schema_of
from tests import batches, in_process
from tests.comparison import made
from tests.comparison.made import A, B
from tests.integration.whole import ROOT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    return tmp_path


def said(
    capsys: pytest.CaptureFixture[str], runs: list[Run], *, in_full: bool = True, as_json: bool = False
) -> tuple[str, str]:
    beside = Beside(Console(width=120), Console(stderr=True, width=400), as_json=as_json)
    beside.say(runs, in_full=in_full, pages=False)
    return capsys.readouterr()


def kept(home: Path) -> list[Path]:
    return sorted(home.glob("results/*/comparisons/*/comparison.json"))


def test_the_numbers_are_kept_as_published(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, made.pairs(home))
    [path] = kept(home)
    assert path.parent.parent == home / "results" / "gray" / "comparisons"
    assert path.parent.name.startswith("20260101T000003Z-s1-k3-")
    data = json.loads(path.read_text())
    jsonschema.validate(data, schema_of("comparison"))
    assert data["seeds"] == [1, 2, 3]
    assert f"{A} beside {B}" in out and f"comparison: {path}" in out and err == ""


def test_the_same_runs_again_replace_it_and_others_do_not(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = made.pairs(home)
    for _ in range(2):
        said(capsys, runs)
    assert len(kept(home)) == 1
    said(capsys, runs[:4])
    assert len(kept(home)) == 2


def test_machines_are_told_where_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, made.pairs(home), as_json=True)
    assert json.loads(out) == {"what": "comparison", "path": str(kept(home)[0])}


def test_many_questions_are_one_table_and_who_is_alone_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = [made.run(home, arm, 1, leaders_in="faulted", name=f"2026-{arm}") for arm in (A, B)]
    lonely = made.run(home, A, 1, leaders_in="any", name="lonely")
    out, err = said(capsys, [*made.pairs(home, 1), *other, lonely], in_full=False)
    assert "gray, leaders in home" in out and "gray, leaders in faulted" in out
    assert "comparison:" not in out and len(kept(home)) == 2
    assert err.startswith(f"left out: {lonely.place} has no partner: only {A} was asked gray on pair, leaders in any.")


def test_controls_are_found_below_results_and_are_not_left_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calm = made.run(home, A, 1, faults=False)
    out, err = said(capsys, [*made.pairs(home, 1), calm])
    assert "Control, the same load without a fault" in out and err == ""
    assert json.loads(kept(home)[0].read_text())["arms"][A]["controls"] == [calm.place]


def test_one_arm_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match=r"no two runs can be set beside each other: left out: .* only memory was asked"):
        said(capsys, [made.run(home, A, 1)])
    assert kept(home) == []


# -- after `lab run` and `lab batch` -------------------------------------------------------------------------


def planned(home: Path, *arms: str) -> list[Plan]:
    batches.home(home)
    return [plan.make("one", arm=arm, runtime="memory") for arm in arms]


def outcome(run: Run) -> Outcome:
    return Outcome("gray", run.arm, run.seed, "home", str(run.path), "valid", True, [])


def after(
    capsys: pytest.CaptureFixture[str], plans: list[Plan], runs: list[Run], *, in_full: bool = False
) -> tuple[str, str]:
    many = Many(plans, Console(width=120), Console(stderr=True, width=400), as_json=False)
    many._say_comparisons([outcome(run) for run in runs], in_full=in_full)
    return capsys.readouterr()


def test_several_arms_end_with_a_comparison(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = after(capsys, planned(home, A, B), made.pairs(home, 1))
    assert "Arms beside each other" in out and err == ""
    assert len(kept(home)) == 1


def test_a_single_arm_says_nothing_more(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert after(capsys, planned(home, A), [made.run(home, A, 1)]) == ("", "")


def test_an_arm_that_could_not_be_run_is_said_and_costs_no_verdict(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = after(capsys, planned(home, A, B), [made.run(home, A, 1)])
    assert out == "" and "no two runs can be set beside each other" in err


def test_a_page_that_can_not_be_drawn_costs_no_numbers(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RunBroken("the kernel is gone.")

    monkeypatch.setattr(render, "draw", fails)
    out, err = after(capsys, planned(home, A, B), made.pairs(home, 1), in_full=True)
    assert err == "the kernel is gone.\n" and f"comparison: {kept(home)[0]}" in out


# -- lab compare -----------------------------------------------------------------------------------------------


def test_the_command_compares_what_it_is_given(home: Path) -> None:
    runs = made.pairs(home, 1)
    done = in_process.lab(home, "compare", *(str(run.path) for run in runs), "--no-pages")
    assert done.returncode == 0, done.stderr
    assert f"{A} beside {B}" in done.stdout
    folder = in_process.lab(home, "compare", str(home / "results"), "--no-pages", "--json")
    assert json.loads(folder.stdout)["path"] == str(kept(home)[0])


def test_nothing_proven_is_unknown(home: Path) -> None:
    runs = [made.run(home, arm, 1, verdict="unknown" if arm == B else "valid") for arm in (A, B)]
    done = in_process.lab(home, "compare", *(str(run.path) for run in runs), "--no-pages")
    assert done.returncode == 11, done.stderr


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(["none"], "neither a run nor a folder"), (["results/gray/memory"], "no two runs can be set beside each other")],
)
def test_refused_in_one_sentence(home: Path, names: list[str], sentence: str) -> None:
    made.run(home, A, 1)
    done = in_process.lab(home, "compare", *(str(home / name) for name in names))
    assert done.returncode == 12 and done.stdout == ""
    assert sentence in done.stderr and done.stderr.count("\n") == 1


# -- in Python and in a notebook ----------------------------------------------------------------------------------


def test_in_python_it_shows_itself(home: Path) -> None:
    runs = made.pairs(home)
    comparison = lab.compare([run.path for run in runs])
    assert f"{A} beside {B}" in comparison._repr_html_()
    assert comparison.data.seeds == [1, 2, 3]
    for piece in ("latency", "stale", "lags", "errors", "differences", "limits"):
        assert "<div class='lab'>" in getattr(comparison, piece)()


def test_in_python_one_question_at_a_time(home: Path) -> None:
    runs = [*made.pairs(home, 1)]
    calm = [made.run(home, arm, 1, faults=False) for arm in (A, B)]
    both = lab.compare(",".join(str(run.path) for run in [*runs, *calm]))
    assert both.data.experiment == "gray" and set(both.data.arms[B].controls) == {calm[1].place}
    other = [made.run(home, arm, 1, leaders_in="faulted", name=f"2026-{arm}") for arm in (A, B)]
    with pytest.raises(Refused, match=r"were asked 2 questions \(gray on pair, leaders in home; gray on pair, leaders"):
        lab.compare([run.path for run in [*runs, *other]])


def test_in_python_without_runs_each_arm_is_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches.home(home)
    made_runs = {run.arm: run for run in made.pairs(home, 1)}
    asked = []

    def runs(experiment: str, **given: object) -> Run:
        asked.append((experiment, given["arm"], given["seed"], given["runtime"]))
        return made_runs[str(given["arm"])]

    monkeypatch.setattr("lab.api.run", runs)
    assert lab.compare(experiment="one", arms=f"{A}, {B}", runtime="memory", seed=4).data.first == A
    assert asked == [("one", A, 4, "memory"), ("one", B, 4, "memory")]
    with pytest.raises(Refused, match="unknown backend"):
        lab.compare(experiment="one", arms=f"{A} memmory", runtime="memory")
    assert len(asked) == 2, "refused before the first one started"


def test_notebook_and_page_are_drawn_beside_the_numbers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [*made.pairs(home, 2), made.run(home, A, 9)]
    Beside(Console(width=120), Console(stderr=True)).say(runs)
    out, err = capsys.readouterr()
    assert err == ""
    folder = kept(home)[0].parent
    assert f"page: {folder}/compare.html" in out and f"notebook: {folder}/compare.ipynb" in out
    page = (folder / "compare.html").read_text()
    assert page.count("Plotly.newPlot(") == 3
    assert "<title>gray · memory, memory+bug=spreads · " in page
    assert "seed 9 (results/gray/memory/20260101T000009Z-s9): no partner" in page, "also who is left out"
    assert "/compare.ipynb" not in (folder / "compare.ipynb").read_text().replace('"compare.ipynb"', "")
    assert "How this was made" in page
