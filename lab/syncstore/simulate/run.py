"""One world from its first boot to its judgement.

Owns the procedure: begin, load with harms and checks at every instant, heal, rest, judge. The same plan
gives the same `Outcome`, to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lab.syncstore.core import RETURNED, STATES
from lab.syncstore.record import GLOBAL, SCOPES, Record
from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.checks import answers, brief, content, registers, rest, service
from lab.syncstore.simulate.faults import schedule
from lab.syncstore.simulate.harms import Harms
from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.history import Operation, WatchLog
from lab.syncstore.simulate.host import Host, MakeCore
from lab.syncstore.simulate.oracle import told_of_writes
from lab.syncstore.simulate.world import Plan, World, default_core
from lab.syncstore.version import node_of
from lab.syncstore.watched import Event

LOOK_MS = 100.0
"""Between two looks at all nodes."""
STEP_MS = 250.0
REST_MS = 8000.0
"""After the load a world may take so long to come to rest, beyond its planned life."""


@dataclass
class Outcome:
    plan: Plan
    harms: list[Harm]
    broken: list[str]
    digest: int
    events: int = 0
    rested_ms: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    operations: list[Operation] = field(default_factory=list)


class _Enough(Exception):
    pass


class Run:
    def __init__(
        self, plan: Plan, make: MakeCore = default_core, harms: Sequence[Harm] | None = None, *, hasty: bool = False
    ) -> None:
        """hasty: the world ends with its first broken promise."""
        self.plan = plan
        self._hasty = hasty
        self.world = World(plan, make)
        self.harms = schedule(plan) if harms is None else list(harms)
        self.broken: list[str] = []
        self._harms = Harms(self.world)
        self._looker = fork(plan.seed, "look")
        self._resets: Counter[str] = Counter()
        for load in self.world.loads.values():
            load.on_done, load.on_shown = self._done, self._shown
        for host in self.world.hosts.values():
            host.on_boot, host.on_gone = self._tell_oracle, self._died
            host.on_taken = self._taken
            host.on_crash = self.broken.append
        self.world.oracle.on_accepted = self._accepted
        self._harms.on_leave = self._left

    def live(self) -> Outcome:
        """Raises nothing for a broken promise: it is in the outcome."""
        with told_of_writes(self.world.oracle), suppress(_Enough):
            self._live()
        return self._outcome(self.world.timeline.now_ms)

    def _live(self) -> None:
        world, plan, timeline = self.world, self.plan, self.world.timeline
        world.begin()
        self._harms.plan(self.harms)
        timeline.after(LOOK_MS, self._look)
        timeline.run_until(plan.heal_ms)
        self._harms.heal_all()
        timeline.run_until(plan.load_until_ms)
        end_ms = plan.virtual_s * 1000
        timeline.run_until(end_ms)
        while timeline.now_ms < end_ms + REST_MS and self._restless():
            timeline.run_until(timeline.now_ms + STEP_MS)
        self._tell_oracle()
        self.broken += rest.final(world)
        self.broken += service.retried(world)
        self.broken += registers.ordered(world.operations())
        self.broken += registers.written(world)
        self.broken += registers.exclusive(world.operations())
        self.broken += service.served(world, self.harms)

    def _restless(self) -> bool:
        return bool(rest.unsettled(self.world)) or any(rest.last_shown(self.world))

    def _done(self, operation: Operation) -> None:
        self.broken += answers.answer(self.world, operation)

    def _shown(self, log: WatchLog, event: Event) -> None:
        self.broken += answers.event(self.world, log, event)

    def _accepted(self, record: Record) -> None:
        host = self.world.hosts[node_of(record.origin)]
        scope = record.bucket.partition("/")[0]
        self.world.written[f"{scope} {record.origin}", record.sequence] = host.boots, host.drive.log.appended
        self.broken += answers.version(self.world, record)
        self.broken += answers.overwrites(self.world, record)

    def _taken(self, host: Host) -> None:
        self._tell_oracle()  # of the marks that came with the delta
        self.broken += content.merge_of_its_vector(self.world, host)

    def _left(self, harm: Harm) -> None:
        if harm.kind == "between":
            others = [one for one in self._harms.entered if one is not harm]
            self.broken += service.through_third(self.world, harm, others)

    def _died(self) -> None:
        self._tell_oracle()
        self.world.oracle.somebody_left()
        self._tell_oracle()

    def _tell_oracle(self) -> None:
        up = [host for host in self.world.hosts.values() if host.engine is not None]
        for scope in SCOPES:
            replicas = [(host, host.engine.replicas[scope]) for host in up]
            here = [replica for host, replica in replicas if scope != GLOBAL or not self._is_away(host, replica)]
            self.world.oracle.looked_at(scope, here)

    def _is_away(self, host: Host, replica: Any) -> bool:
        """Whether its region was evicted and it has had no reset since: others close incarnations without what it
        holds, but not without what it holds once it is back."""
        return host.region in self.world.evicted and replica.table.get(STATES, host.region + RETURNED) is None

    def _look(self) -> None:
        """Invariant 1 over all pairs; the merge of one node, another one each time."""
        if self._hasty and self.broken:
            raise _Enough
        up = [host for host in self.world.hosts.values() if host.engine is not None]
        self._tell_oracle()
        self.broken += content.equal_where_vectors_are(up)
        for host in up:
            self.broken += service.kept(self.world, host)
            taken = host.engine.counters["resets_taken"]
            if taken > self._resets[host.place]:
                self.world.resets.append((host.region, self.world.timeline.now_ms))
            self._resets[host.place] = taken
        if up:
            self.broken += content.merge_of_its_vector(self.world, self._looker.choice(up))
        self.world.timeline.after(LOOK_MS, self._look)

    def _outcome(self, rested_ms: float) -> Outcome:
        world = self.world
        counts: Counter[str] = Counter(harm.kind for harm in self._harms.entered)
        digest = 0
        for host in world.hosts.values():
            digest = (digest * 1_000_003 + host.seen) % 2**64
        operations = world.operations()
        for one in operations:
            counts[f"{one.op} {one.outcome}"] += 1
            digest = (digest * 1_000_003 + int(one.completed_ms * 1000)) % 2**64
        return Outcome(
            self.plan, self.harms, brief(self.broken), digest, world.timeline.events, rested_ms, counts, operations
        )
