"""Names → the things meant: `latency` is a fault and a measure, `fault/latency` one of them, and
`./mine.yaml` whatever that file says it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import batch_file, files, plan
from lab.backends import BACKENDS
from lab.checkers import CHECKERS
from lab.errors import Refused, UnknownName
from lab.experiment import Experiment
from lab.faults import FAULTS
from lab.measures import MEASURES
from lab.workloads import WORKLOADS

REGISTRIES: Mapping[str, Mapping[str, str]] = {
    "backend": BACKENDS,
    "fault": FAULTS,
    "workload": WORKLOADS,
    "checker": CHECKERS,
    "measure": MEASURES,
}
FOLDERS = {"experiment": "experiments", "batch": "experiments", "topology": "topologies"}
KINDS = (*FOLDERS, *REGISTRIES)
FOR_TESTS = "memory"


@dataclass(frozen=True)
class Thing:
    """`kind` is one of KINDS. `path` is its file where it is one, `target` its `module:name` where
    it is registered."""

    kind: str
    name: str
    path: Path = Path()
    target: str = ""


def meant(text: str) -> list[Thing]:
    """Everything of that name, in the order of KINDS. Raises UnknownName."""
    if text.endswith((".yaml", ".yml")):
        return [_from_file(text)]
    kind, slash, name = text.partition("/")
    if slash and kind not in KINDS:
        raise UnknownName.of("kind", kind, KINDS, "Files end in .yaml.")
    known = [thing for thing in everything() if not slash or thing.kind == kind]
    found = [thing for thing in known if thing.name == (name if slash else text)]
    if not found:
        what, asked = (kind, name) if slash else ("name", text)
        raise UnknownName.of(what, asked, {thing.name for thing in known})
    return found


def everything() -> Iterator[Thing]:
    """All things, in the order of KINDS; files are told apart by what they hold, and not read further."""
    held = sorted((plan.home() / "experiments").glob("*.yaml"))
    for kind, is_batch in (("experiment", False), ("batch", True)):
        yield from (Thing(kind, path.stem, path) for path in held if batch_file.is_batch(path) == is_batch)
    for path in sorted((plan.home() / "topologies").glob("*.yaml")):
        yield Thing("topology", path.stem, path)
    for kind, registry in REGISTRIES.items():
        for name, target in registry.items():
            if name != FOR_TESTS:
                yield Thing(kind, name, target=target)


def experiments() -> Iterator[Experiment]:
    """Every experiment there is; a file that is refused is told of where it is shown itself."""
    for thing in everything():
        if thing.kind == "experiment":
            with contextlib.suppress(Refused):
                yield files.load(thing.path, Experiment)


def asked_as(thing: Thing) -> str:
    """What to type for it: its name where it stands among the others, else its path."""
    return thing.name if thing.path.parent.resolve() == _folder(thing).resolve() else str(thing.path)


def _folder(thing: Thing) -> Path:
    return plan.home() / FOLDERS[thing.kind]


def _from_file(text: str) -> Thing:
    path = files.find("YAML", text, Path())
    held = files.read(path)
    keys = set(held) if isinstance(held, Mapping) else set()
    kind = "batch" if "runs" in keys else "topology" if "regions" in keys else "experiment"
    return Thing(kind, path.stem, path)
