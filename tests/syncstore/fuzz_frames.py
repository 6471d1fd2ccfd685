"""Sends garbage to a running engine: `python -m tests.syncstore.fuzz_frames --seconds 60 [--seed N]`.

Whatever arrives, on whatever kind of connection, the engine raises nothing, stays bounded, keeps what it
acknowledged, goes on serving, and what it wrote to its log can be replayed. A *round* is one world with
its attackers: a peer, a region that the engine dialled, one that dialled it, a client. Half of the rounds
send garbage only, the other half also well-formed lies, after which records may be lost but nothing else.
A failing seed prints the command that replays it.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import sys
import time
import traceback
from collections import Counter, deque

import msgspec

from lab.syncstore import entries, wire
from lab.syncstore.errors import Malformed
from tests.syncstore.engines import Client, Net, origin_of
from tests.syncstore.hostile import FRIEND, VICTIM, Maker, mutated, packed

MEMBERS = {"r": ("a", "b", "c"), "s": ("x", "y"), "t": ("z",)}
KINDS = ("peer", "dialled", "accepted", "client")
"""Attackers: node c of the own region; x or y, whom the victim dialled; z, who dialled the victim; a client."""
FRAMES_A_ROUND = 150
COUNTED: Counter[str] = Counter()
"""What the attacked engines counted: shows what the attacks come to."""
ENDED: Counter[str] = Counter()


class Failure(Exception):
    pass


# -- bytes alone ------------------------------------------------------------------------------------------


def decoders(body: bytes) -> None:
    """Raises Failure where a decoder lets through anything but Malformed."""
    for decode in (
        wire.decode,
        entries.decode,
        lambda raw: wire.records_of(raw, origin_of("a"), "global"),
    ):
        try:
            decode(body)
        except Malformed:
            pass
        except Exception as error:
            raise Failure(f"{decode}: {error!r} for {body[:200].hex()}") from error


# -- an engine under attack -------------------------------------------------------------------------------


class World(Net):
    """a and b are engines; everybody else is played."""

    regions_dialled = "x"

    def __init__(self, seed: int) -> None:
        super().__init__(MEMBERS, seed, start=False, staging_bytes=2**20, credit_bytes=2**16)
        for node in (VICTIM, FRIEND):
            self.start(node)
        self.attack: dict[str, int] = {}
        self.said: deque[bytes] = deque(maxlen=300)
        self.sniffed = self.overhear

    def _dialled(self) -> bool:
        """Whom the victim dials besides its friend, the attackers answer."""
        for dial in list(self.dials):
            node, other, purpose = dial
            if other in self.engines or node != VICTIM:
                continue
            self.dials.remove(dial)
            kind = "peer" if purpose == "peer" else "dialled"
            if kind == "dialled" and self.regions[other] != "s":
                self.engines[VICTIM].dial_failed(self.moment(VICTIM), other, purpose)
                continue
            if kind == "dialled":
                self.regions_dialled = other
            self.open(kind, purpose, other)
        return super()._dialled()

    def open(self, kind: str, purpose: str, dialled: str = "") -> int:
        number = self.attack[kind] = self.number()
        self.engines[VICTIM].opened(self.moment(VICTIM), number, purpose, dialled)
        return number

    def end(self, node: str, number: int) -> None:
        for kind in [one for one, held in self.attack.items() if held == number and node == VICTIM]:
            del self.attack[kind]
        super().end(node, number)

    def overhear(self, sender: str, to: str, body: bytes) -> bytes:
        if len(body) < 5000 and (body[1] != 8 or self.random.random() < 0.05):  # beacons are most of it
            self.said.append(body)
        return body

    def greeted(self, kind: str) -> bool:
        link = self.engines[VICTIM].core.links.get(self.attack.get(kind, 0))
        return link is not None and link.hello is not None

    def attacked(self, kind: str, body: bytes) -> None:
        number = self.attack.get(kind)
        if number is None:
            if kind not in ("accepted", "client"):
                return
            number = self.open(kind, "wan" if kind == "accepted" else "client")
        self.engines[VICTIM].received(self.moment(VICTIM), number, body)


class Round:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.lies = self.chance.random() < 0.5
        self.net = World(seed)
        self.net.run(2500 if self.chance.random() < 0.7 else 25, 25)
        self.maker = Maker(self.chance, self.net, lies=self.lies)
        self.client = Client(self.net, VICTIM)
        self.written: dict[str, bytes] = {}

    def live(self) -> None:
        chance = self.chance
        for count in range(FRAMES_A_ROUND):
            kind = chance.choice(KINDS)
            if not self.net.greeted(kind) and chance.random() < 0.95:
                self.net.attacked(kind, self.maker.body(self.maker.hello(kind)))
            for frame in self.maker.frames(kind):
                self.net.attacked(kind, self.maker.body(frame))
            if chance.random() < 0.3:
                self.net.settle()
            if chance.random() < 0.2:
                self.net.run(chance.choice([5, 25, 100, 600]), 25)
            if count % 10 == 0:
                self.write(f"mine{chance.randrange(5)}", b"%d" % count)
            self.bounded()
        self.net.settle()
        self.serves()
        COUNTED.update(self.net.engines[VICTIM].counters)
        ENDED.update(re.sub(r"[0-9a-f]{6,}|[0-9]+", "…", why)[:100] for _, why in self.net.outlets[VICTIM].closed)
        self.replays()

    def write(self, key: str, value: bytes) -> None:
        if self.client.gone or (VICTIM, self.client.number) not in self.net.clients:
            raise Failure("a client's connection was ended for what others sent")
        number = self.client.ask("put", key, value, "global/lww/mine")
        self.net.settle()
        for _ in range(120):
            if number in self.client.replies:
                break
            self.net.run(25, 25)
        reply = self.client.replies.get(number)
        if reply is None:
            raise Failure("a put was not answered in 3 s")
        if not reply.error:
            self.written[key] = value
        elif not self.lies:
            raise Failure(f"a put failed: {reply.error}: {reply.info}")

    def bounded(self) -> None:
        core, requests = self.net.engines[VICTIM].core, self.net.engines[VICTIM].requests
        limits = core.config.limits
        sizes = {
            "links": (len(core.links), 60),
            "inbox": (max((one.inbox_bytes for one in core.links.values()), default=0), 3 * limits.credit_bytes),
            "staging": (
                max((s.size for one in core.links.values() for s in one.staging.values()), default=0),
                limits.staging_bytes + 2**20,
            ),
            "sentences": (len(core.to_tell), 1000),
            "fetched": (len(requests._fetched), len(requests.readers)),
            "second": (max(len(one.second.entries) for one in core.replicas.values()), 500),
            "cuts": (sum(one.table.watched for one in core.replicas.values()), 2 * len(core.links)),
        }
        for name, (size, most) in sizes.items():
            if size > most:
                raise Failure(f"{name} grew to {size}, expected at most {most}")

    def serves(self) -> None:
        self.write("mine0", b"last")
        if self.lies:
            return
        self.net.run(500, 25)
        for node in (VICTIM, FRIEND):
            for key, value in self.written.items():
                held = self.net.at(node, key, "global/lww/mine")
                if held is None or held.value != value:
                    raise Failure(f"{node} lost {key}={value!r}: it holds {held}")

    def replays(self) -> None:
        """What stands in the log makes a node again, and what was acknowledged is in it. (Not all need be the
        same: a delta whose vector claims what no part of it holds hides streams that came while it was merged.)"""
        live = self.net.engines[VICTIM]
        while live.work(self.net.moment(VICTIM)):
            live.flush(self.net.moment(VICTIM))
        live.flush(self.net.moment(VICTIM))
        again = self.net.restart(VICTIM)
        for key, value in self.written.items() if not self.lies else ():
            held = again.replicas["global"].table.get("global/lww/mine", key)
            if held is None or held.value != value:
                raise Failure(f"the log lost {key}={value!r}: it holds {held}")
        self.mutated_log()

    def mutated_log(self) -> None:
        """A log that was changed behind the node's back is refused with a sentence, or makes some node."""
        log = list(self.net.disks[VICTIM].entries)
        for _ in range(3):
            spoiled = list(log)
            for _ in range(self.chance.randrange(1, 4)):
                self.spoil(spoiled)
            self.net.disks[VICTIM].entries = spoiled
            try:
                self.net.restart(VICTIM)
                self.net.run(100, 25)
            except Malformed:
                pass
            self.net.engines.pop(VICTIM, None)

    def spoil(self, log: list[bytes]) -> None:
        if not log:
            return
        place = self.chance.randrange(len(log))
        what = self.chance.randrange(4)
        if what == 0:
            del log[place]
        elif what == 1:
            log.insert(place, self.chance.choice(log))
        elif what == 2:
            try:
                log[place] = packed(mutated(self.chance, msgspec.msgpack.decode(log[place])))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return  # spoiled already
        else:
            spoiled = bytearray(log[place])
            spoiled[self.chance.randrange(len(spoiled))] ^= 1 << self.chance.randrange(8)
            log[place] = bytes(spoiled)


def one_round(seed: int) -> None:
    """Raises whatever went wrong."""
    chance = random.Random(seed)
    for _ in range(200):
        decoders(chance.randbytes(chance.choice([1, 5, 30, 300])))
    lived = Round(seed)
    for kind in KINDS:
        for frame in lived.maker.frames(kind):
            decoders(lived.maker.body(frame))
    lived.live()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="that seed alone")
    parser.add_argument("--show", type=int, default=0, help="so many reasons why connections were ended")
    parser.add_argument("--go-on", action="store_true", help="after a failure too")
    given = parser.parse_args()
    until, seed, failed = time.monotonic() + given.seconds, given.seed, Counter[str]()
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while True:
        try:
            one_round(seed)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failed[f"{type(error).__name__} {where.name}: {str(error)[:100]}"] += 1
            if failed[f"{type(error).__name__} {where.name}: {str(error)[:100]}"] == 1:
                traceback.print_exc()
                print(f"python -m tests.syncstore.fuzz_frames --once --seed {seed}", flush=True)
            if not given.go_on:
                return 1
        seed += 1
        if given.once or time.monotonic() >= until:
            break
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began
    print(f"{seed - given.seed} rounds, {sum(failed.values())} failed; memory grew by {grown // 1024} MiB")
    print(", ".join(f"{name} {count}" for name, count in sorted(COUNTED.items())))
    for why, count in ENDED.most_common(given.show):
        print(f"{count:7} ended: {why}")
    for what, count in failed.most_common():
        print(f"{count:5} {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
