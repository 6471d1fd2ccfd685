"""Planted bugs in what SYNCSTORE.md says under "Versions and origins" and "Replication"."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import BLACKHOLE, REFUSE, STALL
from lab.syncstore.simulate.settings import COSTS, SLOW
from tests.syncstore.mutants import Mutant, Small

QUIET = Small(1, 3, 4.0, harms=())
CUT = Small(2, 2, 7.0, harms=(Harm(1500, 1800, "cut", ("r1",), 0, STALL),))
"""Long enough that the ring of what was written meanwhile no longer reaches back."""
AWAY = Small(2, 1, 6.0, harms=(Harm(1200, 1600, "cut", ("r1",), 0, REFUSE),))
CATCH_UP = (Harm(1500, 1500, "cut", ("r2",), 0, STALL), Harm(1500, 1500, "flood", ("r2",), 15))
"""A region floods while it is cut off."""


def losses(mode: str) -> tuple[Harm, ...]:
    """All nodes of a region go at once, with the disk of one, again and again."""
    return tuple(Harm(1500 + 1500 * turn, 300, "all-blank", (f"r1n{turn % 3 + 1}",), 0, mode) for turn in range(4))


MUTANTS = [
    # -- Versions and origins --------------------------------------------------------------------
    Mutant(
        "below-the-present",
        "a new version is above the key's present record",
        "core:Core.new_version",
        {"above = (*above, (present.time, present.counter))": "pass"},
        Small(2, 1, 4.0, harms=(Harm(1000, 1500, "skew", ("r1",), 60_000, "stays"),)),
        seed=7,
    ),
    Mutant(
        "below-the-session",
        "a new version is above the session's token for that key",
        "requests:Requests._write",
        {"core.new_version(present, (saw.time, saw.counter))": "core.new_version(present)"},
        Small(
            1,
            3,
            6.0,
            harms=(
                Harm(1000, 2500, "skew-one", ("r1n1",), 3000, "stays"),
                Harm(1500, 1800, "inside", ("r1n1",), 0, STALL),
                Harm(1900, 1000, "kill", ("r1n1",), 1),
            ),
        ),
        seed=1,
    ),
    Mutant(
        "clock-follows-versions",
        "received versions never move a node's clock",
        "version:VersionClock.next",
        {"return made": "self.time, self.counter = made\n    return made"},
        Small(2, 1, 4.0, harms=(Harm(1000, 1500, "skew", ("r1",), 60_000, "stays"),)),
        seed=1,
    ),
    Mutant(
        "incarnation-kept",
        "every start takes a new incarnation",
        "core:Core.take_incarnation",
        {
            "self.incarnation = incarnation(": "self.incarnation = self.known_incarnation"
            " if self.known_incarnation and not self.incarnation else incarnation("
        },
        Small(
            1,
            3,
            7.0,
            harms=(Harm(1000, 2000, "restored", ("r1n1",), 100), Harm(2800, 1000, "inside", ("r1n1",), 0, STALL)),
        ),
        seed=1,
    ),
    Mutant(
        "closed-though-unequal",
        "an incarnation is closed when every member node states the same sequence held and durable",
        "reports:_agrees",
        {"report.low.get(origin) == sequence and held in (sequence, WHOLE) and": ""},
        why="a report made after the successor was known is nearly always complete: see closed-at-once",
    ),
    Mutant(
        "closed-before-known",
        "an incarnation is closed by reports made after its successor was known",
        "reports:_agrees",
        {"and report.low.knows_newer(origin)": ""},
        Small(
            3,
            1,
            7.0,
            harms=(Harm(2995, 1500, "one-way", ("r2",), 0, "mute"), Harm(3000, 200, "power", ("r1",))),
            given={"rate_per_s": 10.0, "costs": replace(COSTS, sync_ms=40.0), "keys": 500},
        ),
        seed=154,
    ),
    Mutant(
        "closed-at-once",
        "an incarnation is closed when every member node states the same of it, knowing that it is over",
        "reports:_agrees",
        {"if report.low.get(origin) == WHOLE:": "if True:"},
        Small(
            3,
            1,
            7.0,
            harms=(Harm(2995, 1500, "one-way", ("r2",), 0, "mute"), Harm(3000, 200, "power", ("r1",))),
            given={"costs": replace(COSTS, sync_ms=40.0), "keys": 500},
        ),
        seed=2,
    ),
    # -- Replication -----------------------------------------------------------------------------
    Mutant(
        "stream-over-gaps",
        "a stream is taken only where it begins at the receiver's entry + 1",
        "replica:Replica.take",
        {"if stream.first > entry + 1:": "if False:"},
        CUT,
        seed=3,
    ),
    Mutant(
        "delta-without-base",
        "a delta is taken only by a receiver whose vector covers the base",
        "replica:Replica.covers_delta",
        {"self.vector.covers_all(end.base)": "True"},
        why="what a link's sender believes of its receiver is what that has said on it; only a reset takes back, "
        "and that ends every link",
    ),
    Mutant(
        "delta-of-now",
        "the walk reads the table as it was at the cut",
        "delta:Cut._displaced",
        {"if self.base.get(record.origin) <": "if False and self.base.get(record.origin) <"},
        Small(2, 1, 7.0, harms=(Harm(1500, 1800, "cut", ("r1",), 0, STALL),), given={"keys": 40, "rate_per_s": 150.0}),
        seed=3,
    ),
    Mutant(
        "delta-in-pieces",
        "a delta is applied when whole",
        "intake:Intake._delta_end",
        {"or len(staging.parts) != end.parts": ""},
        why="parts travel in order on one connection, and a broken one leaves nothing behind",
    ),
    Mutant(
        "entries-rise-first",
        "the entries rise when all of a delta is in, not before",
        "replica:Applying.__init__",
        {"replica.applying = self": "replica.vector.join(end.vector)"},
        CUT,
        seed=1,
    ),
    Mutant(
        "cut-while-applying",
        "half of a delta is no state that a vector names: no cut is made of it",
        "replica:Replica.cut",
        {"if self.applying is not None:": "if False:"},
        Small(
            2,
            3,
            7.0,
            harms=(
                Harm(1500, 1500, "cut", ("r2",), 0, STALL),
                Harm(1500, 1500, "flood", ("r2",), 8),
                Harm(2900, 1500, "resets", ("r1",), 8),
            ),
            given={"keys": 300, "costs": SLOW, "rate_per_s": 40.0},
        ),
    ),
    Mutant(
        "no-limit-unsent",
        "a socket with more than so much unsent stops its stream",
        "engine:Engine._feed",
        {"or core.outlet.unsent(link.number) > limits.unsent_bytes": ""},
        Small(1, 2, 5.0, harms=(Harm(1500, 600, "inside", ("r1n1",), 0, STALL), Harm(1400, 900, "flood", ("r1",), 60))),
        seed=3,
    ),
    Mutant(
        "acknowledged-undurable",
        "a write is acknowledged when it is durable here",
        "acks:Acks._settle",
        {"durable = replica.durable.get(origin) if own else 2**62": "durable = 2**62"},
        QUIET,
        seed=1,
    ),
    Mutant(
        "acknowledged-alone",
        "a write is acknowledged when one in-region peer holds it",
        "acks:Acks._settle",
        {"second = 2**62 if self._alone else replica.second.get(origin)": "second = 2**62"},
        Small(1, 3, 5.0, harms=(Harm(1500, 1200, "pause", ("r1n2", "r1n3")),)),
        seed=1,
    ),
    Mutant(
        "held-only-in-memory",
        "what a peer says it holds is in its log",
        "engine:Engine._tell_held",
        {"if not core.written():": "if False:"},
        Small(1, 3, 12.0, harms=losses("kill")),
        seed=4,
    ),
    Mutant(
        "copies-never-synced",
        "what a peer holds is synced there within 100 ms",
        "engine:Engine.wants_sync",
        {"return now.mono_ms - core.oldest_unsynced_ms() >= core.config.limits.sync_within_ms": "return False"},
        Small(1, 3, 12.0, harms=losses("power")),
        seed=2,
    ),
    Mutant(
        "never-degraded",
        "after 50 ms without any peer's word a write is acknowledged as degraded",
        "acks:Acks._settle",
        {"if late and now_ms - one.since_ms < self._after_ms:": "if late:"},
        Small(1, 2, 5.0, harms=(Harm(1500, 1500, "inside", ("r1n1",), 0, STALL),)),
        seed=1,
    ),
    Mutant(
        "silent-link-kept",
        "after 2 s without a byte: next node",
        "dials:Dials._silent",
        {"if link.purpose != CLIENT and": "if False and link.purpose != CLIENT and"},
        Small(2, 1, 6.0, harms=(Harm(1500, 1200, "cut", ("r1",), 0, BLACKHOLE),)),
        seed=1,
    ),
    Mutant(
        "no-third-region",
        "a third region's records come by delta when the receiver has been behind on them for a while",
        "feed:Feed.states",
        {"if any(now_ms - since >= waited for since, _ in behind.values())": "if False"},
        Small(3, 1, 12.0, harms=(Harm(1500, 5500, "between", ("r1", "r2"), 0, STALL),)),
        seed=2,
    ),
    Mutant(
        "gateway-does-not-pass-on",
        "a node streams what it received as gateway to its peers",
        "dials:Dials._own_and_heard",
        {"return region in self.core.hearing()": "return False"},
        why="the peers get it as a third region's, by delta, a little later",
    ),
    Mutant(
        "wan-first",
        "local operations first: bounded WAN work per loop turn",
        "intake:Intake.work",
        {"self._apply(count)": "self._apply(10**9)", ">= count:": ">= 10**9:"},
        Small(
            2,
            1,
            8.0,
            harms=CATCH_UP,
            paired=True,
            given={"keys": 4000, "costs": replace(COSTS, disk_bytes_per_ms=1e9), "spare": "r1", "rate_per_s": 150.0},
        ),
        also={"replica:Applying.step": {"while count > 0:": "while True:"}},
        seed=4,
    ),
    Mutant(
        "no-credit",
        "credit in bytes: a region may send so much before the receiver has worked it off",
        "engine:Engine._feed",
        {"if link.credit <= 0 or": "if"},
        Small(
            2,
            1,
            8.0,
            harms=(*CATCH_UP, Harm(2500, 2500, "busy", ("r1n1",), 40)),
            given={"keys": 4000, "costs": COSTS, "rate_per_s": 60.0},
        ),
        seed=9,
    ),
    Mutant(
        "no-probe",
        "an unreachable peer is probed again",
        "dials:Dials._failed",
        {"span = min(limits.probe_ms,": "span = 1e9 + 0 * min(limits.probe_ms,"},
        AWAY,
        seed=1,
    ),
    Mutant(
        "no-backoff",
        "reconnects back off",
        "dials:Dials._failed",
        {"span = min(limits.probe_ms,": "span = 0 * min(limits.probe_ms,"},
        Small(1, 2, 8.0, harms=(Harm(1500, 3500, "inside", ("r1n1",), 0, REFUSE),)),
        seed=1,
    ),
]
