"""Planted bugs in what SYNCSTORE.md says under "Deletes and expiry" of eviction and resets."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from tests.syncstore.looks import forgotten
from tests.syncstore.mutants import Mutant, Small
from tests.syncstore.mutants_deletes import EVICTED, SOON

MUTANTS = [
    Mutant(
        "own-records-not-kept",
        "records of the own region beyond a reset's vector survive",
        "resets:_survivors",
        {"if region_of(origin) == region": "if False"},
        EVICTED,
        seed=1,
    ),
    Mutant(
        "foreign-records-kept",
        "only records of the own region survive a reset",
        "resets:_survivors",
        {"if region_of(origin) == region": "if True"},
        why="what another region wrote comes from there with the same version, so a copy of it is one record with it",
    ),
    Mutant(
        "old-version-kept",
        "where the snapshot lacks the key a record is written again just above its highest dropped version",
        "resets:_write_again",
        {"if present is None:": "if False:"},
        Small(
            3,
            1,
            11.0,
            harms=(Harm(1200, 2800, "evict", ("r3",)),),
            given={"keys": 150, "mix": ("put", "delete"), "rate_per_s": 80.0, "limits": SOON},
        ),
        seed=3,
    ),
    Mutant(
        "same-incarnation-after-reset",
        "what survives a reset is written under a new incarnation",
        "resets:take",
        {"core.take_incarnation()": "replica.renew(core.origin)"},
        EVICTED,
        seed=1,
    ),
    Mutant(
        "held-before-the-reset",
        "what a watch shows is held by a second node of the region: not by one that held it before it took a reset",
        "dials:Dials._feed",
        {"stated if link.feeds[scope].open else Vector({}, {})": "stated"},
        also={
            "replica:Replica.peer_holds": {"if greeting and": "if False and"},
            "upkeep:Upkeep.heard": {"and feed is not None and feed.open": ""},
        },
        why="it takes two peers that held it, and their resets just before: see test_worlds, world 43739",
    ),
    Mutant(
        "links-outlive-a-reset",
        "all connections of who takes a reset end",
        "intake:Intake._replaced",
        {'core.drop(one, "this node took a reset", "ended_by_reset")': "pass"},
        EVICTED,
        seed=12,
    ),
    Mutant(
        "new-version-though-known",
        "where the snapshot has the key a record is written again with its old version",
        "resets:_write_again",
        {"if present is None:": "if True:"},
        Small(
            3,
            1,
            11.0,
            harms=(Harm(1200, 2800, "evict", ("r3",)), Harm(3400, 2500, "between", ("r1", "r2"), 0, STALL)),
        ),
        why="checks go by versions, and one that was raised is a version like any other",
    ),
    Mutant(
        "back-without-a-reset",
        "an evicted region returns by a reset only",
        "core:Core.away",
        {"if scope != GLOBAL:": "if True:"},
        Small(
            3,
            1,
            9.0,
            harms=(
                *(Harm(at_ms, 5000, "far", (near, "r3"), 500) for at_ms in (800, 1700) for near in ("r1", "r2")),
                Harm(2600, 50, "evict", ("r3",)),
            ),
            given={"keys": 5, "rate_per_s": 60.0, "limits": replace(SOON, wan_beacon_ms=100)},
        ),
        seed=11,
    ),
    Mutant(
        "evicted-still-counted",
        "`evict` takes a region out of the reports that count",
        "core:Core.counted",
        {"one not in gone": "True"},
        Small(3, 1, 9.0, harms=(Harm(1200, 4600, "evict", ("r3",)),), look=forgotten),
        seed=1,
    ),
    Mutant(
        "nobody-sends-the-reset",
        "where neither covers what the other forgot, the lower name sends the reset",
        "dials:Dials.agree",
        {"if (core.config.region, core.config.node) < (link.region, link.node):": "if True:"},
        Small(
            2,
            1,
            11.0,
            harms=(Harm(1200, 2800, "evict", ("r1",)), Harm(1250, 2800, "evict", ("r2",))),
            given={"keys": 60, "mix": ("put", "delete"), "limits": SOON},
        ),
        seed=1,
    ),
    Mutant(
        "drained-is-evicted",
        "draining is advice: of replication only `evict` depends on it",
        "core:Core.counted",
        {"record.value == EVICTED.encode()": 'record.value in (EVICTED.encode(), b"draining")'},
        Small(
            3,
            1,
            9.0,
            harms=(Harm(1000, 4500, "drain", ("r3",)), Harm(1400, 3500, "cut", ("r3",), 0, STALL)),
        ),
        seed=2,
    ),
]
