"""Planted bugs in what SYNCSTORE.md says under "Deletes and expiry", and in what a record that is covered may do."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from lab.syncstore.simulate.settings import LIMITS
from tests.syncstore.mutants import Mutant, Small

QUIET = Small(1, 1, 5.0, harms=())
EVICTED = Small(3, 1, 9.0, harms=(Harm(1200, 3000, "evict", ("r3",)),))
RESTORED = Small(2, 2, 9.0, harms=(Harm(1200, 4500, "restored", ("r1n1",), 100),))
LATER = (Harm(800, 6500, "far", ("r1", "r3"), 500), Harm(1700, 5500, "far", ("r1", "r3"), 500))
"""In two steps, neither of them a silence."""
BACK = (*(Harm(1500, 3000, "skew", (region,), 4000) for region in ("r1", "r2")), Harm(1400, 3200, "away", ("r2",)))
"""All clocks are ahead, and go back; in one region nobody writes meanwhile."""
SOON = replace(LIMITS, tombstone_age_ms=200)
"""Tombstones that go as soon as they may."""
BACK_GIVEN = {"keys": 20, "rate_per_s": 30.0, "mix": ("put", "delete"), "limits": SOON}
NO_DELTA_FLOORS = {
    "and self.vector.covers_all(end.floor.vector)": "",
    "and end.vector.covers_all(self.floor.vector)": "",
}

MUTANTS = [
    Mutant(
        "covered-merged-again",
        "a record that the vector already covers is never merged",
        "replica:Applying.step",
        {"if not vector.covers(record.origin, record.sequence):": "if True:"},
        why="a delta that could bring back what was forgotten is refused by its floor: see forgotten-brought-back",
    ),
    Mutant(
        "stream-replayed",
        "a record that the vector already covers is never merged, in streams",
        "replica:Replica.take",
        {"for record in records[entry + 1 - stream.first :]:": "for record in records:"},
        why="a frame overlaps what is held only where a cut fell into it, and then nothing of it is forgotten yet",
    ),
    Mutant(
        "delta-below-my-floor",
        "a receiver whose own floor the cut does not cover refuses a delta",
        "replica:Replica.covers_delta",
        {"and end.vector.covers_all(self.floor.vector)": ""},
        why="what the vector covers isn't merged: see forgotten-brought-back",
    ),
    Mutant(
        "delta-floor-ignored",
        "a receiver whose vector does not cover the sender's floor refuses a delta",
        "replica:Replica.covers_delta",
        {"and self.vector.covers_all(end.floor.vector)": ""},
        why="hellos and beacons tell the floor too, and both sides look at it: see floors-ignored",
    ),
    Mutant(
        "forgotten-brought-back",
        "what a receiver has forgotten is not brought back by a delta that was cut before: by its floor, its vector, "
        "or since it has all of it",
        "replica:Replica.covers_delta",
        {"and end.vector.covers_all(self.floor.vector)": ""},
        Small(
            3,
            1,
            14.0,
            harms=(Harm(1000, 1500, "between", ("r1", "r2"), 0, STALL), Harm(2000, 6500, "narrow", ("r1", "r2"), 18)),
            given={"keys": 30, "rate_per_s": 40.0, "limits": replace(SOON, ring_bytes=2048)},
        ),
        also={
            "replica:Applying.step": {"if not vector.covers(record.origin, record.sequence):": "if True:"},
            "intake:Intake._delta_end": {"if replica.vector.covers_all(end.vector):": "if False:"},
        },
        seed=1,
    ),
    Mutant(
        "dropped-young",
        "a tombstone is dropped when it is old enough, and not above the node's clock",
        "tombstones:Tombstones.droppable",
        {"ended + age_ms <= wall_ms and": ""},
        Small(
            2,
            2,
            8.0,
            harms=(Harm(1500, 2500, "skew", ("r1",), 2500),),
            given={"keys": 3, "rate_per_s": 10.0},
        ),
        seed=1,
    ),
    Mutant(
        "dropped-unreported",
        "a tombstone is dropped when every member node's durable vector covers it",
        "tombstones:Tombstones.droppable",
        {"and low.covers(record.origin, record.sequence)": ""},
        Small(2, 1, 9.0, harms=(Harm(1200, 3000, "cut", ("r1",), 0, STALL),)),
        seed=2,
    ),
    Mutant(
        "dropped-uncovered",
        "a tombstone is dropped when my vector covers the reports",
        "reports:all_hold",
        {"if report is None or not mine.covers_all(report.high):": "if report is None:"},
        Small(
            3,
            1,
            12.0,
            harms=LATER,
            given={"keys": 20, "rate_per_s": 40.0, "limits": replace(SOON, third_region_after_ms=5000)},
        ),
        seed=8,
    ),
    Mutant(
        "dropped-below-the-clock",
        "dropping a tombstone raises the node's last version to it",
        "upkeep:Upkeep._forget",
        {"core.clock.raise_to(replica.floor.time, replica.floor.counter)": "pass"},
        Small(2, 1, 9.0, harms=BACK, given=BACK_GIVEN),
        seed=1,
    ),
    Mutant(
        "no-floor",
        "what was dropped raises the floor",
        "replica:Replica.drop",
        {"self.floor.vector.raise_to(record.origin, record.sequence)": "pass"},
        EVICTED,
        seed=1,
    ),
    Mutant(
        "taken-from-above-my-vector",
        "whoever does not cover a peer's floor takes nothing from it but a reset",
        "intake:Intake.may_take",
        {"self.core.replicas[scope].vector.covers_all(theirs.vector)": "True"},
        why="a delta says its floor itself, and a stream still has what the table forgot: see floors-ignored",
    ),
    Mutant(
        "sent-below-the-floor",
        "whoever does not cover a peer's floor sends it nothing",
        "dials:Dials.agree",
        {"feed.open = covered and covering": "feed.open = True"},
        why="the receiver looks too: see floors-ignored",
    ),
    Mutant(
        "floors-ignored",
        "between two of which one lacks what the other forgot nothing passes but a reset",
        "intake:Intake.may_take",
        {"if theirs is None:": "if True:"},
        EVICTED,
        also={
            "dials:Dials.agree": {"feed.open = covered and covering": "feed.open = True"},
            "core:Core.away": {"if scope != GLOBAL:": "if True:"},
            "replica:Replica.covers_delta": NO_DELTA_FLOORS,
        },
        seed=2,
    ),
    Mutant(
        "expired-shown",
        "an expired record reads as absent",
        "tombstones:absent",
        {"or expired(record, wall_ms)": ""},
        Small(1, 2, 6.0, harms=(Harm(1500, 2000, "pause", ("r1n2",)),)),
        seed=2,
    ),
    Mutant(
        "stripped-too-soon",
        "an expired record loses its value only when every in-region node's clock is past the expiry",
        "tombstones:Tombstones.strip",
        {"and self._to_strip[0][0] <= region_wall_ms": ""},
        Small(
            1,
            3,
            8.0,
            harms=(Harm(1200, 3500, "skew-one", ("r1n1",), 3000), Harm(2200, 300, "blank", ("r1n2",))),
            given={"keys": 40, "limits": replace(LIMITS, logged_a_sync_bytes=2**20), "rate_per_s": 100.0},
        ),
        seed=15,
    ),
    Mutant(
        "expiry-not-told",
        "watchers get `expired`",
        "upkeep:Upkeep._expire",
        {"if core.watches:": "if False:"},
        QUIET,
        seed=1,
    ),
    Mutant(
        "expired-kept-for-ever",
        "an expired record becomes a tombstone and follows the tombstones' rule",
        "tombstones:Tombstones.strip",
        {"self._standing.append(tombstone)": "pass"},
        QUIET,
        seed=1,
    ),
    Mutant(
        "dropped-undurable",
        "a tombstone is dropped when every member node holds it durably, not before",
        "reports:of_region",
        {"meet(durable)": "meet(held)"},
        Small(
            1,
            3,
            8.0,
            harms=tuple(Harm(1500 + 1500 * turn, 300, "power", ("r1",)) for turn in range(3)),
            given={"limits": replace(SOON, sync_within_ms=1500.0), "keys": 40, "rate_per_s": 100.0},
        ),
        why="who loses what it did not hold durably covers the floor no more, and gets a reset",
    ),
    Mutant(
        "floor-without-version",
        "the floor names the highest version dropped",
        "replica:Replica.drop",
        {
            'self.floor.time, self.floor.counter, self.floor.maker = record.time, record.counter, record.maker or ""': (
                "pass"
            )
        },
        Small(2, 1, 9.0, harms=BACK, given=BACK_GIVEN),
        seed=1,
    ),
]
