"""Planted bugs in what SYNCSTORE.md says under "Replication": of streams, deltas and acknowledgements."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from lab.syncstore.simulate.settings import COSTS, LIMITS, SLOW
from tests.syncstore.mutants import Mutant, Small

LOGGED_AT_ONCE = replace(LIMITS, logged_a_sync_bytes=2**20)
"""So that most of the time in which a delta is taken goes into merging it."""

QUIET = Small(1, 3, 4.0, harms=())
CUT = Small(2, 2, 7.0, harms=(Harm(1500, 1800, "cut", ("r1",), 0, STALL),))
"""Long enough that the ring of what was written meanwhile no longer reaches back."""


def losses(mode: str) -> tuple[Harm, ...]:
    """All nodes of a region go at once, with the disk of one, again and again."""
    return tuple(Harm(1500 + 1500 * turn, 300, "all-blank", (f"r1n{turn % 3 + 1}",), 0, mode) for turn in range(4))


MUTANTS = [
    Mutant(
        "stream-over-gaps",
        "a stream is taken only where it begins at the receiver's entry + 1",
        "replica:Replica.take",
        {"if stream.first > entry + 1:": "if False:"},
        CUT,
        seed=10,
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
        seed=1,
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
            2,
            8.0,
            harms=(
                Harm(1500, 1500, "cut", ("r2",), 0, STALL),
                Harm(1500, 1500, "flood", ("r2",), 8),
                Harm(2900, 2300, "busy", ("r1n1",), 40),
                *(Harm(2000 + 300 * turn, 150, "blank", ("r1n2",)) for turn in range(9)),
            ),
            given={"keys": 100, "costs": SLOW, "limits": LOGGED_AT_ONCE, "rate_per_s": 20.0},
        ),
        seed=5,
    ),
    Mutant(
        "unmet-forgotten",
        "what could not be taken while a delta was merged is asked for again once that is in",
        "intake:Intake._lack",
        {"self._unmet[link, replica.scope] = None": "pass"},
        Small(
            3,
            3,
            12.0,
            harms=(Harm(1900, 5800, "pause", ("r1n2", "r1n3")),),
            given={"rate_per_s": 35.0, "limits": replace(LIMITS, ring_bytes=2048, logged_a_sync_bytes=256)},
        ),
        seed=4,
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
        "delta-without-tombstones",
        "a delta carries tombstones too",
        "delta:Cut._walk",
        {"if record is not None:": "if record is not None and record.value is not None:"},
        CUT,
        seed=2,
    ),
    Mutant(
        "resumed-short",
        "a broken delta goes on where it broke",
        "delta:Cut.bodies",
        {"if after is None or self._lined is None or after.parts <= self._lined:": "if after is None:"},
        Small(
            2,
            1,
            9.0,
            harms=(
                Harm(1500, 1500, "cut", ("r2",), 0, STALL),
                Harm(1500, 1500, "flood", ("r2",), 8),
                Harm(3000, 2500, "resets", ("r1",), 60),
            ),
            given={"keys": 300, "costs": SLOW, "rate_per_s": 30.0},
        ),
        seed=5,
    ),
    Mutant(
        "resumed-with-another-cut",
        "a broken delta is resumed with the cut that it was begun with",
        "dials:Dials._resume",
        {"if cut[0].number == number:": "if True:"},
        why="both ends keep the same cut, but where one of them notices a break much later than the other",
    ),
    Mutant(
        "alone-and-degraded",
        "a region of one node acknowledges at once, not degraded",
        "acks:Acks._settle",
        {"2**62 if self._alone else replica.second.get(origin)": "replica.second.get(origin)"},
        Small(1, 1, 4.0, harms=()),
        seed=1,
    ),
    Mutant(
        "held-once-synced",
        "received records never wait for a sync",
        "engine:Engine._tell_held",
        {"if not core.written():": "if core.synced < core.position:"},
        Small(1, 3, 5.0, harms=(), given={"costs": replace(COSTS, sync_ms=40.0)}),
        seed=1,
    ),
    Mutant(
        "storage-though-it-left",
        "a write that may have left the node is answered Timeout, never Storage",
        "engine:Engine._lost",
        {'"Timeout"': '"Storage"'},
        Small(1, 1, 7.0, harms=(Harm(1500, 2200, "disk", ("r1n1",), 0, "stuck"),)),
        seed=1,
    ),
]
