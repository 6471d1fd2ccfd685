"""Runs as JUnit XML, as Jenkins, GitLab and GitHub's reporters read it.

One suite per experiment, one case per run and checker. `unknown` is an error, what was not
expected a failure, what was expected a pass, an expected `invalid` too. A run without evidence has
shown nothing, so all its cases are errors; runs that were not made are one more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lab.batch import Outcome
from lab.errors import LabError
from lab.launch import Progress
from lab.results import Run
from lab.verdict import Finding

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
COUNTED = {
    "tests": "testcase",
    "failures": "testcase/failure",
    "errors": "testcase/error",
    "skipped": "testcase/skipped",
}


def xml(outcomes: Sequence[Outcome], left: int = 0) -> str:
    """The whole document. left: how many runs were planned beside these, and not made."""
    root = Element("testsuites", name="isolation-lab")
    for experiment, group in groupby(sorted(outcomes, key=_experiment), key=_experiment):
        suite = SubElement(root, "testsuite", name=_clean(experiment))
        for outcome in group:
            _cases(suite, outcome)
        _count(suite, "")
    if left:
        suite = SubElement(root, "testsuite", name="not made")
        said = f"{left} planned run{'s' if left > 1 else ''} not made: the command ended, or was ended, before"
        case = SubElement(suite, "testcase", name="every planned run", classname="isolation-lab", time="0.000")
        SubElement(case, "error", type="unknown", message=said).text = said
        _count(suite, "")
    _count(root, "testsuite/")
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _experiment(outcome: Outcome) -> str:
    return outcome.experiment


def _cases(suite: Element, outcome: Outcome) -> None:
    """A case per checker; the first bears the run's whole time, so that a suite's is the sum of its cases'."""
    found, took_s = _findings(outcome), _took_s(outcome)
    if not found:
        said = Finding(verdict="unknown", why=outcome.why)
        _case(suite, outcome, "run", said, took_s)
    evidence = found.get("evidence")
    for number, (checker, finding) in enumerate(found.items()):
        if evidence and evidence.verdict == "unknown":
            finding = finding.model_copy(update={"verdict": "unknown", "why": evidence.why})
        _case(suite, outcome, checker, finding, 0.0 if number else took_s)


def _case(suite: Element, outcome: Outcome, checker: str, finding: Finding, took_s: float) -> None:
    run = f"{outcome.arm}, leaders in {outcome.leaders_in}, seed {outcome.seed}"
    case = SubElement(
        suite, "testcase", name=_clean(f"{run}: {checker}"), classname=_clean(outcome.experiment), time=f"{took_s:.3f}"
    )
    why = _clean("\n".join(finding.why))
    first = f": {finding.why[0]}" if finding.why else ""
    said = _clean(f"expected {finding.expected}, found {finding.verdict}{first}")
    if finding.verdict == "unknown":
        SubElement(case, "error", type="unknown", message=said).text = why or said
    elif not finding.as_expected:
        SubElement(case, "failure", type=finding.verdict, message=said).text = why or said
    elif finding.verdict == "invalid":
        SubElement(case, "system-out").text = why or said


def _findings(outcome: Outcome) -> dict[str, Finding]:
    """What each checker said; {} of a run that was never judged."""
    try:
        return Run(Path(outcome.path)).verdict.checkers if outcome.path else {}
    except (LabError, OSError):
        return {}


def _took_s(outcome: Outcome) -> float:
    """From the first to the last line of the run's progress."""
    try:
        at_ns = [int(line["at_ns"]) for line in Progress(Path(outcome.path)).new()] if outcome.path else []
    except (OSError, ValueError, KeyError):
        at_ns = []
    return (max(at_ns) - min(at_ns)) / 1e9 if at_ns else 0.0


def _count(of: Element, below: str) -> None:
    for name, path in COUNTED.items():
        of.set(name, str(len(of.findall(below + path))))
    of.set("time", f"{sum(float(case.get('time', 0)) for case in of.findall(f'{below}testcase')):.3f}")


def _clean(text: str) -> str:
    """Characters that XML 1.0 can't hold, such as colour codes of a log line, are replaced."""
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
