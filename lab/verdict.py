"""Three-valued verdicts, and how they merge.

`unknown` means not enough evidence: it is neither a pass nor a finding. Thin evidence outweighs
everything (a run that can't be trusted proves nothing), then a broken promise, then the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

VerdictWord = Literal["valid", "invalid", "unknown"]
ExpectedWord = Literal["valid", "invalid", "unknown", "either"]
"""What an experiment expects; `either`: known to come out valid or invalid, by chance."""
VERDICT_SCHEMA = 1


class Finding(BaseModel):
    """What one checker says, and why, in sentences."""

    model_config = ConfigDict(extra="forbid")

    verdict: VerdictWord
    why: list[str] = Field(default_factory=list)
    expected: ExpectedWord = "valid"

    @property
    def as_expected(self) -> bool:
        return self.verdict != "unknown" if self.expected == "either" else self.verdict == self.expected


class Verdict(BaseModel):
    """`verdict.json`: the word for the run, the sentences behind it, one entry per checker."""

    model_config = ConfigDict(extra="forbid")

    schema_version: int = VERDICT_SCHEMA
    verdict: VerdictWord
    hypothesis: list[str]
    why: list[str]
    as_expected: bool = Field(description="Every checker said what the experiment file expects.")
    checkers: dict[str, Finding]


def merge(evidence: VerdictWord, rest: Iterable[VerdictWord]) -> VerdictWord:
    """Evidence `unknown` → unknown; else any invalid → invalid; else any unknown → unknown; else valid."""
    words = list(rest)
    if evidence != "valid":
        return "unknown"
    if "invalid" in words:
        return "invalid"
    return "unknown" if "unknown" in words else "valid"


def conclude(hypothesis: list[str], findings: dict[str, Finding]) -> Verdict:
    """Merge the checkers' findings (among them `evidence`) into the run's verdict."""
    word = merge(
        findings["evidence"].verdict,
        [finding.verdict for name, finding in findings.items() if name != "evidence"],
    )
    why = [line for finding in findings.values() if finding.verdict == word for line in finding.why]
    as_expected = word != "unknown" and all(finding.as_expected for finding in findings.values())
    return Verdict(verdict=word, hypothesis=hypothesis, why=why, as_expected=as_expected, checkers=findings)
