"""An experiment: what it asks, where and when it harms what, what it claims, and how to run it."""

from __future__ import annotations

from typing import Any

from lab import files, plan
from lab.backends import BACKENDS
from lab.batch import as_seen_from_here
from lab.checkers import CHECKERS
from lab.experiment import Arm, Experiment
from lab.plan import Plan, PlannedFault
from lab.show import docs, timeline, topologies
from lab.show.names import Thing, asked_as
from lab.show.paper import INDENT, Paper
from lab.show.takes import duration, takes_s

USUAL_ARM = "jetstream-stretched"
LEADERS = {
    "home": "each bucket is led in its own region, and the whole system outside the faulted one",
    "faulted": "everything is led in the region that the fault names, the worst place",
    "elsewhere": "everything is led outside the region that the fault names",
    "any": "leaders are left where they are",
}


def write(thing: Thing, paper: Paper) -> None:
    experiment = files.load(thing.path, Experiment)
    arm = next((text for text in experiment.expect if Arm.parse(text).backend in BACKENDS), USUAL_ARM)
    this = plan.make(thing.path, arm=arm)
    paper.title(f"experiment {thing.name}", as_seen_from_here(thing.path))
    if experiment.question:
        paper.say(experiment.question, indent=0)
    if experiment.source:
        paper.say(f"Source: {experiment.source}", indent=0)
    paper.heading(f"Where: topology {this.topology.name}, round-trip times in ms")
    topologies.matrix(this.topology, paper)
    paper.heading("When")
    paper.drawn(_line(this, paper.width))
    paper.say("Then settle: no load, and every region reads everything back.")
    paper.heading("Faults")
    _faults(this, paper)
    paper.heading("Leaders when the fault begins, and the load in every region")
    paper.items([("leaders_in", f"{experiment.leaders_in}: {LEADERS[experiment.leaders_in]}"), _load(this)])
    paper.heading("Hypothesis, what must hold")
    paper.items([(name, _promise(name)) for name in experiment.hypothesis])
    paper.heading("Expected to come out")
    paper.items([*_expected(experiment), ("everything else", "valid")])
    paper.heading(f"One run takes about {duration(takes_s(experiment))}")
    paper.command(f"make experiment EXPERIMENT={asked_as(thing)}")
    paper.command(f".venv/bin/lab run {asked_as(thing)} --arm {arm}")


def _line(this: Plan, width: int) -> list[str]:
    phases = this.experiment.phases
    faults = [
        (_label(fault), [(begin + _begin_s(this, fault), end + _begin_s(this, fault)) for begin, end in fault.pulses])
        for fault in this.faults
    ]
    named = [("steady", phases.steady_s), ("fault", phases.fault_s), ("recovery", phases.recovery_s)]
    return timeline.drawn(named, faults, width - INDENT)


def _faults(this: Plan, paper: Paper) -> None:
    """When each is in force and with which settings; what a kind does is said once."""
    for fault in this.faults:
        begin_s, end_s = (_begin_s(this, fault) + at_s for at_s in (fault.pulses[0][0], fault.pulses[-1][1]))
        times = f" in {len(fault.pulses)} times" if len(fault.pulses) > 1 else ""
        told = [f"{name} {docs.flow(value)}" for name, value in _values(fault).items()]
        paper.say(f"{_label(fault)}, {begin_s:g} s to {end_s:g} s{times}: {', '.join(told) or 'no settings'}")
    for kind, fault in {fault.kind: fault for fault in this.faults}.items():
        paper.blank()
        paper.item(kind, " ".join(docs.about(type(fault.fault))))
        meant = [(one.name, one.meaning) for one in docs.settings(type(fault.fault)) if one.meaning]
        paper.items(meant, indent=INDENT + len(kind) + 2)
    if not this.faults:
        paper.say("None: a control.")


def _label(fault: PlannedFault) -> str:
    """As in plans, but with the nodes where the file names some."""
    return f"{fault.kind} of {', '.join(fault.settings['nodes'])}" if fault.settings.get("nodes") else fault.label


def _begin_s(this: Plan, fault: PlannedFault) -> float:
    return this.experiment.phases.steady_s + fault.at_s


def _values(fault: PlannedFault) -> dict[str, Any]:
    """Every setting with the value it has, whoever gave it; none that is empty."""
    values = {one.name: getattr(fault.fault, one.name) for one in docs.settings(type(fault.fault))}
    return {name: value for name, value in values.items() if docs.flow(value)}


def _load(this: Plan) -> tuple[str, str]:
    told = ", ".join(f"{name} {docs.flow(value)}" for name, value in this.experiment.workload.settings.items())
    return "workload", f"{this.experiment.workload.kind}: {told}"


def _promise(name: str) -> str:
    """The first sentence of a checker's module, without its own name; a user's own may say nothing."""
    if name not in CHECKERS:
        return "; ".join(docs.paragraphs(plan.checker(name))[:1]) or "your own"
    return docs.paragraphs(docs.module(CHECKERS[name]))[0].partition(": ")[2].rstrip(".")


def _expected(experiment: Experiment) -> list[tuple[str, str]]:
    """A row an arm that the file speaks of."""
    rows = []
    for arm, checkers in experiment.expect.items():
        told = []
        for checker, word in checkers.items():
            said = (
                word
                if isinstance(word, str)
                else ", ".join(f"{one} with leaders_in {place}" for place, one in word.items())
            )
            told.append(f"{checker} {said}")
        rows.append((arm, "; ".join(told)))
    return rows
