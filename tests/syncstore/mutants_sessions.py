"""Planted bugs in what SYNCSTORE.md says under "Sessions"."""

from __future__ import annotations

from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.links import STALL
from tests.syncstore.looks import answered, forward, repeated
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
        {"self._alone or self._replica.second.covers(record.origin, record.sequence)": "True"},
        Small(1, 3, 5.0, harms=(Harm(1500, 1200, "pause", ("r1n2", "r1n3")),)),
        seed=1,
    ),
    Mutant(
        "watch-shown-alone",
        "what a watch shows is held by a second node of the region, or says degraded",
        "acks:Acks._settle",
        {"second = 2**62 if self._alone else": "second = 2**62 if self._alone or not own else"},
        Small(2, 3, 5.0, harms=(Harm(1500, 1200, "inside", ("r1n1",), 0, STALL),)),
        seed=1,
    ),
    Mutant(
        "puts-not-repeated",
        "`put` and `delete` of an lww bucket are simply repeated",
        "session:Session._may_retry",
        {"is_safe(call.request, beside=beside)": 'call.request.op == "get"'},
        Small(
            1,
            3,
            5.0,
            harms=(Harm(1500, 1000, "kill", ("r1n1",)), Harm(2600, 500, "kill", ("r1n2",))),
            look=repeated,
            given={"rate_per_s": 300.0},
        ),
        seed=3,
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
    Mutant(
        "covering-is-not-enough",
        "a node answers too if its vector covers what the session has seen",
        "requests:Requests._has_seen",
        {"if replica.vector.covers_seen(saw.origin, saw.sequence):": "if False:"},
        Small(1, 1, 6.0, harms=()),
        seed=1,
    ),
    Mutant(
        "closed-is-not-enough",
        "a node answers too if the origin that the session has seen is closed",
        "vector:Vector.covers_seen",
        {"return self.covers(origin, sequence)": "return self.entries.get(origin, -1) >= sequence"},
        Small(1, 2, 9.0, harms=(Harm(1500, 100, "kill", ("r1n1",), 1),), look=answered, given={"keys": 6}),
        seed=9,
    ),
    Mutant(
        "behind-is-final",
        "after `Behind` the client tries the next node",
        "session:Session._refused",
        {"if reply.error in FINAL:": 'if reply.error in FINAL or reply.error == "Behind":'},
        Small(
            1,
            3,
            6.0,
            harms=(Harm(1500, 2000, "inside", ("r1n2",), 0, STALL), Harm(1800, 1500, "kill", ("r1n1",), 1)),
            look=answered,
            given={"keys": 4, "rate_per_s": 100.0},
        ),
        seed=1,
    ),
    Mutant(
        "peers-not-asked",
        "a node that lacks what the session has seen asks its in-region peers",
        "requests:Requests._get",
        {"self._fetch(reader)": "pass"},
        why="a peer that could answer sends the record itself within the 50 ms, or the client asks it next",
    ),
    Mutant(
        "session-not-kept",
        "the client keeps, per key, what it has seen",
        "session:Session.answered",
        {"if reply.seen is not None:": "if False:"},
        Small(
            1,
            3,
            6.0,
            harms=(Harm(1500, 2000, "inside", ("r1n1",), 0, STALL), Harm(2500, 1000, "kill", ("r1n1",), 1)),
            look=forward,
            given={"keys": 6, "rate_per_s": 150.0},
        ),
        seed=3,
    ),
    Mutant(
        "shown-undurable",
        "what a reply shows of a node's own writes is durable there",
        "acks:Acks.secured",
        {"second and self.durable(record)": "second"},
        why="a peer's record is shown once two nodes hold it, durable or not: a power cut may take either",
    ),
    Mutant(
        "expiry-shown-too-soon",
        "what a watch is shown is held by a second node of the region, or says degraded: of an expiry, what expired",
        "upkeep:Upkeep._show_expired",
        {"secured = acks.secured(record)": "secured = True"},
        Small(
            1,
            1,
            8.0,
            harms=(Harm(1500, 2000, "disk", ("r1n1",), 300, "stuck"), Harm(3000, 800, "kill", ("r1n1",), 100)),
            given={"keys": 20, "rate_per_s": 100.0},
        ),
        seed=27,
    ),
    Mutant(
        "loss-untold",
        "a watch never loses the final state: what it was shown elsewhere and is lost, it is told of",
        "requests:Requests._ended",
        {"if replica.lost(watcher.owed):": "if False:"},
        Small(
            1,
            3,
            12.0,
            harms=(
                Harm(1500, 3000, "disk", ("r1n1", "r1n2", "r1n3"), 300, "stuck"),
                Harm(3000, 700, "power", ("r1",)),
            ),
            given={"keys": 20, "rate_per_s": 100.0, "mix": LASTING},
        ),
        seed=1,
    ),
    Mutant(
        "resume-waits-for-ever",
        "a watch whose token is not covered within 2 s gets a fresh snapshot",
        "requests:Requests._resumed",
        {"if covered or core.now.mono_ms - resumer.since_ms >= core.config.limits.ready_after_ms:": "if covered:"},
        Small(
            1,
            2,
            9.0,
            harms=(Harm(1500, 1500, "inside", ("r1n1",), 0, STALL), Harm(2400, 300, "blank", ("r1n1",))),
        ),
        why="what the token names is of an incarnation that is closed soon, and then the watch begins anew because it "
        "names more than was held at its end; it takes a region away that holds the closing up (400 worlds without)",
    ),
    Mutant(
        "given-up-awaited",
        "what a reset gave up is waited for no longer",
        "requests:Requests._has_seen",
        {"return replica.has_made_up_for(self.core.config.region, saw.origin, saw.sequence)": "return False"},
        why="what survives a reset is written again with a version that is enough for the session; only a tombstone "
        "that was dropped since would need it, and 48 worlds made for that have not come to it",
    ),
    Mutant(
        "doubt-forgotten",
        "what fails after an indefinite try is reported as Timeout",
        "answers:in_all",
        {"if not in_doubt or": "if True or"},
        Small(
            1,
            3,
            7.0,
            harms=(Harm(1500, 2500, "disk", ("r1n2", "r1n3"), 0, "full"), Harm(2000, 1500, "kill", ("r1n1",), 1)),
            given={"rate_per_s": 200.0},
        ),
        seed=1,
    ),
]
