"""Planted bugs: one rule each taken out of the store, to see whether the simulator's worlds need it.

A mutant is a small edit of one function's text, made in memory only. `planted(mutant)` is a context in
which the edited function stands in the module; afterwards the sound one does. Each names the seed of a
world that falls with it and stands without it. Where no world was found that falls, `seed` is None and
`why` says what is known.

To look for seeds: python -m tests.syncstore.mutants [NAME …] [--seeds 300]
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from lab.syncstore.simulate.differential import pair
from lab.syncstore.simulate.faults import schedule
from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from lab.syncstore.simulate.run import Run
from lab.syncstore.simulate.settings import COSTS
from lab.syncstore.simulate.world import Plan, drawn

LIFE_S = 9.0
"""These worlds are short: there are many of them."""


Edits = tuple[tuple[str, str], ...]
"""(text, what it becomes), each once in the function."""


@dataclass(frozen=True)
class Mutant:
    """where: `module:Class.method` or `module:function` of lab.syncstore."""

    name: str
    rule: str
    where: str
    edits: Edits
    seed: int | None = None
    given: dict[str, Any] = field(default_factory=dict)
    """What its world's plan has beside the seed; `LIFE_S` unless it says more."""
    harms: tuple[Harm, ...] | None = None
    """Instead of the schedule that its seed would draw."""
    paired: bool = False
    """Whether it falls only beside the world without harm: see `differential`."""
    needs: tuple[str, ...] = ()
    """Kinds of harm without one of which no world can fall: where to look for a seed."""
    why: str = ""
    also: tuple[tuple[str, Edits], ...] = ()
    """Further edits: a rule that stands twice falls only where both are gone."""


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Raises AssertionError when the store's text is no longer what the mutant was made for."""
    with ExitStack() as stack:
        for where, edits in ((mutant.where, mutant.edits), *mutant.also):
            stack.enter_context(_edited(mutant.name, where, edits))
        yield


@contextmanager
def _edited(name: str, where: str, edits: Edits) -> Iterator[None]:
    module_name, _, path = where.partition(":")
    module = importlib.import_module(f"lab.syncstore.{module_name}")
    *owners, function = path.split(".")
    owner: Any = module
    for one in owners:
        owner = getattr(owner, one)
    plain = inspect.getattr_static(owner, function)
    text = textwrap.dedent(inspect.getsource(plain))
    for old, new in edits:
        assert text.count(old) == 1, f"mutant {name}: {where} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    made: dict[str, Any] = {}
    exec(compile("from __future__ import annotations\n" + text, f"<{name}>", "exec"), module.__dict__, made)
    setattr(owner, function, made[function])
    try:
        yield
    finally:
        setattr(owner, function, plain)


def plan_of(mutant: Mutant, seed: int) -> Plan:
    given: dict[str, Any] = {"virtual_s": LIFE_S, "registers": False}
    if mutant.harms is not None:
        given |= {"regions": 3, "nodes": 3}
    return drawn(seed, **{**given, **mutant.given})


def broken(mutant: Mutant, seed: int) -> list[str]:
    """The promises that break in the world of this seed, as things stand."""
    plan = plan_of(mutant, seed)
    if mutant.paired:
        return pair(plan, harms=mutant.harms).broken
    return Run(plan, harms=mutant.harms, hasty=True).live().broken


LOSSES = {
    mode: tuple(
        Harm(2000 + 2300 * turn + 150 * number, 400, "all-blank", (f"r{number}n{turn + 1}",), 0, mode)
        for turn in range(2)
        for number in (1, 2, 3)
    )
    for mode in ("kill", "power")
}
"""Every region loses all its nodes at once, and the disk of one, twice."""
CATCH_UP = (Harm(1500, 1500, "cut", ("r2",), 0, STALL), Harm(1500, 2500, "flood", ("r2",), 20))
"""A region floods while it is cut off."""

MUTANTS = (
    # -- Replication -----------------------------------------------------------------------------
    Mutant(
        "stream-over-gaps",
        "a stream is taken only where it begins at the receiver's entry + 1",
        "replica:Replica.take",
        (("if stream.first > entry + 1:", "if False:"),),
    ),
    Mutant(
        "delta-without-base",
        "a delta is taken only by a receiver whose vector covers the base",
        "replica:Replica.covers_delta",
        (("self.vector.covers_all(end.base)", "True"),),
    ),
    Mutant(
        "delta-of-now",
        "the walk reads the table as it was at the cut",
        "delta:Cut._displaced",
        (("if self.base.get(record.origin) <", "if False and self.base.get(record.origin) <"),),
    ),
    Mutant(
        "delta-in-pieces",
        "a delta is applied when whole; then all entries rise together",
        "intake:Intake._delta_end",
        (("or len(staging.parts) != end.parts", ""),),
    ),
    Mutant(
        "entries-rise-first",
        "a vector rises when all of a delta is in, not before",
        "replica:Applying.__init__",
        (("replica.applying = self", "replica.vector.join(end.vector)"),),
    ),
    Mutant(
        "cut-while-applying",
        "half of a delta is no state that a vector names: no cut is made of it",
        "replica:Replica.cut",
        (("if self.applying is not None:", "if False:"),),
    ),
    Mutant(
        "delta-below-my-floor",
        "a receiver whose own floor the cut does not cover refuses a delta",
        "replica:Replica.covers_delta",
        (("and end.vector.covers_all(self.floor.vector)", ""),),
        needs=('evict', 'restored'),
    ),
    Mutant(
        "delta-floor-ignored",
        "a receiver whose vector does not cover the sender's floor refuses a delta",
        "replica:Replica.covers_delta",
        (("and self.vector.covers_all(end.floor.vector)", ""),),
        needs=('evict', 'restored'),
    ),
    Mutant(
        "covered-merged-again",
        "a record that the vector already covers is never merged",
        "replica:Applying.step",
        (("if not vector.covers(record.origin, record.sequence):", "if True:"),),
    ),
    Mutant(
        "forgotten-brought-back",
        "what a receiver has forgotten is not brought back by a delta that was cut before: its floor, or its vector",
        "replica:Replica.covers_delta",
        (("and end.vector.covers_all(self.floor.vector)", ""),),
        also=(
            ("replica:Applying.step", (("if not vector.covers(record.origin, record.sequence):", "if True:"),)),
        ),
        given={"keys": 60, "virtual_s": 14.0},
        harms=(Harm(1000, 1500, "between", ("r1", "r2"), 0, STALL), Harm(2000, 6500, "narrow", ("r1", "r2"), 15)),
    ),
    Mutant(
        "stream-replayed",
        "a record that the vector already covers is never merged (streams)",
        "replica:Replica.take",
        (("for record in records[entry + 1 - stream.first :]:", "for record in records:"),),
    ),
    Mutant(
        "no-limit-unsent",
        "a socket with more than so much unsent stops its stream",
        "engine:Engine._feed",
        (("or core.outlet.unsent(link.number) > limits.unsent_bytes", ""),),
        harms=(Harm(2000, 600, "inside", ("r1n1",), 0, STALL), Harm(1900, 900, "flood", ("r1",), 40)),
    ),
    Mutant(
        "acknowledged-undurable",
        "a write is acknowledged when it is durable here",
        "acks:Acks._settle",
        (("durable = replica.durable.get(origin) if own else 2**62", "durable = 2**62"),),
    ),
    Mutant(
        "acknowledged-alone",
        "a write is acknowledged when one in-region peer holds it",
        "acks:Acks._settle",
        (("second = 2**62 if self._alone else replica.second.get(origin)", "second = 2**62"),),
    ),
    Mutant(
        "held-only-in-memory",
        "what a peer says it holds is in its log",
        "engine:Engine._tell_held",
        (("if not core.written():", "if False:"),),
        harms=LOSSES["kill"],
    ),
    Mutant(
        "copies-never-synced",
        "what a peer holds is synced there within 100 ms",
        "engine:Engine.wants_sync",
        (("return now.mono_ms - core.oldest_unsynced_ms() >= core.config.limits.sync_within_ms", "return False"),),
        harms=LOSSES["power"],
    ),
    Mutant(
        "never-degraded",
        "after 50 ms without any peer's word a write is acknowledged as degraded",
        "acks:Acks._settle",
        (("if late and now_ms - one.since_ms < self._after_ms:", "if late:"),),
        harms=(Harm(2000, 2500, "inside", ("r1n1",), 0, STALL),),
    ),
    Mutant(
        "silent-link-kept",
        "after 2 s without a byte: next node",
        "dials:Dials._silent",
        (("if link.purpose != CLIENT and", "if False and link.purpose != CLIENT and"),),
        needs=('cut', 'inside', 'between', 'one-way'),
    ),
    Mutant(
        "no-third-region",
        "a third region's records come by delta when the receiver has been behind on them for a while",
        "feed:Feed.states",
        (("if any(now_ms - since >= waited for since, _ in behind.values())", "if False"),),
        needs=('between',),
    ),
    Mutant(
        "wan-first",
        "local operations first: bounded WAN work per loop turn",
        "intake:Intake.work",
        ((">= count:", ">= 10**9:"),),
        paired=True,
        given={"keys": 3000, "costs": COSTS, "spare": "r1"},
        harms=CATCH_UP,
    ),
    Mutant(
        "no-credit",
        "credit in bytes: what a region may send before the receiver has worked it off",
        "engine:Engine._feed",
        (("if link.credit <= 0 or", "if"),),
        given={"keys": 3000, "costs": COSTS},
        harms=CATCH_UP,
    ),
    Mutant(
        "no-probe",
        "an unreachable peer is probed again",
        "dials:Dials._failed",
        (("span = min(limits.probe_ms,", "span = 1e9 + 0 * min(limits.probe_ms,"),),
        needs=('cut', 'between', 'inside'),
    ),
    Mutant(
        "no-backoff",
        "reconnects back off",
        "dials:Dials._failed",
        (("span = min(limits.probe_ms,", "span = 0 * min(limits.probe_ms,"),),
        needs=('cut', 'between', 'inside'),
    ),
    Mutant(
        "gateway-does-not-pass-on",
        "a node streams what it received as gateway to its peers",
        "dials:Dials._own_and_heard",
        (("return region in self.core.hearing()", "return False"),),
    ),
    # -- Versions and origins --------------------------------------------------------------------
    Mutant(
        "below-the-present",
        "a new version is above the key's present record",
        "core:Core.new_version",
        (("above = (*above, (present.time, present.counter))", "pass"),),
        needs=('skew',),
    ),
    Mutant(
        "below-the-session",
        "a new version is above the session's token for that key",
        "requests:Requests._write",
        (("core.new_version(present, (saw.time, saw.counter))", "core.new_version(present)"),),
        needs=('skew',),
    ),
    Mutant(
        "clock-follows-versions",
        "received versions never move a node's clock",
        "version:VersionClock.next",
        (("return made", "self.time, self.counter = made\n    return made"),),
        needs=('skew',),
    ),
    Mutant(
        "incarnation-kept",
        "every start takes a new incarnation",
        "core:Core.take_incarnation",
        (
            (
                "self.incarnation = incarnation(",
                "self.incarnation = self.known_incarnation if self.known_incarnation and not self.incarnation"
                " else incarnation(",
            ),
        ),
        needs=('restored', 'power', 'kill'),
    ),
    Mutant(
        "closed-though-unequal",
        "an incarnation is closed when every member node states the same sequence held and durable",
        "reports:_agrees",
        (("report.low.get(origin) == sequence and held in (sequence, WHOLE) and", ""),),
        needs=('kill', 'power'),
    ),
    Mutant(
        "closed-before-known",
        "an incarnation is closed by reports made after its successor was known",
        "reports:_agrees",
        (("and report.low.knows_newer(origin)", ""),),
        given={"rate_per_s": 3.0, "virtual_s": 7.0},
        harms=(Harm(2990, 1500, "one-way", ("r2",), 0, "mute"), Harm(3000, 300, "power", ("r1",))),
    ),
    # -- Deletes and expiry ----------------------------------------------------------------------
    Mutant(
        "dropped-young",
        "a tombstone is dropped when it is old enough, and not above the node's clock",
        "tombstones:Tombstones.droppable",
        (("ended + age_ms <= wall_ms and", ""),),
        needs=('skew', 'evict', 'restored'),
    ),
    Mutant(
        "dropped-unreported",
        "a tombstone is dropped when every member node's durable vector covers it",
        "tombstones:Tombstones.droppable",
        (("and low.covers(record.origin, record.sequence)", ""),),
        needs=('cut', 'restored'),
    ),
    Mutant(
        "dropped-uncovered",
        "a tombstone is dropped when my vector covers the reports",
        "reports:all_hold",
        (("if report is None or not mine.covers_all(report.high):", "if report is None:"),),
        needs=('between', 'cut', 'evict'),
    ),
    Mutant(
        "dropped-below-the-clock",
        "dropping a tombstone raises the node's last version to it",
        "upkeep:Upkeep._forget",
        (("core.clock.raise_to(replica.floor.time, replica.floor.counter)", "pass"),),
        given={"rate_per_s": 5.0, "keys": 2},
        harms=tuple(Harm(1500 + 3000 * turn, 2000, "skew", ("r1",), 1800) for turn in range(2)),
    ),
    Mutant(
        "no-floor",
        "what was dropped raises the floor",
        "replica:Replica.drop",
        (("self.floor.vector.raise_to(record.origin, record.sequence)", "pass"),),
        needs=('evict', 'restored'),
    ),
    Mutant(
        "taken-from-above-my-vector",
        "whoever does not cover a peer's floor takes nothing from it but a reset",
        "intake:Intake.may_take",
        (("return theirs is None or self.core.replicas[scope].vector.covers_all(theirs.vector)", "return True"),),
        needs=('evict', 'restored'),
    ),
    Mutant(
        "sent-below-the-floor",
        "whoever does not cover a peer's floor sends it nothing",
        "dials:Dials.agree",
        (("feed.open = covered and covering", "feed.open = True"),),
        needs=('evict', 'restored'),
    ),
    Mutant(
        "floors-ignored",
        "between two of which one lacks what the other forgot nothing passes but a reset",
        "intake:Intake.may_take",
        (("return theirs is None or self.core.replicas[scope].vector.covers_all(theirs.vector)", "return True"),),
        also=(
            ("dials:Dials.agree", (("feed.open = covered and covering", "feed.open = True"),)),
            (
                "replica:Replica.covers_delta",
                (
                    ("and self.vector.covers_all(end.floor.vector)", ""),
                    ("and end.vector.covers_all(self.floor.vector)", ""),
                ),
            ),
        ),
        needs=("evict", "restored"),
    ),
    Mutant(
        "own-records-not-kept",
        "records of the own region beyond a reset's vector survive",
        "intake:Intake._survivors",
        (("if region_of(origin) == region", "if False"),),
        needs=('evict',),
    ),
    Mutant(
        "old-version-kept",
        "where the snapshot lacks the key a record is written again just above its highest dropped version",
        "intake:Intake._write_again",
        (("if present is None:", "if False:"),),
        needs=('evict',),
    ),
    Mutant(
        "foreign-records-kept",
        "only records of the own region survive a reset",
        "intake:Intake._survivors",
        (("if region_of(origin) == region", "if True"),),
        needs=('evict',),
    ),
    Mutant(
        "same-incarnation-after-reset",
        "what survives a reset is written under a new incarnation",
        "intake:Intake._replaced",
        (("core.take_incarnation()", "replica.renew(core.origin)"),),
        needs=('evict',),
    ),
    Mutant(
        "expired-shown",
        "an expired record reads as absent",
        "tombstones:absent",
        (("or expired(record, wall_ms)", ""),),
    ),
    Mutant(
        "stripped-too-soon",
        "an expired record loses its value only when every in-region node's clock is past the expiry",
        "tombstones:Tombstones.strip",
        (("and self._to_strip[0][0] <= region_wall_ms", ""),),
        harms=(Harm(1500, 5000, "skew-one", ("r1n1",), 3000), Harm(3000, 500, "blank", ("r1n2",))),
    ),
    Mutant(
        "expiry-not-told",
        "watchers get `expired`",
        "upkeep:Upkeep._expire",
        (("if core.watches:", "if False:"),),
    ),
    Mutant(
        "expired-kept-for-ever",
        "an expired record becomes a tombstone and follows the tombstones' rule",
        "tombstones:Tombstones.strip",
        (("self._standing.append(tombstone)", "pass"),),
    ),
    # -- Sessions --------------------------------------------------------------------------------
    Mutant(
        "session-ignored",
        "a node answers only if it holds what the session has seen",
        "requests:Requests._has_seen",
        (("if saw is None:", "if True:"),),
    ),
    Mutant(
        "shown-alone",
        "what a reply shows is held by a second node of the region, or says degraded",
        "acks:Acks.secured",
        (("return self._alone or replica.second.covers(record.origin, record.sequence)", "return True"),),
    ),
    Mutant(
        "resumed-below-the-floor",
        "a watch whose token is below the floor gets a fresh snapshot",
        "requests:Requests._resumed",
        (("if covered and known and not", "if covered and not"),),
        needs=('kill', 'pause'),
    ),
    Mutant(
        "resumed-after-expiry",
        "a watch that was away while expired records were dropped gets a fresh snapshot",
        "requests:Requests._resumed",
        (("(expired_since or older)", "older"),),
        needs=("kill", "pause"),
    ),
    Mutant(
        "expiry-missed",
        "a watch that resumes is told what expired while it was away",
        "requests:Requests._missed",
        (("if one.expires and absent(one, self.core.now.wall_ms)", "if False"),),
        needs=("kill", "pause"),
    ),
    Mutant(
        "resumed-uncovered",
        "a watch resumes on another node once that covers the token",
        "requests:Requests._resumed",
        (("if covered and known and", "if known and"),),
        needs=('kill', 'pause'),
    ),
    Mutant(
        "resumed-without-the-missed",
        "a watch that resumes is told what it missed",
        "requests:Requests._missed",
        (("for record in index.above(token.get(origin, 0))", "for record in ()"),),
        needs=('kill',),
    ),
    Mutant(
        "watch-out-of-order",
        "changes are coalesced per key to the latest",
        "watches:Watcher.show",
        (("if held is None or not later(held[0], record):", "if held is None:"),),
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--from", dest="first", type=int, default=1)
    given = parser.parse_args()
    for mutant in MUTANTS:
        if given.names and mutant.name not in given.names:
            continue
        began = time.perf_counter()
        try:
            found = _search(mutant, range(given.first, given.first + given.seeds))
        except AssertionError as error:
            found = str(error)
        print(f"{mutant.name}: {found} ({time.perf_counter() - began:.0f} s)", flush=True)


def _search(mutant: Mutant, seeds: range) -> str:
    tried = 0
    for seed in seeds:
        plan = plan_of(mutant, seed)
        if mutant.needs and mutant.harms is None and not any(harm.kind in mutant.needs for harm in schedule(plan)):
            continue
        tried += 1
        with planted(mutant):
            fallen = broken(mutant, seed)
        if fallen and not broken(mutant, seed):
            return f"seed {seed}: {fallen[0][:200]}"
    return f"survives {tried} worlds"


if __name__ == "__main__":
    main()
