"""Planted bugs in what SYNCSTORE.md says under "Sessions"."""

from __future__ import annotations

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from tests.syncstore.mutants import Mutant, Small

LASTING = ("put", "put", "put", "get", "delete", "delete")
"""Nothing expires: what expired has a rule of its own."""
AWAY = Small(1, 2, 9.0, harms=(Harm(1500, 3500, "away", ("r1",)),), given={"keys": 200})
FOREIGN = Small(2, 1, 9.0, harms=(Harm(1500, 3500, "away", ("r1",)),), given={"keys": 60, "mix": LASTING})
"""Clients that were away while another region wrote and deleted."""

MUTANTS = [
    Mutant(
        "session-ignored",
        "a node answers only if it holds what the session has seen",
        "requests:Requests._has_seen",
        {"if saw is None:": "if True:"},
        Small(
            1,
            3,
            6.0,
            harms=(Harm(1500, 2000, "inside", ("r1n1",), 0, STALL), Harm(2500, 1000, "kill", ("r1n1",), 1)),
            given={"keys": 6, "rate_per_s": 150.0},
        ),
        seed=3,
    ),
    Mutant(
        "shown-alone",
        "what a reply shows is held by a second node of the region, or says degraded",
        "acks:Acks.secured",
        {"return self._alone or replica.second.covers(record.origin, record.sequence)": "return True"},
        Small(1, 3, 5.0, harms=(Harm(1500, 1200, "pause", ("r1n2", "r1n3")),)),
        seed=1,
    ),
    Mutant(
        "resumed-below-the-floor",
        "a watch whose token is below the floor gets a fresh snapshot",
        "requests:Requests._resumed",
        {"if covered and known and not": "if covered and not"},
        FOREIGN,
        seed=1,
    ),
    Mutant(
        "resumed-after-expiry",
        "a watch that was away while expired records were dropped gets a fresh snapshot",
        "requests:Requests._resumed",
        {"(expired_since or older)": "older"},
        AWAY,
        seed=1,
    ),
    Mutant(
        "expiry-missed",
        "a watch that resumes is told what expired while it was away",
        "requests:Requests._missed",
        {"if one.expires and absent(one, self.core.now.wall_ms)": "if False"},
        Small(1, 2, 9.0, harms=(Harm(2000, 700, "away", ("r1",)),), given={"keys": 200}),
        seed=1,
    ),
    Mutant(
        "resumed-uncovered",
        "a watch resumes on another node once that covers the token",
        "requests:Requests._resumed",
        {"if covered and known and": "if known and"},
        why="what comes late is shown late, and a client shows nothing older than what it has shown",
    ),
    Mutant(
        "resumed-without-the-missed",
        "a watch that resumes is told what it missed",
        "requests:Requests._missed",
        {"for record in index.above(token.get(origin, 0))": "for record in ()"},
        Small(2, 1, 6.0, harms=(Harm(2000, 500, "away", ("r1",)),)),
        seed=1,
    ),
    Mutant(
        "watch-out-of-order",
        "changes are coalesced per key to the latest",
        "watches:Watcher.show",
        {"if held is None or not later(held[0], record):": "if held is None:"},
        why="only what is a key's present record is shown at all",
    ),
]
