"""Frames that attackers of a node would send: valid ones, mutated ones, and well-formed lies.

Owns how they are made of a chance; knows nothing of what a node must make of them (`fuzz_frames`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from lab.syncstore.core import STATES
from tests.syncstore.engines import LOCAL, LWW, REGISTER, incarnation, origin_of

VICTIM, FRIEND = "a", "b"
NAMES = {"peer": ("r", "c"), "accepted": ("t", "z"), "client": ("", "")}
NUMBERS = (0, 1, 2, 3, 7, 255, 65536, 2**31, 2**32, 2**40, 2**48, 2**53, 2**62 - 1, 2**62, 2**63 - 1, 2**64 - 1)
HOSTILE_NUMBERS = (*NUMBERS, -1, -2, -(2**31), -(2**63))
PACKED = msgspec.msgpack.Encoder()


def packed(value: Any) -> bytes:
    """msgpack of values, some of which no encoder would write: `Wild` stands for bytes as they are."""
    if isinstance(value, Wild):
        return value.bytes_
    if isinstance(value, list | tuple):
        return b"\xdd" + len(value).to_bytes(4, "big") + b"".join(map(packed, value))
    if isinstance(value, dict):
        inner = b"".join(packed(one) for pair in value.items() for one in pair)
        return b"\xdf" + len(value).to_bytes(4, "big") + inner
    if isinstance(value, int):
        value = max(-(2**63), min(value, 2**64 - 1))
    return PACKED.encode(value)


class Wild:
    def __init__(self, bytes_: bytes) -> None:
        self.bytes_ = bytes_


WILD: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    "/",
    "//",
    "r/a/",
    "r/a/" + "z" * 28,
    "a" * 5000,
    "\x00",
    "²",
    b"",
    b"\xff" * 300,
    [],
    {},
    [[]],
    {"": {}},
    float("nan"),
    float("inf"),
    -0.0,
    1e300,
    3.0,
    Wild(b"\xa4\xff\xfe\xfd\xfc"),  # a text that is no UTF-8
    Wild(b"\xa3\xed\xa0\x80"),  # half of a surrogate
    Wild(b"\xc1"),  # never used
    Wild(b"\xdd\xff\xff\xff\xff"),  # an array of 2**32 - 1
    Wild(b"\xdf\x7f\xff\xff\xff"),
    Wild(b"\xc6\xff\xff\xff\xff"),
    Wild(b"\x91" * 2000 + b"\x90"),  # deep
    Wild(b"\x81\xa0" * 2000 + b"\xc0"),
    Wild(b"\xd6\xff\x00\x00\x00\x00"),  # a time
    Wild(b"\xc7\x05\x07hello"),  # an extension
)


class Maker:
    """Frames as lists, of what the attackers know: names, origins, what was sent so far."""

    def __init__(self, chance: random.Random, net: Any, *, lies: bool) -> None:
        """net: a `fuzz_frames.World`."""
        self.chance, self.net, self.lies = chance, net, lies
        self.sent: Counter[str] = Counter()
        victim = net.engines[VICTIM].core
        friend = net.engines[FRIEND].core
        self.own = [victim.origin, friend.origin]
        self.theirs = {
            "peer": [origin_of("c", one, "r") for one in (1, 2, 3)],
            "dialled": [origin_of(node, one, "s") for node in "xy" for one in (1, 2)],
            "accepted": [origin_of("z", one, "t") for one in (1, 2)],
            "client": [origin_of("z", 9, "t")],
        }

    def one(self, *of: Any) -> Any:
        return self.chance.choice(of)

    def number(self) -> int:
        return self.one(0, 1, 2, 3, 5) if self.chance.random() < 0.6 else self.one(*NUMBERS)

    def entry(self) -> int:
        return self.number() if self.chance.random() < 0.03 else self.one(0, 1, 2, 3, 5, 255, 2**31, 2**62 - 1)

    def scope(self, kind: str) -> str:
        if self.chance.random() < 0.03:
            return self.one("", "region", "world", "global/")
        return "global" if kind != "peer" or self.chance.random() < 0.6 else "region"

    def origin(self, kind: str) -> str:
        if self.chance.random() < 0.03:
            return self.one("", "r/a", "r/a/0", f"r/a/{incarnation(1)[:-1]}g", "x" * 300, *self.own)
        if self.chance.random() < 0.2:
            return origin_of(self.one(*"abcxyzq"), self.chance.randrange(1, 9), self.one(*"rstq"))
        return self.one(*self.theirs[kind])

    def vector(self, kind: str) -> list[Any]:
        """Garbage names no more of the victim's region's true writes than there is; lies name anything."""
        named = {self.one(*self.theirs[kind]): self.entry() for _ in range(self.chance.randrange(4))}
        for origin in self.theirs[kind]:
            if self.chance.random() < 0.7:
                named[origin] = self.sent[origin]
        closed = {}
        if self.chance.random() < 0.2:
            node, region = self.one(("x", "s"), ("z", "t"))
            closed[f"{region}/{node}"] = incarnation(self.chance.randrange(4))
        if self.lies and self.chance.random() < 0.3:
            named[self.one(*self.own, origin_of("a", 2**100), origin_of("b", 5))] = self.entry()
            if self.chance.random() < 0.3:
                closed[self.one("r/a", "r/b", "r/c")] = self.one("f" * 28, incarnation(3))
        return [named, closed]

    def floor(self, kind: str) -> list[Any]:
        if self.chance.random() < 0.9:
            return [[{}, {}], 0, 0, ""]
        return [self.vector(kind) if self.lies else [{}, {}], self.number(), self.number(), self.origin(kind)]

    def record(self, kind: str, scope: str, sequence: int) -> list[Any]:
        bucket = self.one(LWW, LWW, REGISTER) if scope == "global" else LOCAL
        if self.chance.random() < 0.03:
            bucket = self.one(LWW, LOCAL, REGISTER, STATES, "", "x", "global/lww/" + "n" * 200)
        key = f"k{self.chance.randrange(6)}" if self.chance.random() < 0.98 else self.one("", "k" * 513, "\u00e4" * 300)
        value = self.one(b"theirs", b"theirs2", None, b"evicted")
        when = self.net.moment(VICTIM).wall_ms + self.one(-1000, 0, 400, 10**9)
        made = [sequence, bucket, key, value, when, self.one(0, 0, 1, 2**32 - 1)]
        if self.chance.random() < 0.3:
            made += [self.one(0, when + 50, 1), self.one(None, self.one(*self.theirs[kind]))]
        return made

    def records(self, kind: str, scope: str, first: int, count: int) -> list[Any]:
        return [self.record(kind, scope, first + place) for place in range(count)]

    def hello(self, kind: str) -> list[Any]:
        region, node = NAMES.get(kind) or ("s", self.dialled())
        vectors = {scope: self.vector(kind) for scope in self.scopes()}
        floors = {scope: self.floor(kind) for scope in self.scopes()}
        purpose = {"dialled": "wan", "accepted": "wan"}.get(kind, kind)
        members = self.net.config(VICTIM).members_hash
        nodes = [vectors, floors, self.number(), self.chance.random() < 0.1] if kind != "client" else []
        if nodes and self.chance.random() < 0.5:
            nodes.append({scope: [7, self.number(), self.origin(kind), self.number()] for scope in self.scopes()})
        return [1, "test", [1, 1], [], members, region, node, incarnation(1), purpose, self.number(), *nodes]

    def scopes(self) -> tuple[str, ...]:
        return ("global", "region") if self.chance.random() < 0.95 else self.one((), ("global",), ("x", "region"))

    def dialled(self) -> str:
        return self.net.regions_dialled

    def stream(self, kind: str) -> list[Any]:
        scope, origin = self.scope(kind), self.origin(kind)
        first = self.sent[origin] + 1
        if self.chance.random() < 0.2:
            first = self.one(*HOSTILE_NUMBERS)
        count = self.chance.randrange(4)
        if self.chance.random() < 0.7:
            self.sent[origin] = max(self.sent[origin], min(first + count - 1, 2**20))
        return [2, scope, origin, first, self.records(kind, scope, first, count)]

    def delta(self, kind: str) -> list[list[Any]]:
        scope, cut = self.scope(kind), self.number()
        parts, tops = [], {}
        for number in range(self.chance.randrange(4)):
            origin = self.origin(kind)
            first = self.sent[origin] + 1
            records = self.records(kind, scope, first, self.chance.randrange(1, 4))
            tops[origin] = first + len(records) - 1
            parts.append([3, scope, cut, number, origin, records])
        vector = self.vector(kind)
        if self.chance.random() < 0.8:
            vector[0].update({one: top for one, top in tops.items() if one in self.theirs[kind]})
        base = self.vector(kind) if self.chance.random() < 0.2 else [{}, {}]
        count = len(parts) if self.chance.random() < 0.8 else self.number()
        return [*parts, [4, scope, cut, count, base, vector, self.floor(kind)]]

    def reset(self, kind: str) -> list[list[Any]]:
        scope = self.scope(kind)
        parts = []
        for number in range(self.chance.randrange(3)):
            origin = self.origin(kind)
            parts.append([10, scope, number, origin, self.records(kind, scope, 1, self.chance.randrange(4))])
        return [*parts, [11, scope, len(parts), self.vector(kind), self.floor(kind)]]

    def beacon(self, kind: str) -> list[Any]:
        scopes = ("global", "region") if kind == "peer" else ("global",)
        reports = [{"global": {region: self.vector(kind) for region in self.one("st", "r", "rstq")}} for _ in "lh"]
        if not self.lies:
            reports = [{}, {}]
        digests = {scope: {self.number(): self.number() for _ in range(3)} for scope in scopes}
        vectors = [{scope: self.vector(kind) for scope in scopes} for _ in "vd"]
        floors = {scope: self.floor(kind) for scope in scopes}
        hears = [self.one(*"rstq") for _ in range(2)]
        return [
            8,
            self.number(),
            *vectors,
            *reports,
            digests,
            hears,
            floors,
            self.number(),
            True,
            True,
            {"rstq"[self.number() % 4]: self.number()},
        ]

    def request(self) -> list[Any]:
        op = self.one("put", "get", "delete", "create", "update", "keys", "watch", "unwatch", "status")
        if self.chance.random() < 0.1:
            op = self.one("drain", "evict", "serve", "", "x" * 100) if self.lies else self.one("drain", "serve", "y")
        bucket = self.one(LWW, LOCAL, REGISTER, STATES)
        seen = self.one(None, [self.number(), self.number(), self.origin("peer"), self.origin("peer"), self.number()])
        key = self.one("k1", "k2", "r", "q", "1", "²", "9" * 30, "", "\u00e4" * 300)
        values = (b"", b"value", b"v" * 300_000)
        more = [self.one(*values), self.number() if self.chance.random() < 0.2 else 0]
        revision, token = self.one("", "x", "00.00.r", f"{2**50:x}.1.m"), self.one(b"", b"t" * 16, b"t" * 99)
        resume = self.one(None, {}, {self.origin("peer"): self.number()})
        number = self.chance.randrange(10**6)
        return [number, op, bucket, key, *more, revision, token, seen, self.one(True, False), resume, self.number()]

    def frames(self, kind: str) -> list[list[Any]]:
        """One idea of an attacker, as frames."""
        scope = self.scope(kind)
        if kind == "client" and self.chance.random() < 0.9:
            return [[32, [self.request() for _ in range(self.chance.randrange(1, 4))]]]
        ideas: list[Callable[[], list[list[Any]]]] = [
            lambda: [self.stream(kind)],
            lambda: [self.stream(kind)],
            lambda: self.delta(kind),
            lambda: self.reset(kind),
            lambda: [self.beacon(kind)],
            lambda: [[5, scope, dict(self.vector(kind)[0])]],
            lambda: [[6, scope, self.vector(kind)]],
            lambda: [[7, self.one(1000, 2**16, 2**16, *HOSTILE_NUMBERS)]],
            lambda: [self.exchange(kind)],
            lambda: [[12, scope]],
            lambda: [[13, self.number(), self.one(LWW, LOCAL, "", "x/y/z"), self.one("k1", "")]],
            lambda: [self.fetched(kind)],
            lambda: [[15, self.paxos()]],
            lambda: self.overheard(),
            lambda: self.overheard(),
            lambda: [self.one([33, []], [34, 1, []])] if self.chance.random() < 0.1 else [self.beacon(kind)],
            lambda: [[35, "bye"]],
            lambda: [[self.one(16, 31, 36, 2**15, *self.one((), (), (0, 2**16, -1, "x", None, 1.5))), 1, 2]],
            lambda: [self.hello(kind)] if self.chance.random() < 0.1 else self.delta(kind),
        ]
        frames = self.one(*ideas)() or [self.stream(kind)]
        foreign = {"dialled": (5, 13, 14, 15), "accepted": (2, 3, 4, 5, 10, 11, 13, 14, 15)}
        if frames[0][0] in foreign.get(kind, ()) and self.chance.random() < 0.9:
            return self.one([self.beacon(kind)], [[6, scope, self.vector(kind)]], [self.exchange(kind)])
        return frames

    def exchange(self, kind: str) -> list[Any]:
        scope = self.scope(kind)
        records = []
        for _ in range(self.chance.randrange(3)):
            origin = self.origin(kind)
            if self.lies or origin not in self.own:
                records.append([origin, self.records(kind, scope, self.chance.randrange(1, 4), 2)])
        return [9, scope, self.number(), self.chance.random() < 0.5, records]

    def overheard(self) -> list[list[Any]]:
        """What the victim and its friend really said, again, from somebody else."""
        said = list(self.net.said)
        return [msgspec.msgpack.decode(body, strict=False) for body in self.chance.sample(said, min(3, len(said)))]

    def paxos(self) -> list[Any]:
        """A register's message: any tag, with fields of the kinds they have."""

        def field() -> Any:
            ballot = [self.number(), self.one("c", "b", "a"), incarnation(1)]
            state = [b"v", 0, self.number(), 0, origin_of("c"), [], b""]
            return self.one(self.number(), REGISTER, "k1", "c", ballot, [incarnation(1), 3], state, None, {}, [])

        return [self.chance.randrange(1, 16), self.number(), *(field() for _ in range(self.chance.randrange(8)))]

    def fetched(self, kind: str) -> list[Any]:
        origin = self.origin(kind)
        records = self.records(kind, "global", 1, self.chance.randrange(3))
        return [14, self.chance.randrange(1, 5), origin, records, self.vector(kind)]

    def body(self, frame: list[Any]) -> bytes:
        """The frame as bytes, a field or a byte of it mutated now and then."""
        draw = self.chance.random()
        if draw < (0.4 if frame[0] == 15 else 0.08):
            frame = mutated(self.chance, frame, numbers=self.lies)
        body = packed(frame)
        if draw > 0.97:
            spoiled = bytearray(body)
            for _ in range(self.chance.randrange(1, 4)):
                spoiled[self.chance.randrange(len(spoiled))] = self.chance.randrange(256)
            body = bytes(spoiled[: self.chance.choice([len(spoiled), self.chance.randrange(1, len(spoiled) + 1)])])
        return body


def mutated(chance: random.Random, frame: list[Any], *, numbers: bool = False) -> list[Any]:
    """One value somewhere inside becomes another, goes, or comes twice. numbers: also a number that may fit."""
    frame = list(frame)
    place = chance.randrange(len(frame))
    inner = frame[place]
    if isinstance(inner, list | tuple) and inner and chance.random() < 0.8:
        frame[place] = mutated(chance, list(inner), numbers=numbers)
    elif isinstance(inner, dict) and inner and chance.random() < 0.7:
        pairs = dict(inner)
        key = chance.choice(list(pairs))
        value = pairs.pop(key)
        if chance.random() < 0.5:
            odd = chance.choice([one for one in WILD if not isinstance(one, list | dict)])
            pairs[odd] = value
        else:
            pairs[key] = (
                (mutated(chance, [value], numbers=numbers) or [None])[0]
                if chance.random() < 0.5
                else wild(chance, numbers)
            )
        frame[place] = pairs
    elif chance.random() < 0.1:
        del frame[place]
    elif chance.random() < 0.1:
        frame.insert(place, inner)
    else:
        frame[place] = wild(chance, numbers)
    return frame


def wild(chance: random.Random, numbers: bool) -> Any:
    # In a vector of the own region's origins a number that fits would be a lie.
    return chance.choice(NUMBERS) if numbers and chance.random() < 0.5 else chance.choice(WILD)
