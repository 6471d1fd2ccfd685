"""Who is set beside whom: asked the same, by seed; what has no partner is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import files
from lab.comparison import gather, named, pairing
from lab.errors import Refused
from lab.results import Run
from lab.topology import Topology
from tests.comparison import made
from tests.comparison.made import A, B

FARTHER = {"regions": {"us": {"nodes": 1}, "sg": {"nodes": 1}}, "rtt_ms": {"us-sg": 9}, "name": "other"}


def test_arms_of_one_question_are_paired_by_seed(tmp_path: Path) -> None:
    [question] = pairing.questions(made.pairs(tmp_path))
    assert {arm: sorted(of_arm) for arm, of_arm in question.arms.items()} == {A: [1, 2, 3], B: [1, 2, 3]}
    assert pairing.pair(question) == ([1, 2, 3], [])
    assert question.words == "gray on pair, leaders in home"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"leaders_in": "faulted"}, id="leaders"),
        pytest.param({"topology": Topology.model_validate(FARTHER)}, id="topology"),
        pytest.param({"faults": False}, id="experiment"),
    ],
)
def test_what_was_asked_otherwise_is_another_question(tmp_path: Path, other: dict[str, object]) -> None:
    runs = [made.run(tmp_path, A, 1), made.run(tmp_path, B, 1, **other)]  # type: ignore[arg-type]
    found = pairing.questions(runs)
    assert [list(question.arms) for question in found] == [[A], [B]]
    [sentence] = pairing.alone(found[1])
    assert runs[1].place in sentence and f"only {B} was asked {found[1].words}" in sentence


def test_an_experiment_edited_in_the_meantime_is_another_question(tmp_path: Path) -> None:
    first, other = made.run(tmp_path, A, 1), made.run(tmp_path, B, 1)
    edited = other.experiment.model_copy(update={"phases": other.experiment.phases.model_copy(update={"fault_s": 99})})
    files.dump(edited, other.path / "experiment.yaml")
    assert len(pairing.questions([first, Run.at(other.path)])) == 2


def test_another_wording_or_expectation_is_not(tmp_path: Path) -> None:
    first, other = made.run(tmp_path, A, 1), made.run(tmp_path, B, 1)
    reworded = other.experiment.model_copy(update={"question": "Who?", "expect": {A: {"isolation": "invalid"}}})
    files.dump(reworded, other.path / "experiment.yaml")
    assert len(pairing.questions([first, Run.at(other.path)])) == 1


def test_a_seed_that_only_one_arm_has_is_named(tmp_path: Path) -> None:
    runs = [*made.pairs(tmp_path, 2), made.run(tmp_path, A, 9)]
    seeds, [left] = pairing.pair(pairing.questions(runs)[0])
    assert seeds == [1, 2]
    assert (left.arm, left.seed, left.run) == (A, 9, runs[-1].place)
    assert left.why == f"no partner of seed 9: none of {B}"


def test_a_run_that_proves_nothing_takes_its_partner_along(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, arm, seed, verdict="unknown" if (arm, seed) == (B, 2) else "valid")
            for seed in (1, 2) for arm in (A, B)]  # fmt: skip
    found = made.compared(runs)
    assert found.data.seeds == [1]
    assert [(one.arm, one.seed, one.why) for one in found.data.left_out] == [
        (A, 2, f"no partner of seed 2: that of {B} is unknown"),
        (B, 2, "unknown: loop lag p99 34 ms > 10 ms (and 1 more)"),
    ]
    assert [run.counts for run in found.data.arms[A].runs] == [True, False]


def test_an_arm_that_proved_nothing_takes_no_seed_from_the_others(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, arm, 1, verdict="unknown" if arm == B else "valid") for arm in (A, B)]
    found = made.compared(runs)
    assert found.data.seeds == [1] and not found.data.decides
    number = found.data.number("availability", "us", "overall", "fault")
    assert number.arms[A] is not None and number.arms[B] is None and number.differences[B] is None


def test_a_run_that_died_is_named(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, A, 1), made.run(tmp_path, B, 1)]
    (runs[1].path / "verdict.json").unlink()
    assert [one.why for one in made.compared(runs).data.left_out] == ["unknown: the run died before it was judged"]


def test_of_equal_seeds_the_last_counts_and_the_other_is_named(tmp_path: Path) -> None:
    old = made.run(tmp_path, A, 1, name="old", us_fault=0.2)
    new = made.run(tmp_path, A, 1, name="new", us_fault=0.9)
    found = made.compared([old, new, made.run(tmp_path, B, 1)])
    held = found.data.number("availability", "us", "overall", "fault").arms[A]
    assert held is not None and held.values == [0.9]
    assert [(one.run, one.why) for one in found.data.left_out] == [
        (old.place, "a later run of the same arm and seed counts")
    ]
    assert list(found.given) == [old, new, *found.runs[B]]


def test_versions_of_one_arm_are_arms_of_their_own(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, A, 1, name=version, programs={"nats-server": version}) for version in ("2.10", "2.15")]
    found = made.compared(runs)
    assert list(found.data.arms) == [f"{A} (nats-server 2.10)", f"{A} (nats-server 2.15)"]
    assert found.data.left_out == []


def test_one_arm_is_no_comparison(tmp_path: Path) -> None:
    [question] = pairing.questions([made.run(tmp_path, A, 1), made.run(tmp_path, A, 2)])
    with pytest.raises(Refused, match=f"only {A} was asked gray on pair"):
        gather.compare(question)


# -- what people name -------------------------------------------------------------------------------------


def test_runs_are_named_by_list_text_or_folder(tmp_path: Path) -> None:
    runs = made.pairs(tmp_path, 2)
    paths = [run.path for run in runs]
    assert named.found([str(path) for path in paths], print) == runs
    assert named.found(", ".join(map(str, paths)), print) == runs
    below = named.found(tmp_path, print)
    assert sorted(run.path for run in below) == sorted(paths)
    assert [run.seed for run in below] == [1, 1, 2, 2], "by their directories' names"
    assert named.found([tmp_path, paths[0]], print) == below, "each once"


def test_a_folder_tells_which_of_its_runs_can_not_be_read(tmp_path: Path) -> None:
    runs, said = made.pairs(tmp_path, 1), list[str]()
    (runs[0].path / "measurements.json").write_text("{}x")
    assert named.found(tmp_path, said.append) == runs[1:]
    assert len(said) == 1 and "measurements.json is not as this version of the lab writes it" in said[0]


@pytest.mark.parametrize("path", ["", "none"])
def test_neither_run_nor_folder_of_runs(tmp_path: Path, path: str) -> None:
    with pytest.raises(Refused, match="neither a run nor a folder that holds any"):
        named.found([tmp_path / path], print)
