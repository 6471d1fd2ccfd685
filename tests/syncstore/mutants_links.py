"""Planted bugs in what SYNCSTORE.md says under "Replication" of links, between regions above all."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import BLACKHOLE, REFUSE, STALL
from lab.syncstore.simulate.settings import COSTS, LIMITS, SLOW
from tests.syncstore.looks import arrived, soon
from tests.syncstore.mutants import Mutant, Small

AWAY = Small(2, 1, 6.0, harms=(Harm(1200, 1600, "cut", ("r1",), 0, REFUSE),))
CATCH_UP = (Harm(1500, 1500, "cut", ("r2",), 0, STALL), Harm(1500, 1500, "flood", ("r2",), 15))
"""A region floods while it is cut off."""
ROTTING = {"keys": 100, "rate_per_s": 20.0, "limits": replace(LIMITS, beacon_ms=25)}
"""All hash buckets are stated three times within some seconds."""

MUTANTS = [
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
        Small(2, 2, 4.0, harms=(), look=soon),
        seed=5,
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
        seed=1,
    ),
    Mutant(
        "delta-first",
        "local operations first: what is written while a delta is sent is not kept waiting for its end",
        "feed:Feed._between",
        {"if self._streamed or": "if True or"},
        Small(
            2,
            3,
            7.0,
            harms=(Harm(1500, 2500, "between", ("r1", "r2"), 0, STALL),),
            given={"keys": 2000, "costs": SLOW, "rate_per_s": 200.0, "limits": replace(LIMITS, ring_bytes=12000)},
        ),
        seed=2,
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
        seed=12,
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
    Mutant(
        "fault-redialled-at-once",
        "whoever answers with what is no frame is tried again later and later",
        "dials:Dials.lost",
        {"link.dropped not in AT_FAULT": "link.dropped"},
        Small(2, 1, 12.0, harms=(Harm(1900, 7350, "garbage", ("r2",), 6),)),
        seed=1,
    ),
    Mutant(
        "same-node-again",
        "after 2 s without a byte the next node of the region is dialled",
        "dials:Dials._dial",
        {"target.nodes[target.failures % len(target.nodes)]": "target.nodes[0]"},
        Small(2, 3, 9.0, harms=(Harm(1500, 4600, "kill", ("r1n1", "r1n2", "r2n1", "r2n2"), 1),), look=arrived),
        seed=1,
    ),
    Mutant(
        "wan-frames-unbounded",
        "frames between regions are small, so that beacons go between them",
        "feed:Feed._begin_cut",
        {"cut.bodies(self._limits.wan_frame_bytes)": "cut.bodies(10**6)"},
        Small(
            2,
            1,
            14.0,
            harms=(Harm(1500, 4000, "cut", ("r1",), 0, STALL), Harm(5300, 4500, "narrow", ("r1", "r2"), 8)),
            look=arrived,
            given={
                "rate_per_s": 40.0,
                "mix": ("put", "put", "get", "delete"),
                "keys": 300,
                "limits": replace(LIMITS, ring_bytes=4096),
            },
        ),
        seed=27,
    ),
    Mutant(
        "everybody-hears",
        "one node of a region hears another region, by rendezvous among those that do",
        "dials:Dials.tick",
        {"if should_hear(region, self.core.config.node, hearing):": "if True:"},
        why="two at once are harmless, as SYNCSTORE.md says: it only costs the bytes twice",
    ),
    Mutant(
        "refused-without-peers",
        "peer health is never a reason to refuse local work",
        "requests:Requests._write",
        {"if core.storage:": "if core.storage or (core.config.peers and not core.peers()):"},
        Small(1, 2, 5.0, harms=(Harm(1500, 1700, "inside", ("r1n1",), 0, STALL),)),
        seed=1,
    ),
    Mutant(
        "divergence-not-looked-for",
        "divergence is looked for all the time",
        "divergence:Watchman.compare",
        {"if strikes >= ROUNDS:": "if False:"},
        Small(1, 2, 12.0, rots=True, given=ROTTING),
        seed=1,
    ),
    Mutant(
        "divergence-not-mended",
        "a bucket that differs is exchanged: present beats absent unless a tombstone is held",
        "replica:Replica.repair",
        {"self.place(record, present)": "pass"},
        Small(1, 2, 12.0, rots=True, given=ROTTING),
        seed=1,
    ),
]
