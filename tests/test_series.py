"""Many runs: the loop goes on, is resumed without repeating what was finished, and ends with one table."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab import batch, series
from lab.errors import BinaryMissing, LabError, Refused, RunBroken
from lab.ledger import Forgetful
from lab.plan import Plan
from lab.verdict import VerdictWord
from tests.batches import BATCH, EXPERIMENT, FakeHost, Killed, ask, go, home, judged, last, table

NAMES = ["one", "two", "three"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setenv("LAB_HOME", str(home(tmp_path)))
    (tmp_path / "runs").mkdir()
    return FakeHost(tmp_path / "runs")


def fresh(host: FakeHost, **killed: Callable[[Plan, Path], None]) -> FakeHost:
    """The next `lab batch`, with the same outcomes waiting."""
    return FakeHost(host.root, host.words, killed)


def nothing(this: Plan, directory: Path) -> None:
    """Killed before the runner began."""
    this.save(directory)


# -- the loop ------------------------------------------------------------------------------------------


def test_each_run_is_announced_with_what_is_left(host: FakeHost) -> None:
    planned = ask().planned
    series.conduct(planned, host, Forgetful(), lambda ended, left: None)
    each_s = planned[0].expected_s
    assert [said for said in host.said if " of " in said] == [
        f"{number} of 3: {name} on memory, leaders in home, seed 7, {each_s * (4 - number):.0f} s"
        for number, name in enumerate(NAMES, 1)
    ]


BROKEN: list[tuple[str, VerdictWord | LabError | OSError, str, int]] = [
    ("a surprise", "invalid", "invalid", 10),
    ("an unknown", "unknown", "unknown", 11),
    ("a run that breaks", RunBroken("the sky fell."), "unknown", 11),
    ("a binary that is gone", BinaryMissing("no such binary."), "refused", 12),
    ("a full disk", OSError(errno.ENOSPC, "No space left on device"), "unknown", 11),
]


@pytest.mark.parametrize(("word", "verdict", "code"), [pytest.param(*row[1:], id=row[0]) for row in BROKEN])
def test_goes_on_after(host: FakeHost, word: VerdictWord | LabError | OSError, verdict: str, code: int) -> None:
    host.words = {"one": word}
    outcomes = go(ask(), host)
    assert host.made == NAMES
    assert [one.verdict for one in outcomes] == [verdict, "valid", "valid"]
    assert batch.save(outcomes) == last()["exit_code"] == code
    assert outcomes[0].surprise, "what went wrong is said"


def test_what_could_not_be_made_is_tried_again_and_what_broke_by_itself_is_not(host: FakeHost) -> None:
    host.words = {"one": BinaryMissing("no such binary."), "two": "unknown"}
    assert [one.verdict for one in go(ask(), host)] == ["refused", "unknown", "valid"]
    again = FakeHost(host.root)
    assert [one.verdict for one in go(ask(), again)] == ["valid", "unknown", "valid"]
    assert again.made == ["one"]


def test_a_kill_leaves_a_true_last_json(host: FakeHost) -> None:
    with pytest.raises(Killed):
        go(ask(), fresh(host, two=nothing))
    found = last()
    assert (found["left"], found["exit_code"]) == (2, 11), "while runs are left, all is not well"
    assert [run["experiment"] for run in found["runs"]] == ["one"]  # type: ignore[attr-defined]
    go(ask(), fresh(host))
    assert (last()["left"], last()["exit_code"]) == (0, 0)


# -- killed, and started again -------------------------------------------------------------------------


KILLS: list[tuple[str, Callable[[Plan, Path], None], bool]] = [
    ("before it began", nothing, False),
    ("nothing written at all", lambda this, directory: None, False),
    ("interrupted", lambda this, directory: judged(this, directory, "unknown", end="cancelled"), False),
    ("its runner died", lambda this, directory: judged(this, directory, "unknown", end="died"), False),
    ("the moment after it ended", lambda this, directory: judged(this, directory, "invalid"), True),
    ("judged, and the runner died", lambda this, directory: judged(this, directory, "invalid", end="died"), True),
    ("unknown by itself", lambda this, directory: judged(this, directory, "unknown"), True),
    ("broken by itself", lambda this, directory: judged(this, directory, "unknown", end="broken"), True),
    ("a verdict torn by a power cut", lambda this, directory: _torn(this, directory, "verdict.json"), False),
    ("progress torn by a power cut", lambda this, directory: _torn(this, directory, "progress.jsonl"), False),
]


def _torn(this: Plan, directory: Path, name: str) -> None:
    judged(this, directory, "unknown")
    (directory / name).write_bytes(b"\0" * 40 + b"\n")


@pytest.mark.parametrize(("kill", "adopted"), [pytest.param(*row[1:], id=row[0]) for row in KILLS])
def test_a_run_in_progress_is_adopted_or_made_again(
    host: FakeHost, kill: Callable[[Plan, Path], None], adopted: bool
) -> None:
    with pytest.raises(Killed):
        go(ask(), fresh(host, two=kill))
    second = fresh(host)
    outcomes = go(ask(), second)
    assert second.made == (["three"] if adopted else ["two", "three"])
    assert second.adopted == (["two"] if adopted else [])
    assert [one.experiment for one in outcomes] == NAMES
    if not adopted:
        assert all(one.verdict == "valid" for one in outcomes)
    third = fresh(host)
    assert go(ask(), third) == outcomes
    assert third.made == third.adopted == []


@pytest.mark.parametrize("where", range(3))
def test_killed_anywhere_it_ends_with_the_same_table(host: FakeHost, tmp_path: Path, where: int) -> None:
    host.words = {"one": "invalid", "two": "unknown"}
    whole = ask(8)
    go(whole, fresh(host))
    with pytest.raises(Killed):
        go(ask(), fresh(host, **{NAMES[where]: nothing}))
    assert "not made" in table(ask())
    second = fresh(host)
    go(ask(), second)
    assert second.made == NAMES[where:]
    assert table(ask()) == table(whole).replace("| 8 |", "| 7 |")


def test_runs_nobody_saw_end_are_awaited_before_anything_is_made(host: FakeHost) -> None:
    with pytest.raises(Killed):
        go(ask(), fresh(host, two=nothing))
    [open_run] = [path for path in host.root.iterdir() if not (path / "verdict.json").exists()]
    for again in (False, True):
        second = fresh(host, two=nothing)
        with pytest.raises(Killed):
            go(ask(), second, again=again)
        assert second.said[0] == f"outlast {open_run.name}"


def test_a_finished_run_whose_directory_is_gone_is_made_again(host: FakeHost) -> None:
    outcomes = go(ask(), fresh(host))
    Path(outcomes[1].path).rename(host.root / "elsewhere")
    second = fresh(host)
    go(ask(), second)
    assert second.made == ["two"]


CHANGES = [
    ("the fault", "experiments/two.yaml", EXPERIMENT.replace("region: b", "region: a"), ["two"]),
    ("what is expected", "experiments/two.yaml", EXPERIMENT + "expect: {memory: {isolation: invalid}}\n", ["two"]),
    ("only the question's words", "experiments/two.yaml", EXPERIMENT.replace("Which?", "Which one?"), []),
    ("the topology", "topologies/pair.yaml", "regions: {a: {nodes: 1}, b: {nodes: 1}}\nrtt_ms: {a-b: 30}\n", NAMES),
    ("the batch: more", "experiments/all.yaml", BATCH.replace("one\n", "one\n    leaders_in: [home, any]\n"), ["one"]),
    ("the batch: less", "experiments/all.yaml", BATCH.replace("  - experiment: one\n", ""), []),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "made"), [pytest.param(*row[1:], id=row[0]) for row in CHANGES])
def test_only_what_was_changed_is_made_again(
    host: FakeHost, tmp_path: Path, file: str, text: str, made: list[str]
) -> None:
    go(ask(), fresh(host))
    assert (tmp_path / file).read_text() != text
    (tmp_path / file).write_text(text)
    second = fresh(host)
    outcomes = go(ask(), second)
    assert second.made == made
    assert len(outcomes) == len(ask().planned)


def test_again_makes_everything_anew_and_can_itself_be_resumed(host: FakeHost) -> None:
    host.words = {"one": "invalid"}
    go(ask(), fresh(host))
    host.words = {}
    with pytest.raises(Killed):
        go(ask(again=True), fresh(host, two=nothing), again=True)
    second = fresh(host)
    assert [one.verdict for one in go(ask(), second)] == ["valid"] * 3
    assert second.made == ["two", "three"]


def test_it_says_how_far_it_got(host: FakeHost) -> None:
    with pytest.raises(Killed):
        go(ask(), fresh(host, three=nothing))
    with series.opened(ask(), again=False) as kept:
        assert ask().standing(kept) == "batch all, seed 7: 2 of 3 runs are finished."
    go(ask(), fresh(host))
    with series.opened(ask(), again=False) as kept:
        assert ask().standing(kept) == (
            "batch all, seed 7 is complete: all 3 runs are finished; `--again` makes them anew."
        )


# -- which batch is meant ------------------------------------------------------------------------------

EVE = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)


def at(now: datetime, seed: int | None = None, *, again: bool = False) -> series.Batch:
    return series.asked("all", arms=[], runtime="memory", seed=seed, again=again, now=now)


def begin(asked: series.Batch, now: datetime, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lab batch` at that time."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return now

    with monkeypatch.context() as patch:
        patch.setattr(series, "datetime", Stopped)
        go(asked, host)


def test_the_seed_is_the_utc_date(host: FakeHost) -> None:
    assert at(EVE).seed == 20261123
    assert at(EVE + timedelta(minutes=20)).seed == 20261124
    assert at(EVE, 5).seed == 5
    assert [this.seed for this in at(EVE).planned] == [20261123] * 3


def test_an_unfinished_batch_is_resumed_when_the_date_has_turned(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        begin(at(EVE), EVE, fresh(host, two=nothing), monkeypatch)
    later = EVE + timedelta(hours=5)
    assert at(later).seed == 20261123
    assert at(later, again=True).seed == 20261124
    assert at(later, 9).seed == 9
    assert at(EVE + timedelta(hours=23, minutes=59)).seed == 20261123
    assert at(EVE + timedelta(hours=24)).seed == 20261124
    with pytest.raises(Killed):
        begin(at(later), later, fresh(host, three=nothing), monkeypatch)
    assert at(EVE + timedelta(hours=24)).seed == 20261124, "it counts from its first begin"
    begin(at(later), later, fresh(host), monkeypatch)
    assert at(later).seed == 20261124, "that one is complete"


def test_a_batch_of_other_content_or_of_a_given_seed_is_not_resumed(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = EVE + timedelta(hours=1)
    with pytest.raises(Killed):
        begin(at(EVE, 5), EVE, fresh(host, two=nothing), monkeypatch)
    assert at(later).seed == 20261124
    with pytest.raises(Killed):
        begin(at(EVE), EVE, fresh(host, two=nothing), monkeypatch)
    assert at(later).seed == 20261123
    file = tmp_path / "experiments" / "all.yaml"
    file.write_text("# a comment\n" + BATCH.replace("All three.", "All."))
    assert at(later).seed == 20261123, "words don't matter"
    file.write_text(BATCH + "repeats: 2\n")
    assert at(later).seed == 20261124
    file.write_text(BATCH)
    other = series.asked("all", arms=["memory+bug=spreads"], runtime="memory", seed=None, again=False, now=later)
    assert other.seed == 20261124


def test_of_two_unfinished_batches_the_newest_is_resumed(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for now, again in ((EVE, False), (EVE + timedelta(hours=1), True)):
        with pytest.raises(Killed):
            begin(at(now, again=again), now, fresh(host, two=nothing), monkeypatch)
    assert at(EVE + timedelta(hours=2)).seed == 20261124


def test_a_batch_whose_name_begins_alike_is_another(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Killed):
        begin(at(EVE), EVE, fresh(host, two=nothing), monkeypatch)
    asked = at(EVE)
    (asked.folder).rename(asked.folder.with_name("all-more-20261123"))
    assert at(EVE + timedelta(hours=1)).seed == 20261124


# -- what is refused before anything is written --------------------------------------------------------

REFUSED = [
    # what is wrong, what is changed in the batch file, the sentence
    ("an unknown experiment", ("two", "tow"), r"4: unknown experiment 'tow' .* known: one, three, two\."),
    ("the batch itself", ("two", "all"), r"4: .*all.yaml:1: expected an experiment, found a batch"),
    ("an unknown topology", ("two", "two\n    topology: pear"), r"4: unknown topology 'pear'"),
    ("an arm that does not fit", ("[memory]", "[jetstream-stretched]"), r"3: .*does not run on runtime"),
    ("a run twice", ("two", "one"), r"4: one on memory, leaders in home, seed 7 is in this batch twice; `repeats"),
    ("an arm twice", ("[memory]", "[memory, memory]"), r"3: one on memory, .* twice"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_refused_as_a_whole_and_with_its_line(
    host: FakeHost, tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    assert change[0] in BATCH
    (tmp_path / "experiments" / "all.yaml").write_text(BATCH.replace(*change))
    with pytest.raises(Refused, match=f"all.yaml:{sentence}"):
        ask()
    assert not series.folder().exists()


def test_placements_and_repeats_multiply(host: FakeHost, tmp_path: Path) -> None:
    text = BATCH.replace("two", "two\n    leaders_in: [home, faulted]\n    repeats: 3") + "repeats: 2\n"
    (tmp_path / "experiments" / "all.yaml").write_text(text)
    found = [(this.experiment.name, this.experiment.leaders_in, this.seed) for this in ask().planned]
    assert found == [
        *(("one", "home", seed) for seed in (7, 8)),
        *(("two", placed, seed) for placed in ("home", "faulted") for seed in (7, 8, 9)),
        *(("three", "home", seed) for seed in (7, 8)),
    ]


def test_arms_of_the_command_line_replace_the_files(host: FakeHost, tmp_path: Path) -> None:
    text = BATCH.replace("two", "two\n    arms: [memory+bug=loses_writes]")
    (tmp_path / "experiments" / "all.yaml").write_text(text)
    assert [this.arm.text for this in ask().planned] == ["memory", "memory+bug=loses_writes", "memory"]
    assert [this.arm.text for this in ask(arms=["memory+bug=spreads"]).planned] == ["memory+bug=spreads"] * 3
    with pytest.raises(Refused, match=r"arm 'memory@' is not of the form"):
        ask(arms=["memory@"])
