"""Examples that work: of a fault in an experiment file, of arms of a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.show import docs
from lab.show.docs import Setting
from lab.show.names import experiments

OTHER_VERSIONS = {"nats-server": "2.10.26"}
GIVEN = {"region": "sg", "nodes": ["sg-1"]}
BY_TYPE: dict[str, Any] = {"number": 100, "whole number": 100, "text": "sg"}


def of_fault(name: str, kind: type) -> list[str]:
    """As the first experiment that names the fault writes it, else with its least settings."""
    for planned in (fault for experiment in experiments() for fault in experiment.faults):
        if planned.kind == name:
            lasting = [] if planned.for_s is None else [f"    for_s: {planned.for_s:g}"]
            return _lines(name, planned.settings, [f"    at_s: {planned.at_s:g}", *lasting])
    return _lines(name, _least(docs.settings(kind)), ["    at_s: 0", "    for_s: 30"])


def of_arms(name: str, programs: Mapping[str, str], options: Sequence[Setting]) -> list[str]:
    """The plain arm, another version, a path, and an option that isn't at its default."""
    arms = [name]
    for program in programs:
        arms += [f"{name}@{OTHER_VERSIONS[program]}", f"{name}@./{program}"] if program in OTHER_VERSIONS else []
    for option in options:
        others = [value for value in option.kind.split(" | ") if value != option.default]
        if len(others) < len(option.kind.split(" | ")):
            arms.append(f"{name}+{option.name}={others[0]}")
            break
    return arms


def _lines(name: str, settings: Mapping[str, Any], rest: Sequence[str]) -> list[str]:
    return ["faults:", f"  - {name}: {docs.flow(settings)}", *rest]


def _least(settings: Sequence[Setting]) -> dict[str, Any]:
    """Values for what must be given, and a place for faults that need one."""
    least: dict[str, Any] = {}
    for setting in settings:
        if setting.name == "region" or (not setting.default and setting.name in GIVEN):
            least[setting.name] = GIVEN[setting.name]
        elif not setting.default:
            first = setting.kind.partition(" or ")[0]
            least[setting.name] = BY_TYPE.get(first, first.partition(" | ")[0])
    return least
