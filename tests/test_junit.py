"""JUnit XML: counted right, readable by any parser, an expected `invalid` is a pass."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from lab import batch, junit
from lab.batch import Outcome
from lab.errors import RunBroken
from lab.plan import Plan
from lab.results import write_json
from lab.verdict import Finding, VerdictWord, conclude
from tests.batches import ask, home, judged


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    monkeypatch.setenv("LAB_HOME", str(home(tmp_path)))
    return ask().planned


def ended(this: Plan, directory: Path, **findings: Finding) -> Outcome:
    """A run of 12.5 s with these findings."""
    judged(this, directory)
    verdict = conclude([name for name in findings if name != "evidence"], findings)
    write_json(directory / "verdict.json", verdict.model_dump(mode="json"))
    found = batch.adopt(this, directory, print)
    assert found is not None
    return found


def read(*outcomes: Outcome) -> Element:
    return ElementTree.fromstring(junit.xml(outcomes))


def counts(of: Element) -> dict[str, int]:
    return {name: int(of.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}


MET = Finding(verdict="valid", why=["all met."])


def test_a_case_per_run_and_checker_in_a_suite_per_experiment(planned: list[Plan], tmp_path: Path) -> None:
    one = ended(planned[0], tmp_path / "1", evidence=MET, isolation=Finding(verdict="valid", why=["kept."]))
    other = ended(planned[1], tmp_path / "2", evidence=MET, isolation=Finding(verdict="invalid", why=["fell."]))
    again = ended(ask(8).planned[0], tmp_path / "3", evidence=MET)
    root = read(one, other, again)
    assert root.tag == "testsuites"
    assert [(suite.get("name"), counts(suite)) for suite in root] == [
        ("one", {"tests": 3, "failures": 0, "errors": 0, "skipped": 0}),
        ("two", {"tests": 2, "failures": 1, "errors": 0, "skipped": 0}),
    ]
    assert counts(root) == {"tests": 5, "failures": 1, "errors": 0, "skipped": 0}
    run = "memory, leaders in home, seed"
    assert [(case.get("classname"), case.get("name")) for case in root.iter("testcase")] == [
        ("one", f"{run} 7: evidence"),
        ("one", f"{run} 7: isolation"),
        ("one", f"{run} 8: evidence"),
        ("two", f"{run} 7: evidence"),
        ("two", f"{run} 7: isolation"),
    ]


def test_times_of_cases_add_up(planned: list[Plan], tmp_path: Path) -> None:
    root = read(*(ended(this, tmp_path / this.experiment.name, evidence=MET, isolation=MET) for this in planned[:2]))
    assert [case.get("time") for case in root.iter("testcase")] == ["12.500", "0.000"] * 2
    assert [suite.get("time") for suite in root] == ["12.500", "12.500"]
    assert root.get("time") == "25.000"


def finding(verdict: VerdictWord, expected: VerdictWord, *why: str) -> Finding:
    return Finding(verdict=verdict, expected=expected, why=list(why))


BETTER = "expected invalid, found valid"
CASES = [
    # what is found, the element it becomes, its message, its text
    ("as expected", finding("valid", "valid", "kept."), None, None, None),
    ("an expected invalid passes", finding("invalid", "invalid", "fell."), "system-out", None, "fell."),
    (
        "a surprise",
        finding("invalid", "valid", "us.", "eu."),
        "failure",
        "expected valid, found invalid: us.",
        "us.\neu.",
    ),
    ("better than expected", finding("valid", "invalid"), "failure", BETTER, BETTER),
    ("unknown", finding("unknown", "valid", "thin."), "error", "expected valid, found unknown: thin.", "thin."),
    ("expected unknown", finding("unknown", "unknown", "x."), "error", "expected unknown, found unknown: x.", "x."),
]


@pytest.mark.parametrize(("found", "tag", "message", "text"), [pytest.param(*row[1:], id=row[0]) for row in CASES])
def test_a_finding_is(
    planned: list[Plan], tmp_path: Path, found: Finding, tag: str | None, message: str | None, text: str | None
) -> None:
    root = read(ended(planned[0], tmp_path / "run", evidence=MET, isolation=found))
    [case] = [case for case in root.iter("testcase") if str(case.get("name")).endswith(": isolation")]
    assert [one.tag for one in case] == ([tag] if tag else [])
    for one in case:
        assert one.get("message") == message and one.text == text
    expected = {"failures": tag == "failure", "errors": tag == "error"}
    assert {name: counts(root)[name] for name in expected} == {name: int(value) for name, value in expected.items()}


def test_a_run_without_a_verdict_is_an_error(planned: list[Plan], tmp_path: Path) -> None:
    died = batch.not_made(planned[0], RunBroken("the sky fell."))
    gone = ended(planned[1], tmp_path / "gone", evidence=MET)
    (tmp_path / "gone" / "verdict.json").write_bytes(b"\0\0")
    (tmp_path / "gone" / "progress.jsonl").write_text("{\n")
    root = read(died, gone)
    assert counts(root) == {"tests": 2, "failures": 0, "errors": 2, "skipped": 0}
    assert [case.get("name") for case in root.iter("testcase")] == ["memory, leaders in home, seed 7: run"] * 2
    first = root.find("testsuite/testcase/error")
    assert first is not None and first.text == "the sky fell."


def test_whatever_a_sentence_holds_the_file_can_be_parsed(planned: list[Plan], tmp_path: Path) -> None:
    text = '\x1b[31m<b> & "\'"]]> \0 \ud800 \ufffe 🌍\nüß'
    shown = '\ufffd[31m<b> & "\'"]]> \ufffd \ufffd \ufffd 🌍\nüß'
    died = batch.not_made(planned[0], RunBroken(text))
    written = junit.xml([died])
    written.encode("utf-8")
    error = ElementTree.fromstring(written).find("testsuite/testcase/error")
    assert error is not None and error.text == shown
    assert str(error.get("message")).endswith(shown)


def test_a_run_that_proves_nothing_has_no_case_that_passes(planned: list[Plan], tmp_path: Path) -> None:
    thin = Finding(verdict="unknown", why=["loop lag."])
    fell = finding("invalid", "valid", "us.")
    root = read(ended(planned[0], tmp_path / "run", evidence=thin, isolation=MET, durability=fell))
    assert counts(root) == {"tests": 3, "failures": 0, "errors": 3, "skipped": 0}
    assert {error.text for error in root.iter("error")} == {"loop lag."}


def test_runs_that_were_not_made_are_an_error(planned: list[Plan], tmp_path: Path) -> None:
    root = ElementTree.fromstring(junit.xml([ended(planned[0], tmp_path / "run", evidence=MET)], left=3))
    assert counts(root) == {"tests": 2, "failures": 0, "errors": 1, "skipped": 0}
    [error] = root.iter("error")
    assert str(error.text).startswith("3 planned runs not made")


def test_no_runs_are_a_whole_file_too() -> None:
    assert counts(read()) == {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
