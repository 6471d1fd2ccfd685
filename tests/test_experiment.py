"""Arms, fault plans, phases and expectations, as files and commands write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lab.errors import Refused
from lab.experiment import Arm, Experiment, FaultPlan, Phases, WorkloadPlan

ARMS = {
    "backend": ("syncstore", Arm("syncstore"), "syncstore"),
    "version": (
        "jetstream-stretched@2.10.26",
        Arm("jetstream-stretched", "2.10.26"),
        "jetstream-stretched@2.10.26",
    ),
    "path": ("js@./build/nats", Arm("js", "./build/nats"), "js@._build_nats"),
    "image": ("js@image:own/nats:2", Arm("js", "image:own/nats:2"), "js@image_own_nats_2"),
    "option": ("js+sync=always", Arm("js", "", (("sync", "always"),)), "js+sync=always"),
    "options in any order": (
        "js@2.9.10+z=1+a=x=y",
        Arm("js", "2.9.10", (("a", "x=y"), ("z", "1"))),
        "js@2.9.10+a=x=y+z=1",
    ),
    "spaces around": (" js ", Arm("js"), "js"),
    "very long": ("js@/" + "x" * 200, Arm("js", "/" + "x" * 200), "js@_" + "x" * 116),
}


@pytest.mark.parametrize("case", ARMS)
def test_arm(case: str) -> None:
    text, arm, slug = ARMS[case]
    assert Arm.parse(text) == arm and arm.slug == slug
    assert Arm.parse(arm.text) == arm and str(arm) == arm.text


NOT_ARMS = {
    "nothing": "",
    "capitals": "JetStream",
    "digit first": "2js",
    "inner space": "j s",
    "slash": "./js",
    "option without value": "js+sync",
    "option with empty value": "js+sync=",
    "option without name": "js+=x",
    "empty option": "js+",
    "option twice": "js+a=1+a=2",
    "empty version": "js@",
    "plus in a path": "js@./a+b",
}


@pytest.mark.parametrize("case", NOT_ARMS)
def test_not_an_arm(case: str) -> None:
    with pytest.raises(Refused) as refusal:
        Arm.parse(NOT_ARMS[case])
    assert str(refusal.value) == (
        f"arm {NOT_ARMS[case]!r} is not of the form backend[@version|@path][+option=value…], "
        "for example jetstream-stretched@2.10.26+sync=always."
    )


FORMS: dict[str, tuple[Any, FaultPlan]] = {
    "a name": ("none", FaultPlan(kind="none")),
    "a name as key": ({"restart": None}, FaultPlan(kind="restart")),
    "settings": ({"cut": {"region": "sg"}}, FaultPlan(kind="cut", settings={"region": "sg"})),
    "times beside": (
        {"cut": {"how": "stall"}, "at_s": 2, "for_s": 5.5},
        FaultPlan(kind="cut", settings={"how": "stall"}, at_s=2, for_s=5.5),
    ),
    "as dumped": (
        {"kind": "cut", "settings": {"region": "sg"}, "at_s": 1.0, "for_s": None},
        FaultPlan(kind="cut", settings={"region": "sg"}, at_s=1),
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_fault_plan(case: str) -> None:
    data, plan = FORMS[case]
    assert FaultPlan.model_validate(data) == plan
    assert FaultPlan.model_validate(plan.model_dump()) == plan


NOT_FORMS: dict[str, tuple[Any, str]] = {
    "times alone": ({"at_s": 1}, "expected exactly one fault name beside at_s, for_s, found none"),
    "two faults": (
        {"cut": {}, "rate": {}},
        "expected exactly one fault name beside at_s, for_s, found 'cut', 'rate'",
    ),
    "settings a list": ({"cut": ["sg"]}, r"settings of 'cut' as `{key: value}`, found \['sg'\]"),
    "a list": ([], "valid dictionary"),
    "before the phase": ({"cut": {}, "at_s": -1}, "greater than or equal to 0"),
}


@pytest.mark.parametrize("case", NOT_FORMS)
def test_not_a_fault_plan(case: str) -> None:
    data, words = NOT_FORMS[case]
    with pytest.raises(ValidationError, match=words):
        FaultPlan.model_validate(data)


def test_workload_forms() -> None:
    assert Experiment.model_validate({"topology": "t"}).workload == WorkloadPlan(kind="kv")
    plan = WorkloadPlan.model_validate({"kv": {"rate_per_s": 50}})
    assert plan == WorkloadPlan(kind="kv", settings={"rate_per_s": 50})
    with pytest.raises(ValidationError, match="expected exactly one workload name, found 'kv', 'at_s'"):
        WorkloadPlan.model_validate({"kv": {}, "at_s": 1})


TIMES = {
    "the whole phase": (0, 30, ""),
    "the rest": (29.9, None, ""),
    "ends with it, in floating point": (3.3, 26.7, ""),
    "one second over": (1, 30, "'cut' to end with .* has 30 s, found it from 1 s for 30 s; shorten"),
    "begins at its end": (30, None, "'cut' to end with .* has 30 s, found it from 30 s for the rest; shorten"),
    "begins after it": (31, 1, "'cut' to end with .* has 30 s, found it from 31 s for 1 s; shorten"),
}


@pytest.mark.parametrize("case", TIMES)
def test_faults_end_with_their_phase(case: str) -> None:
    at_s, for_s, words = TIMES[case]
    data = {"topology": "t", "faults": ["none", {"cut": {}, "at_s": at_s, "for_s": for_s}]}
    if not words:
        assert len(Experiment.model_validate(data).faults) == 2
    else:
        with pytest.raises(ValidationError, match=words):
            Experiment.model_validate(data)


def test_phases() -> None:
    assert Phases().load_s == 62
    with pytest.raises(ValidationError):
        Phases(steady_s=3)


EXPECT = {
    "js": {"isolation": "invalid", "durability": {"home": "valid", "faulted": "invalid"}},
    "js@2.9.10+b=2+a=1": {"convergence": "unknown"},
}
EXPECTED = {
    "backend": ("js", "isolation", "home", "invalid"),
    "backend, any version": ("js@2.10.26", "isolation", "any", "invalid"),
    "variant": ("js", "durability", "faulted", "invalid"),
    "other variant": ("js", "durability", "home", "valid"),
    "variant not named": ("js", "durability", "elsewhere", "valid"),
    "checker not named": ("js", "sessions", "home", "valid"),
    "arm not named": ("syncstore", "isolation", "home", "valid"),
    "own arm, options in any order": ("js@2.9.10+a=1+b=2", "convergence", "home", "unknown"),
    "own arm outweighs its backend": ("js@2.9.10+a=1+b=2", "isolation", "home", "valid"),
}


@pytest.mark.parametrize("case", EXPECTED)
def test_expected(case: str) -> None:
    arm, checker, leaders_in, word = EXPECTED[case]
    experiment = Experiment.model_validate({"topology": "t", "leaders_in": leaders_in, "expect": EXPECT})
    assert experiment.expected(Arm.parse(arm), checker) == word
