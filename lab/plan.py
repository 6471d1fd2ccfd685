"""Names → things. The only reader of the registries; refuses before anything starts.

A plan is data plus the objects it names. `plan.json` holds no port, path or time: equal
experiment, arm, runtime and seed give equal bytes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

from lab import batch_file, files, parts
from lab.backends import BACKENDS
from lab.checkers import CHECKERS
from lab.clock import seeded
from lab.errors import DoesNotFit, Refused, UnknownName
from lab.experiment import Arm, Experiment, FaultPlan, LeadersIn, WorkloadPlan
from lab.faults import FAULTS
from lab.measures import MEASURES
from lab.network import NETWORKS
from lab.protocols import (
    Backend,
    Fault,
    FaultContext,
    HarmsNodes,
    Impairment,
    Network,
    PlacesLeaders,
    Program,
    Pulses,
    RunFiles,
    Runtime,
    Workload,
)
from lab.results import Run, write_json
from lab.runtimes import ENGINE_ANSWERS, ENGINE_CONNECTED, ENGINE_VERSION, RUNTIMES
from lab.runtimes.ports import BLOCK
from lab.topology import Link, Topology
from lab.workloads import WORKLOADS

EVIDENCE = "evidence"
LEADERS_IN = ("home", "faulted", "elsewhere", "any")
TOXIPROXY = "toxiproxy-server"
SPARE_PORTS = 50  # some of a block may be taken by others
# What a run takes beside its phases, for the estimate: bring-up, settle, judging, rendering.
AROUND_S = {"deploy": 25, "settle": 10, "report": 12}


@dataclass(frozen=True)
class PlannedFault:
    """One fault with everything left to chance drawn."""

    kind: str
    fault: Fault
    settings: Mapping[str, Any]
    impairments: Mapping[Link, Impairment]
    nodes: Mapping[str, str]
    at_s: float
    pulses: Sequence[tuple[float, float]]

    @property
    def end_s(self) -> float:
        return self.at_s + self.pulses[-1][1]

    @property
    def label(self) -> str:
        where = ", ".join(self.settings.get("nodes") or self.fault.targets)
        return f"{self.kind} of {where}" if where else self.kind


@dataclass(frozen=True)
class Plan:
    """One run, before it begins."""

    experiment: Experiment
    topology: Topology
    arm: Arm
    seed: int
    runtime: str
    backend: Backend
    workload: Workload
    faults: tuple[PlannedFault, ...]
    instead: str = ""
    """The topology asked for instead of the experiment's own; then the experiment's name says so."""

    @property
    def asked(self) -> str:
        """The experiment as it is asked for by name."""
        return self.experiment.name.removesuffix(_suffix(self.topology)) if self.instead else self.experiment.name

    @property
    def faulted(self) -> tuple[str, ...]:
        """The regions that faults name."""
        return tuple(sorted({region for fault in self.faults for region in fault.fault.targets}))

    @property
    def expected_s(self) -> float:
        """About how long the run takes, report included."""
        return self.experiment.phases.load_s + sum(AROUND_S.values())

    def leaders_wanted(self) -> dict[str, list[str]]:
        """bucket or `meta` → regions that may lead it when the fault is entered; {} for `any`."""
        regions, faulted = list(self.topology.regions), list(self.faulted)
        others = [region for region in regions if region not in faulted]
        buckets = self.workload.buckets(regions)
        match self.experiment.leaders_in:
            case "home":
                return {bucket: [bucket] for bucket in buckets} | {"meta": others or regions}
            case "faulted":
                return {subject: faulted for subject in [*buckets, "meta"]}
            case "elsewhere":
                return {subject: others for subject in [*buckets, "meta"]}
            case _:
                return {}

    def as_json(self) -> dict[str, Any]:
        """What will be done, and nothing that differs between two equal runs."""
        regions = list(self.topology.regions)
        return {
            "experiment": self.experiment.name,
            "asked": self.asked,
            "topology_instead": self.instead,
            "question": self.experiment.question,
            "arm": self.arm.text,
            "programs": dict(self.backend.programs()),
            "seed": self.seed,
            "runtime": self.runtime,
            "leaders_in": self.experiment.leaders_in,
            "phases": self.experiment.phases.model_dump(),
            "workload": {"kind": self.experiment.workload.kind, "settings": asdict(self.workload)},  # type: ignore[call-overload]
            "operations": {region: self._counts(region) for region in regions},
            "faults": [
                {
                    "kind": fault.kind,
                    "settings": dict(fault.settings),
                    "targets": list(fault.fault.targets),
                    "at_s": fault.at_s,
                    "pulses_s": [list(pulse) for pulse in fault.pulses],
                    "links": {str(link): harm.as_event() for link, harm in fault.impairments.items()},
                    "nodes": dict(fault.nodes),
                }
                for fault in self.faults
            ],
            "hypothesis": self.experiment.hypothesis,
            "expected": {
                checker: self.experiment.expected(self.arm, checker) for checker in self.experiment.hypothesis
            },
        }

    def _counts(self, region: str) -> dict[str, int]:
        regions, load_s = list(self.topology.regions), self.experiment.phases.load_s
        due = self.workload.operations(region, regions, load_s, self.seed)
        return dict(Counter(self.workload.kind(region, one) for one in due))

    def sentences(self) -> list[str]:
        """What will be done and how long it takes, for people."""
        phases, topology = self.experiment.phases, self.topology
        faults = [f"{fault.label} at +{fault.at_s:g} s" for fault in self.faults] or ["no fault"]
        return [
            f"{self.experiment.name}: {self.experiment.question}",
            f"{self.arm} ({', '.join(f'{p} {v}' for p, v in self.backend.programs().items()) or 'in memory'}) on "
            f"{len(topology.nodes)} nodes in {', '.join(topology.regions)}; runtime {self.runtime}; "
            f"leaders in: {self.experiment.leaders_in}; seed {self.seed}.",
            f"{phases.steady_s:g} s steady, {phases.fault_s:g} s fault ({'; '.join(faults)}), "
            f"{phases.recovery_s:g} s recovery: about {self.expected_s:.0f} s with bring-up and report.",
        ]

    def save(self, directory: Path) -> None:
        """Write what the run's child process, and every later reader, works from."""
        files.dump(self.experiment, directory / "experiment.yaml")
        files.dump(self.topology, directory / "topology.yaml")
        write_json(directory / "plan.json", self.as_json())

    @classmethod
    def load(cls, directory: Path) -> Plan:
        """The plan of a run directory."""
        run = Run.at(directory)
        return _assemble(
            run.experiment,
            run.topology,
            Arm.parse(run.arm),
            str(run.plan["runtime"]),
            run.seed,
            str(run.plan.get("topology_instead", "")),
        )


def make(
    experiment: str | Path,
    *,
    arm: str,
    runtime: str = "auto",
    seed: int = 1,
    leaders_in: str = "",
    topology: str = "",
) -> Plan:
    """Resolve everything and refuse what can't be. Raises Refused; starts nothing.

    topology: put the question to this one instead of the experiment's own.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise Refused(f"seed must be a whole number from 0 on, found {seed!r}.")
    file = _experiment_file(str(experiment))
    found = files.load(file, Experiment)
    if leaders_in:
        if leaders_in not in LEADERS_IN:
            raise UnknownName.of("leaders_in", leaders_in, LEADERS_IN)
        placed: LeadersIn = leaders_in  # type: ignore[assignment]
        found = found.model_copy(update={"leaders_in": placed})
    where = files.load(files.find("topology", topology or found.topology, home() / "topologies"), Topology)
    if topology in ("", found.topology):
        return _assemble(found, where, Arm.parse(arm), _runtime(runtime), seed, file=file)
    other = found.model_copy(update={"name": found.name + _suffix(where), "topology": topology})
    return _assemble(other, where, Arm.parse(arm), _runtime(runtime), seed, topology, file)


def home() -> Path:
    """The folder that holds topologies/, experiments/ and results/: here, else the checkout."""
    here = Path.cwd()
    if os.environ.get("LAB_HOME"):
        return Path(os.environ["LAB_HOME"])
    return here if (here / "experiments").is_dir() else Path(__file__).resolve().parents[1]


def runtime_of(plan: Plan, run_files: RunFiles) -> Runtime:
    """The runtime of a plan, with the programs it needs. Raises BinaryMissing."""
    places = {asked: program.place for asked, program in programs_of(plan).items()}
    runtime: Runtime = parts.load(RUNTIMES[plan.runtime])(run_files, places)
    return runtime


def programs_of(plan: Plan, say: Callable[[str], None] = lambda _: None) -> dict[tuple[str, str], Program]:
    """(program, version as asked for) → program, of every one the plan needs. Raises BinaryMissing."""
    if plan.runtime == "memory":
        return {}
    find = parts.load(RUNTIMES[plan.runtime]).find
    return {asked: find(*asked, say) for asked in {**plan.backend.programs(), TOXIPROXY: ""}.items()}


def surroundings_of(plan: Plan) -> Mapping[str, str]:
    """What a reader must know of where a plan's nodes run, beside the machine."""
    found: Mapping[str, str] = parts.load(RUNTIMES[plan.runtime]).surroundings()
    return found


def engine() -> str:
    """The container engine of this machine, in words. Raises DoesNotFit with a sentence where none answers."""
    return str(parts.load(ENGINE_VERSION)())


def network_of(plan: Plan) -> Network:
    """The network that goes with a plan's runtime."""
    name = "lab.memory:MemoryNetwork" if plan.runtime == "memory" else NETWORKS["toxiproxy"]
    network: Network = parts.load(name)()
    return network


def measures() -> Mapping[str, Callable[..., Any]]:
    """Every measure in its order: key of measurements.json → function."""
    return {key: parts.load(name) for key, name in MEASURES.items()}


def checker(name: str) -> Callable[..., Any]:
    """A checker by name, or a user's own by path (`./my_checks.py:no_lost_orders`)."""
    return parts.named("checker", name, CHECKERS)  # type: ignore[no-any-return]


def workload_factory(experiment: Experiment) -> str:
    """`module:Class` of the experiment's workload, for worker processes."""
    return WORKLOADS[experiment.workload.kind]


def inventory() -> list[tuple[str, str, str]]:
    """(what, name, one sentence) of everything that can be named."""
    rows: list[tuple[str, str, str]] = []
    held = sorted((home() / "experiments").glob("*.yaml"), key=lambda path: (batch_file.is_batch(path), path))
    for path in held:
        if batch_file.is_batch(path):
            rows.append(("batch", path.stem, batch_file.load(path).about))
        else:
            rows.append(("experiment", path.stem, files.load(path, Experiment).question))
    for path in sorted((home() / "topologies").glob("*.yaml")):
        rows.append(("topology", path.stem, files.load(path, Topology).about))
    for what, registry in (
        ("backend", BACKENDS),
        ("fault", FAULTS),
        ("workload", WORKLOADS),
        ("checker", CHECKERS),
    ):
        for name, target in registry.items():
            if name != "memory":
                about = (import_module(target.partition(":")[0]).__doc__ or "").strip()
                rows.append((what, name, about.partition("\n")[0]))
    return rows


def _experiment_file(name: str) -> Path:
    path = files.find("experiment", name, home() / "experiments", lambda known: not batch_file.is_batch(known))
    if batch_file.is_batch(path):
        raise DoesNotFit(f"{path}:1: expected an experiment, found a batch of them; `lab batch {name}` runs it.")
    return path


def _suffix(topology: Topology) -> str:
    return f"-on-{topology.name}"


def _assemble(
    experiment: Experiment,
    topology: Topology,
    arm: Arm,
    runtime: str,
    seed: int,
    instead: str = "",
    file: Path | None = None,
) -> Plan:
    """file: where the experiment was read, so that what is refused is told with its line."""
    if arm.backend not in BACKENDS:
        raise UnknownName.of("backend", arm.backend, (name for name in BACKENDS if name != "memory"))
    if (arm.backend == "memory") != (runtime == "memory"):
        raise DoesNotFit(f"backend {arm.backend!r} does not run on runtime {runtime!r}.")
    backend: Backend = parts.load(BACKENDS[arm.backend])(arm.version, dict(arm.options))
    kind = experiment.workload.kind
    with files.placed(file, "workload"):
        if kind not in WORKLOADS:
            raise UnknownName.of("workload", kind, WORKLOADS)
        workload: Workload = files.validated(
            parts.load(WORKLOADS[kind]), experiment.workload.settings, f"workload {kind}"
        )
    for index, name in enumerate(experiment.hypothesis):
        with files.placed(file, "hypothesis", index):
            checker(name)
    resolved = experiment.model_copy(
        update={"workload": WorkloadPlan(kind=kind, settings=json.loads(json.dumps(asdict(workload))))}  # type: ignore[call-overload]
    )
    faults = []
    for index, planned in enumerate(experiment.faults):
        context = FaultContext(topology, runtime, backend, seeded(seed, "fault", index))
        lasting_s = planned.for_s if planned.for_s is not None else experiment.phases.fault_s - planned.at_s
        with files.placed(file, "faults", index):
            faults.append(_fault(planned, context, lasting_s))
    _check_nodes(faults)
    _check_expect(experiment)
    if runtime in ("process", "docker"):
        _check_ports(topology, backend)
    plan = Plan(resolved, topology, arm, seed, runtime, backend, workload, tuple(faults), instead)
    _check_leaders(plan)
    return plan


def _fault(planned: FaultPlan, context: FaultContext, lasting_s: float) -> PlannedFault:
    factory = parts.named("fault", planned.kind, FAULTS)
    fault: Fault = files.validated(factory, planned.settings, f"fault {planned.kind}")
    with parts.theirs("fault", planned.kind):
        fault.check(context)
        pulses = fault.pulses(lasting_s) if isinstance(fault, Pulses) else [(0.0, lasting_s)]
        if not pulses:
            raise DoesNotFit(f"fault {planned.kind}: {lasting_s:g} s are too short for it to bite once; raise for_s.")
        return PlannedFault(
            kind=planned.kind,
            fault=fault,
            settings=planned.settings,
            impairments=fault.impairments(context),
            nodes=fault.harmed(context.topology) if isinstance(fault, HarmsNodes) else {},
            at_s=planned.at_s,
            pulses=pulses,
        )


def _check_nodes(faults: Sequence[PlannedFault]) -> None:
    """Two faults may not do something to one node at one time: the first heal would undo the other."""
    for one, other in combinations(faults, 2):
        shared = sorted(set(one.nodes) & set(other.nodes))
        if shared and one.at_s < other.end_s and other.at_s < one.end_s:
            raise DoesNotFit(
                f"faults {one.label} and {other.label} both harm {', '.join(shared)} at one time; "
                "let one end (at_s, for_s) before the other begins."
            )


def _check_expect(experiment: Experiment) -> None:
    """A misspelt expectation would be one nobody holds the run to."""
    decided = [EVIDENCE, *experiment.hypothesis]
    for arm, words in experiment.expect.items():
        if Arm.parse(arm).backend not in BACKENDS:
            raise UnknownName.of("backend in expect", Arm.parse(arm).backend, BACKENDS)
        for name in words:
            if name not in decided:
                raise UnknownName.of("checker in expect", name, decided, "Only what the hypothesis names is decided.")


def _check_leaders(plan: Plan) -> None:
    asked = plan.experiment.leaders_in
    if asked in ("faulted", "elsewhere") and len(plan.faulted) != 1:
        raise DoesNotFit(
            f"leaders_in {asked!r} needs faults that name exactly one region, found "
            f"{', '.join(plan.faulted) or 'none'}; use home or any."
        )
    if not isinstance(plan.backend, PlacesLeaders):
        return
    for bucket, regions in plan.leaders_wanted().items():
        if bucket != "meta" and not plan.backend.holders(plan.topology, bucket) & set(regions):
            raise DoesNotFit(
                f"leaders_in {asked!r}: bucket {bucket} has no replica in {'/'.join(regions)} on topology "
                f"{plan.topology.name}; use home or any."
            )


def _check_ports(topology: Topology, backend: Backend) -> None:
    """A run has one block of ports: nodes' own, a proxy per foreign node and dialling region, witnesses."""
    foreign = len(topology.nodes) * (len(topology.regions) - 1)
    needed = len(topology.nodes) * len(backend.ports) + foreign * len(backend.wan_ports) + len(topology.links) + 1
    if needed > BLOCK - SPARE_PORTS:
        raise DoesNotFit(
            f"topology {topology.name} with {backend.name} needs {needed} ports on this machine, "
            f"a run has {BLOCK - SPARE_PORTS}; use fewer nodes or regions."
        )


def _runtime(name: str) -> str:
    """`auto` is `docker` where an engine of this machine answers, else `process`."""
    if name == "auto":
        return "docker" if parts.load(ENGINE_ANSWERS)() else "process"
    if name not in RUNTIMES:
        raise UnknownName.of("runtime", name, ["auto", *(known for known in RUNTIMES if known != "memory")])
    if name == "docker":
        parts.load(ENGINE_CONNECTED)().close()  # refused where there is none
    return name
