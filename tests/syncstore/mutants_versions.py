"""Planted bugs in what SYNCSTORE.md says under "Versions and origins"."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from lab.syncstore.simulate.settings import COSTS
from tests.syncstore.looks import risen
from tests.syncstore.mutants import Mutant, Small

MUTANTS = [
    Mutant(
        "one-version-two-records",
        "records of one version are one record, whatever their sequence",
        "digest:fingerprint",
        {"{record.time}": "{record.origin}.{record.sequence}.{record.time}"},
        Small(
            1,
            3,
            6.0,
            harms=(Harm(1500, 2000, "pause", ("r1n1",)), Harm(1500, 2500, "inside", ("r1n2",), 0, STALL)),
            given={"registers": True},
        ),
        seed=332,
    ),
    Mutant(
        "below-the-present",
        "a new version is above the key's present record",
        "core:Core.new_version",
        {"above = (*above, (present.time, present.counter))": "pass"},
        Small(2, 1, 6.0, harms=(Harm(1000, 1500, "skew", ("r1",), 60_000, "stays"),), look=risen),
        seed=1,
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
        seed=8,
    ),
]
