"""Every protocol of the lab on one page.

Ports are tiny; a rare ability is a protocol of its own. An implementation imports this module
and the library that is its subject, never a sibling. Everything that crosses a process border
(`Addresses`, `ClientSpec`, `NodeSpec`) is plain data.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM, Signals
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from lab.events import Event, Sample
from lab.topology import Link, Node, Topology

if TYPE_CHECKING:  # polars must stay out of worker processes
    from lab.experiment import Experiment
    from lab.history import History
    from lab.measurements import Measurements
    from lab.verdict import Finding

TOXIPROXY = "toxiproxy"
STOP_WITHIN_S = 5.0


# -- what links suffer --------------------------------------------------------------------------


@dataclass(frozen=True)
class Latency:
    """`ms` of delay in one direction, on top of what the link already has."""

    ms: float

    def as_event(self) -> dict[str, Any]:
        return {"latency_ms": self.ms}


@dataclass(frozen=True)
class Rate:
    """At most `kbps` kilobytes (1,000 bytes) per second in one direction, on each connection."""

    kbps: int

    def as_event(self) -> dict[str, Any]:
        return {"rate_kbps": self.kbps}


@dataclass(frozen=True)
class Cut:
    """Nothing passes. `stall`: held back, lossless, connections survive. `blackhole`: swallowed,
    connections closed at the heal. `refuse`: closed and refused, both directions of a pair only."""

    how: str = "stall"

    def as_event(self) -> dict[str, Any]:
        return {"cut": self.how}


Impairment = Latency | Rate | Cut


# -- where things are ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Addresses:
    """Every listen, dial and proxy address of a deployment, as `host:port`, as this machine dials it.

    listen: `node/port name` → where that node listens.
    proxies: `region/node/port name` → where nodes of `region` dial the foreign `node`.
    witnesses: `source->target` → the probe's way over that link.
    toxiproxy: the API of the one Toxiproxy.
    inside: the same as nodes see it, and road: as Toxiproxy sees it, where that differs.
    """

    listen: dict[str, str]
    proxies: dict[str, str]
    witnesses: dict[str, str]
    toxiproxy: str
    inside: Addresses | None = None
    road: Addresses | None = None

    @property
    def for_nodes(self) -> Addresses:
        """What belongs into a node's configuration."""
        return self.inside or self

    @property
    def for_road(self) -> Addresses:
        """What Toxiproxy listens at and leads to."""
        return self.road or self

    def at(self, node: Node, port: str) -> str:
        """Where `node` listens."""
        return self.listen[f"{node.name}/{port}"]

    def dial(self, region: str, node: Node, port: str) -> str:
        """Where someone in `region` dials `node`: itself within the region, else its proxy."""
        if node.region == region:
            return self.at(node, port)
        return self.proxies[f"{region}/{node.name}/{port}"]


@dataclass(frozen=True)
class Program:
    """A server program as a runtime has it. version: as it states it. place: what the runtime starts, a path or an
    image. sha256: file → digest."""

    name: str
    version: str
    place: str
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class NodeSpec:
    """One server to run: `program` of `version` with `arguments`, in a directory of its own that
    holds `files` (name → text) and is its working directory."""

    name: str
    region: str
    program: str
    version: str
    arguments: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClientSpec:
    """All a worker process needs to make a client: `factory` is `module:Class`, `servers` are
    `host:port` of the client's own region, `options` are JSON data."""

    factory: str
    region: str
    servers: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


# -- clients and workloads (loaded by worker processes) -----------------------------------------


@dataclass(frozen=True)
class Entry:
    """A record as a client sees it. `revision` is text that sorts as the versions of a key do."""

    key: str
    value: str
    revision: str


class Client(Protocol):
    """One connection to a backend in one region: the key-value surface of JetStream KV.

    Raises only OperationFailed (certainly not) and OperationIndefinite (maybe). No call retries
    on its own; the caller cancels what takes too long.
    """

    async def connect(self) -> None: ...
    async def close(self) -> None: ...
    async def put(self, bucket: str, key: str, value: str) -> str: ...
    async def get(self, bucket: str, key: str) -> Entry | None: ...
    async def delete(self, bucket: str, key: str) -> None: ...
    async def create(self, bucket: str, key: str, value: str) -> str: ...
    async def update(self, bucket: str, key: str, value: str, revision: str) -> str: ...
    async def keys(self, bucket: str) -> list[str]: ...
    def watch(self, bucket: str, pattern: str) -> AbstractAsyncContextManager[AsyncIterator[Entry | None]]:
        """Initial values, then None once, then changes; leaving the context ends the watch."""
        ...


@dataclass(frozen=True)
class Due:
    """One operation of a schedule: due `offset_ns` after the start, on `key` of `home`'s bucket."""

    offset_ns: int
    operation: str
    home: str
    key: str
    value: str = ""


@dataclass(frozen=True)
class Result:
    """What an operation that was ok returned."""

    value: str = ""
    revision: str = ""


class Workload(Protocol):
    """What the clients of every region do during a run; a frozen dataclass of its settings."""

    deadline_s: float

    def buckets(self, regions: Sequence[str]) -> list[str]:
        """One bucket per home region, named after it."""
        ...

    def preload(self, region: str) -> list[Due]:
        """The region's own keys, written once before steady."""
        ...

    def operations(self, region: str, regions: Sequence[str], load_s: float, seed: int) -> list[Due]:
        """The open-loop schedule of one region, by time."""
        ...

    def settle(self, regions: Sequence[str], load_s: float, seed: int) -> list[Due]:
        """What every region reads back at the end: all keys of all regions."""
        ...

    def shares(self) -> Mapping[str, float]:
        """kind of operation → its share of the load; the cap on operations in flight is split by
        it, so that a kind that hangs never crowds out one that works."""
        ...

    def kind(self, region: str, due: Due) -> str:
        """The share a region's operation belongs to."""
        ...

    async def perform(self, client: Client, due: Due) -> Result: ...


# -- the runner's side --------------------------------------------------------------------------


class Runtime(Protocol):
    """Where nodes run; made of a run's files and of (program, version asked for) → the place of what `find` found.
    Everything started carries the run's mark."""

    name: ClassVar[str]

    @staticmethod
    def find(program: str, version: str, say: Callable[[str], None]) -> Program:
        """The program, got first if need be (seconds to minutes, once). Blocking. Raises BinaryMissing."""
        ...

    @staticmethod
    def surroundings() -> Mapping[str, str]:
        """What a reader of a run must know of where its nodes ran, beside the machine. Blocking."""
        ...

    async def open(self, topology: Topology, backend: Backend) -> Addresses:
        """Allocate every address; nothing is started."""
        ...

    async def start(self, spec: NodeSpec) -> None: ...
    async def stop(self, name: str, how: Signals = SIGTERM, within_s: float = STOP_WITHIN_S) -> None:
        """Signal the node and wait for its end; after `within_s` it is killed. Resumes a paused one."""
        ...

    async def restart(self, name: str) -> None:
        """Start a node that was stopped again, with what is on its disk."""
        ...

    async def pause(self, name: str) -> None: ...
    async def resume(self, name: str) -> None: ...
    async def states(self) -> dict[str, str]:
        """node → running | paused | gone, as the system (not the node) tells it; of nodes only."""
        ...

    async def dead(self) -> list[str]:
        """Names of started nodes that are no longer running although nobody stopped them."""
        ...

    def logs(self, name: str) -> list[str]: ...
    async def crossings(self) -> list[str]:
        """Sentences on connections between nodes of different regions that avoid the network."""
        ...

    async def close(self) -> list[str]:
        """Stop everything; keeps logs and configuration, drops data. Never raises; sentences on what would not go."""
        ...


class Network(Protocol):
    """What carries and impairs links."""

    def nodes(self, addresses: Addresses) -> list[NodeSpec]:
        """The network's own servers, started before all others. addresses: those for the road."""
        ...

    async def open(self, topology: Topology, addresses: Addresses) -> None:
        """Every proxy and witness up, bearing the topology's own delays."""
        ...

    def harm(
        self, impairments: Mapping[Link, Impairment], *, close_after: bool | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Entering impairs all links in one step, leaving removes in one step only what was added,
        also when cancelled: link by link, every heal would hold a moment in which a region can
        send but not hear. close_after: end the links' connections at the heal; None: only after
        `blackhole`."""
        ...

    def witness(self, link: Link, record: Callable[[Event], None]) -> Witness: ...
    async def verify(self) -> list[str]:
        """Sentences on proxies whose impairments are not what they should be now."""
        ...

    async def close(self) -> None: ...


class Witness(Protocol):
    """A probe of one link that is neither backend nor workload."""

    async def probe(self, stage: str) -> None:
        """One reading: recorded as WitnessReading."""
        ...

    async def close(self) -> None: ...


@dataclass
class Deployment:
    """A topology brought up for one arm on one runtime."""

    topology: Topology
    addresses: Addresses
    runtime: Runtime
    network: Network
    backend: Backend
    workload: Workload
    seed: int


class Backend(Protocol):
    """A system under test. Its constructor takes (version, options) and refuses unknown ones."""

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    wan_ports: ClassVar[tuple[str, ...]]
    host_ports: ClassVar[tuple[str, ...]]
    """Those that clients and the lab itself dial, from outside of all regions' networks."""
    bucket_revisions: ClassVar[bool]
    """Whether revisions are counted per bucket (else per key): then none is ever given twice."""

    def programs(self) -> Mapping[str, str]:
        """program → version, of every server program the nodes need."""
        ...

    def nodes(self, topology: Topology, addresses: Addresses) -> list[NodeSpec]:
        """Pure: every node with its rendered configuration. addresses: those for nodes."""
        ...

    def client(self, addresses: Addresses, topology: Topology, region: str) -> ClientSpec: ...
    async def ready(self, deployment: Deployment) -> None:
        """Return when clients can be served and the workload's buckets exist; bounded."""
        ...

    async def sample(self, deployment: Deployment) -> list[Sample]:
        """One reading of every node; nodes that don't answer are simply absent."""
        ...

    async def quiet(self, deployment: Deployment) -> bool:
        """Whether replication has come to rest."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class PlacesLeaders(Protocol):
    """A backend with leaders that can be asked to move."""

    def holders(self, topology: Topology, bucket: str) -> set[str]:
        """The regions that hold a replica of a bucket: its leader can be in no other."""
        ...

    async def place_leaders(self, deployment: Deployment, wanted: Mapping[str, Sequence[str]]) -> None:
        """`wanted`: bucket or `meta` → regions that may lead it. Raises NodeNotReady in time."""
        ...


@runtime_checkable
class ComparesReplicas(Protocol):
    """A backend whose replicas can be compared one by one."""

    async def replicas(self, deployment: Deployment) -> list[Event]: ...


@runtime_checkable
class ReadsLogs(Protocol):
    """A backend that knows which lines of its nodes' logs an operator would look for."""

    def notable(self, node: str, region: str, lines: Sequence[str], pair: tuple[int, int]) -> list[Sample]:
        """`pair` is a (wall, monotonic) pair in ns, to place the lines' wall times."""
        ...


@runtime_checkable
class CountsConnections(Protocol):
    """A backend that can tell how many connections its nodes hold to each peer."""

    async def connections(self, deployment: Deployment) -> dict[tuple[str, str], int]: ...


@runtime_checkable
class GoesLameDuck(Protocol):
    """A backend whose nodes, on this signal, move their leaders and clients away and then end."""

    lame_duck_signal: ClassVar[Signals]


@dataclass(frozen=True)
class FaultContext:
    """What a fault may look at to say whether it fits, and to draw what is left to chance."""

    topology: Topology
    runtime: str
    backend: Backend
    random: random.Random


class Fault(Protocol):
    """One kind of harm: a frozen dataclass of its settings, with units in their names."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The regions it names; () for none."""
        ...

    def check(self, context: FaultContext) -> None:
        """Raise DoesNotFit or UnknownName with a sentence when it can't be used here."""
        ...

    def impairments(self, context: FaultContext) -> dict[Link, Impairment]:
        """What each link will suffer; {} for faults that don't harm links. Pure: fixed by
        the context's random source."""
        ...

    def apply(
        self, deployment: Deployment, impairments: Mapping[Link, Impairment]
    ) -> AbstractAsyncContextManager[None]:
        """Entering harms, leaving heals, also when cancelled."""
        ...


@runtime_checkable
class HarmsNodes(Protocol):
    """A fault that harms nodes themselves."""

    def harmed(self, topology: Topology) -> dict[str, str]:
        """node → the state (paused | gone) it must be seen in while the fault is in force."""
        ...


@runtime_checkable
class Pulses(Protocol):
    """A fault that comes and goes: applied once a pulse."""

    def pulses(self, lasting_s: float) -> list[tuple[float, float]]:
        """(begin, end) of every pulse in seconds since the fault's own begin."""
        ...


# -- judging (pure) -----------------------------------------------------------------------------


class Measure(Protocol):
    """history + what earlier measures found → this measure's own key of measurements.json."""

    def __call__(self, history: History, done: Measurements) -> Any: ...


class Checker(Protocol):
    """history + measurements + experiment → a finding."""

    def __call__(self, history: History, measurements: Measurements, experiment: Experiment) -> Finding: ...


@dataclass(frozen=True)
class RunFiles:
    """Where a run lies on disk; here so that runtimes can keep logs without knowing results."""

    directory: Path

    @property
    def nodes(self) -> Path:
        return self.directory / "nodes"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def configuration(self) -> Path:
        return self.directory / "configuration"
