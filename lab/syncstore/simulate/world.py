"""A world: regions, nodes, wires, disks, clocks and clients in virtual time, made whole from one seed.

Owns how it is put together and the course of its life: start, load with harm, heal, quiescence, end.
What harms it is `faults`' business, what it must promise is `checks`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from lab.syncstore.config import Config, Limits
from lab.syncstore.simulate.caller import Caller
from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.clients import BUCKETS, MIX, Load
from lab.syncstore.simulate.disk import SimulatedLog
from lab.syncstore.simulate.history import Operation, WatchLog
from lab.syncstore.simulate.host import Host, MakeCore
from lab.syncstore.simulate.links import Wires
from lab.syncstore.simulate.net import Network
from lab.syncstore.simulate.oracle import Oracle
from lab.syncstore.simulate.settings import COSTS, EPOCH_MS, LIMITS, SLOW, Costs
from lab.syncstore.simulate.timeline import Timeline
from lab.syncstore.wire import FEATURES

CLUSTER = "world"
CALLERS = 3


@dataclass(frozen=True)
class Plan:
    """What a world is. steady: no draw anywhere in it depends on what happened before."""

    seed: int
    regions: int = 3
    nodes: int = 3
    virtual_s: float = 15.0
    rate_per_s: float = 50.0
    keys: int = 12
    """Of each bucket; few, so that writes meet."""
    registers: bool = True
    """Whether clients use registers too."""
    mix: tuple[str, ...] = MIX
    """What is done with buckets of kind lww, each as often as it stands here."""
    faults: bool = True
    spare: str = ""
    """A region that no fault touches."""
    steady: bool = False
    lacking: tuple[str, ...] = ()
    """Nodes that speak no feature."""
    limits: Limits = LIMITS
    costs: Costs = COSTS

    @property
    def names(self) -> list[str]:
        return [f"r{number}" for number in range(1, self.regions + 1)]

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        return {one: tuple(f"{one}n{number}" for number in range(1, self.nodes + 1)) for one in self.names}

    @property
    def load_until_ms(self) -> float:
        return self.virtual_s * 1000 * 0.75

    @property
    def heal_ms(self) -> float:
        return self.virtual_s * 1000 * 0.65


SHAPES = ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3), (3, 3), (2, 3), (3, 2), (3, 1), (2, 5))
"""(regions, nodes of each): mostly the normal one."""
LACKING_SHARE = 0.15
SLOW_SHARE = 0.3


def drawn(seed: int, **given: Any) -> Plan:
    """A plan whose shape comes from its seed too, as far as it isn't given."""
    chance = fork(seed, "shape")
    regions, nodes = chance.choice(SHAPES)
    plan = Plan(seed, **{"regions": regions, "nodes": nodes, **given})
    if "costs" not in given and chance.random() < SLOW_SHARE:
        plan = replace(plan, costs=SLOW)
    everybody = [node for nodes in plan.members.values() for node in nodes]
    lacking = chance.random() < LACKING_SHARE
    some = tuple(chance.sample(everybody, chance.randint(1, len(everybody))))
    return replace(plan, lacking=some) if lacking and "lacking" not in given else plan


def default_core(config: Config, outlet: Any, disk: Any) -> Any:
    from lab.syncstore.engine import Engine

    return Engine(config, outlet, disk)


class World:
    def __init__(self, plan: Plan, make: MakeCore = default_core) -> None:
        self.plan, self.timeline = plan, Timeline()
        self.network = Network(self.timeline, self._wires, plan.limits.dial_timeout_ms)
        self.oracle = Oracle(lambda: self.timeline.now_ms)
        self.hosts: dict[str, Host] = {}
        self.loads: dict[str, Load] = {}
        self.skews: dict[str, int] = {}
        """Node → how far ahead its clock ever was; who is not in here was never wrong."""
        self.written: dict[tuple[str, int], tuple[int, int]] = {}
        """(origin, sequence) → (boots, where its node's log ended when it was accepted)."""
        self.unwritten: list[Operation] = []
        """Reads of registers that showed what no record says yet."""
        self.excused: list[tuple[str, float, float]] = []
        """(node, from, until): what that node acknowledged then may be lost."""
        self.resets: list[tuple[str, float]] = []
        """(region, when): one of its nodes was seen to have taken a reset."""
        self.littered = False
        """Whether anybody was ever sent garbage."""
        self.evicted: set[str] = set()
        """Regions that ever were: what they wrote alone may be forgotten, and what others had deleted."""
        for region, nodes in plan.members.items():
            for node in nodes:
                self.hosts[node] = Host(
                    self.network, self._config(region, node), SimulatedLog(), make, plan.costs, plan.seed
                )
        for region, nodes in plan.members.items():
            self.loads[region] = self._load(region, nodes)

    def _config(self, region: str, node: str) -> Config:
        members = self.plan.members
        dial = {one: f"{one}:1" for nodes in members.values() for one in nodes}
        features = () if node in self.plan.lacking else FEATURES
        return Config(CLUSTER, region, node, members, dial, features, self.plan.limits)

    def _load(self, region: str, nodes: tuple[str, ...]) -> Load:
        callers = []
        for number in range(CALLERS):
            order = [nodes[(number + step) % len(nodes)] for step in range(len(nodes))]
            callers.append(Caller(self.network, f"{region}c{number}", CLUSTER, region, order, self.plan.seed))
            callers[-1].wall_of = lambda node: self.hosts[node].clocks.wall_ms()
        plan = self.plan
        load = Load(region, plan.names, callers, plan.seed, plan.rate_per_s, plan.keys, plan.load_until_ms)
        load.mix = plan.mix
        load.buckets = BUCKETS if plan.registers else BUCKETS[:-1]
        return load

    def _wires(self, source: str, target: str) -> tuple[Wires, Random]:
        """In a region 0.1–0.3 ms; between two 10–120 ms, each pair its own, alike in both directions."""
        chance = fork(self.plan.seed, "wire", source, target)
        one, other = sorted((source.partition("n")[0].partition("c")[0], target.partition("n")[0].partition("c")[0]))
        if one == other:
            delay_ms = fork(self.plan.seed, "delay", *sorted((source, target))).uniform(0.05, 0.15)
            return Wires(delay_ms, 0.0 if self.plan.steady else 0.1), chance
        delay_ms = fork(self.plan.seed, "delay", one, other).uniform(10, 120)
        return Wires(delay_ms, delay_ms * 0.05, 12_500.0), chance

    def skew(self, nodes: Sequence[str], ms: int) -> None:
        """Set the clocks of nodes wrong by so much, or right again."""
        for node in nodes:
            self.skews[node] = max(self.skews.get(node, 0), ms)
            self.hosts[node].clocks.skew_ms = ms

    def was_skewed(self, region: str) -> bool:
        """Whether any clock of a region was ever wrong."""
        return any(node in self.skews for node in self.plan.members[region])

    def was_led_astray(self, region: str) -> bool:
        """Whether it was away while no other clock was right: nobody knew that what they dropped was of the future."""
        others = [one for one in self.plan.names if one != region]
        return region in self.evicted and all(map(self.was_skewed, others))

    def latest_wall_ms(self, node: str) -> int:
        """What the clock of a node has shown at most."""
        return EPOCH_MS + int(self.timeline.now_ms) + self.skews.get(node, 0)

    def all_past_ms(self) -> int:
        """What every clock of some region has passed: a record that ended before may have lost its value."""
        return max(min(map(self.latest_wall_ms, nodes)) for nodes in self.plan.members.values())

    # -- what others ask -------------------------------------------------------------------------

    def region(self, name: str) -> list[Host]:
        return [self.hosts[node] for node in self.plan.members[name]]

    def running(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.engine is not None and not host.paused]

    def operations(self) -> list[Operation]:
        return [one for load in self.loads.values() for one in load.operations]

    def watches(self) -> list[WatchLog]:
        return [one for load in self.loads.values() for one in load.watches]

    # -- its life --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Boot every node, within a tenth of a second; clients come a little later."""
        chance = fork(self.plan.seed, "begin")
        for host in self.hosts.values():
            self.timeline.after(chance.uniform(0, 100), host.boot)
        for load in self.loads.values():
            self.timeline.at(300, load.begin)
