"""How verdicts merge."""

from __future__ import annotations

from itertools import product

import pytest

from lab.verdict import ExpectedWord, Finding, VerdictWord, conclude, merge

TABLE: dict[tuple[VerdictWord, VerdictWord, VerdictWord], VerdictWord] = {
    # evidence, one checker, another → run
    ("valid", "valid", "valid"): "valid",
    ("valid", "valid", "invalid"): "invalid",
    ("valid", "valid", "unknown"): "unknown",
    ("valid", "invalid", "valid"): "invalid",
    ("valid", "invalid", "invalid"): "invalid",
    ("valid", "invalid", "unknown"): "invalid",
    ("valid", "unknown", "valid"): "unknown",
    ("valid", "unknown", "invalid"): "invalid",
    ("valid", "unknown", "unknown"): "unknown",
}
WORDS: tuple[VerdictWord, ...] = ("valid", "invalid", "unknown")


@pytest.mark.parametrize("words", list(product(WORDS, repeat=3)), ids="-".join)
def test_merge(words: tuple[VerdictWord, VerdictWord, VerdictWord]) -> None:
    """Evidence that isn't valid outweighs everything; the rest is the table."""
    assert merge(words[0], words[1:]) == TABLE.get(words, "unknown")


@pytest.mark.parametrize("evidence", WORDS)
def test_merge_with_no_checker_is_the_evidence(evidence: VerdictWord) -> None:
    assert merge(evidence, []) == ("valid" if evidence == "valid" else "unknown")


def finding(verdict: VerdictWord, expected: ExpectedWord = "valid") -> Finding:
    return Finding(verdict=verdict, why=[f"it is {verdict}"], expected=expected)


CONCLUSIONS: dict[str, tuple[list[Finding], VerdictWord, bool, list[str]]] = {
    "all well": ([finding("valid"), finding("valid")], "valid", True, ["it is valid"] * 2),
    "a known break": ([finding("valid"), finding("invalid", "invalid")], "invalid", True, ["it is invalid"]),
    "a new break": ([finding("valid"), finding("invalid")], "invalid", False, ["it is invalid"]),
    "a break that is gone": (
        [finding("valid"), finding("valid", "invalid")], "valid", False, ["it is valid"] * 2,
    ),
    "thin evidence hides a known break": (
        [finding("unknown"), finding("invalid", "invalid")], "unknown", False, ["it is unknown"],
    ),
    "unknown is never as expected": (
        [finding("valid"), finding("unknown", "unknown")], "unknown", False, ["it is unknown"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONCLUSIONS)
def test_conclude(case: str) -> None:
    findings, word, as_expected, why = CONCLUSIONS[case]
    verdict = conclude(["isolation"], dict(zip(("evidence", "isolation"), findings, strict=True)))
    assert (verdict.verdict, verdict.as_expected, verdict.why) == (word, as_expected, why)


@pytest.mark.parametrize(("word", "as_expected"), [("valid", True), ("invalid", True), ("unknown", False)])
def test_either_is_all_but_unknown(word: VerdictWord, as_expected: bool) -> None:
    assert finding(word, "either").as_expected is as_expected
