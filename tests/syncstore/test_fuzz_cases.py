"""What hostile bytes once broke, or might have: each case is a few frames on one kind of connection.

`fuzz_frames` finds them; here they stay. After every case the node serves, has kept what it acknowledged,
and its log can be replayed.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from lab.syncstore import paxos
from lab.syncstore.record import Record
from lab.syncstore.vector import Floor, Vector
from lab.syncstore.wire import (
    Beacon,
    Delta,
    DeltaEnd,
    Exchange,
    Fetched,
    Held,
    Hello,
    Paxos,
    Request,
    Requests,
    Reset,
    ResetEnd,
    Seen,
    Stream,
    Want,
    encode,
)
from tests.syncstore import fuzz_frames
from tests.syncstore.engines import LOCAL, LWW, REGISTER, Client, incarnation, origin_of, raw, record
from tests.syncstore.fuzz_frames import VICTIM, World

C1, C2, X1, Z1 = origin_of("c"), origin_of("c", 2), origin_of("x", 1, "s"), origin_of("z", 1, "t")
FAR_FUTURE = "0" + "f" * 27
NOTHING = Vector({}, {})
Frames = list[bytes]


def packed(*frame: object) -> bytes:
    return msgspec.msgpack.encode(frame)


def delta(records: Record, vector: Vector, *, scope: str = "global", parts: int = 1, base: Vector = NOTHING) -> Frames:
    part = encode(Delta(scope, 5, 0, records.origin, raw(records)))
    return [part, encode(DeltaEnd(scope, 5, parts, base, vector, Floor()))]


def own(world: World) -> str:
    return world.engines[VICTIM].core.origin


def beacon(vectors: Vector, digests: dict[int, int] | None = None, floor: Floor | None = None) -> bytes:
    scopes = ("global", "region")
    stated = dict.fromkeys(scopes, vectors)
    floors = dict.fromkeys(scopes, floor or Floor())
    return encode(Beacon(0, stated, stated, {}, {}, {"global": digests or {}}, [], floors))


def seat(name: str) -> bytes:
    voter = paxos.Voter(name, paxos.Mark(name, 2**60), 2**60, {VICTIM: paxos.Mark(name, 2**60)})
    return encode(Paxos(msgspec.Raw(msgspec.msgpack.encode(paxos.Greeting(voter, name, True, {}, True)))))


def last_ballot(counter: int) -> Frames:
    """Asks to accept what leaves no ballot after it."""
    ballot = paxos.Ballot(counter, "c", incarnation(1))
    state = paxos.State(b"v", 0, 5, 0, C1)
    accept = paxos.Accept(1, REGISTER, "k", ballot, state)
    prepare = paxos.Prepare(2, REGISTER, "l", ballot)
    return [encode(Paxos(msgspec.Raw(msgspec.msgpack.encode(one)))) for one in (accept, prepare)]


def ask(op: str, key: str = "k", bucket: str = LWW, **more: object) -> bytes:
    return encode(Requests([Request(1, op, bucket, key, **more)]))  # type: ignore[arg-type]


CASES: dict[str, tuple[str, Callable[[World], Frames], bool]] = {
    # name: the connection, its frames, whether it is ended for them
    "a fetched record that is none": ("peer", lambda _: [encode(Fetched(1, C1, raw(), NOTHING))], False),
    "a fetched record nobody asked for": ("peer", lambda _: [encode(Fetched(9, C1, raw(record("k")), NOTHING))], False),
    "a delta with a part that is unsound": (
        "peer",
        lambda _: [
            packed(3, "global", 5, 0, C1, [[1, "x", "", b"", -1, 0]]),
            packed(4, "global", 5, 1, [{}, {}], [{C1: 1}, {}], [[{}, {}]]),
        ],
        True,
    ),
    "the same from a region": (
        "dialled",
        lambda _: [packed(3, "global", 5, 0, X1, 7), packed(4, "global", 5, 1, [{}, {}], [{X1: 1}, {}], [[{}, {}]])],
        True,
    ),
    "a delta of the region's own from elsewhere": (
        "dialled",
        lambda _: delta(record("k", of=X1, bucket=LOCAL), Vector({X1: 1}, {}), scope="region"),
        True,
    ),
    "a delta that holds more than its vector names": (
        "peer",
        lambda _: delta(record("k", of=C1, sequence=9), Vector({C1: 2}, {})),
        True,
    ),
    "a delta of an origin its vector does not name": (
        "peer",
        lambda _: delta(record("k", of=C2), Vector({C1: 2}, {})),
        True,
    ),
    "a delta of fewer parts than it says": (
        "peer",
        lambda _: delta(record("k", of=C1), Vector({C1: 1}, {}), parts=2),
        False,
    ),
    "a delta of a negative number of parts": (
        "peer",
        lambda _: delta(record("k", of=C1), Vector({C1: 1}, {}), parts=-1),
        False,
    ),
    "a delta that names more of us than we wrote": (
        "peer",
        lambda world: delta(record("k", of=C1), Vector({C1: 1, own(world): 999}, {})),
        False,
    ),
    "a delta that closes what we are": (
        "peer",
        lambda _: delta(record("k", of=C1), Vector({C1: 1}, {f"r/{VICTIM}": "06" + "9" * 26})),
        False,
    ),
    "a delta in which we come from the end of time": (
        "peer",
        lambda _: delta(record("k", of=C1), Vector({C1: 1, f"r/{VICTIM}/{FAR_FUTURE}": 1}, {})),
        True,
    ),
    "a beacon in which we come from the end of time": (
        "peer",
        lambda _: [beacon(Vector({f"r/{VICTIM}/{FAR_FUTURE}": 3}, {}))],
        True,
    ),
    "a beacon that closes us at the end of time": (
        "peer",
        lambda _: [beacon(Vector({}, {f"r/{VICTIM}": FAR_FUTURE}))],
        True,
    ),
    "a beacon that names more of us than we wrote": (
        "accepted",
        lambda world: [beacon(Vector({own(world): 999}, {}))],
        False,
    ),
    "our own stream, from the future": (
        "peer",
        lambda _: [encode(Stream("global", f"r/{VICTIM}/{FAR_FUTURE}", 1, raw(record("k", of=C1))))],
        True,
    ),
    "our own stream, from later": (
        "peer",
        lambda _: [
            encode(Stream("global", origin_of(VICTIM, 2**102), 1, raw(record("k", of=origin_of(VICTIM, 2**102)))))
        ],
        False,
    ),
    "our own stream back": (
        "peer",
        lambda world: [encode(Stream("global", own(world), 1, raw(record("mine", b"theirs", 2**42, of=own(world)))))],
        False,
    ),
    "a digest of buckets there are not": ("peer", lambda _: [beacon(NOTHING, {-1: 5, 2**63: 1, 1024: 7})], False),
    "an exchange of a bucket there is not": (
        "peer",
        lambda _: [encode(Exchange("global", -7, True, [])), encode(Exchange("global", 2**63, True, []))],
        False,
    ),
    "an exchange of records nobody knows": (
        "peer",
        lambda _: [encode(Exchange("global", 1, False, [(C2, raw(record("k", of=C2, sequence=77)))]))],
        False,
    ),
    "an exchange over a scope that does not cross": (
        "accepted",
        lambda _: [encode(Exchange("region", 1, True, []))],
        True,
    ),
    "what is held of origins nobody knows": (
        "peer",
        lambda _: [encode(Held("global", {origin_of("q", n): 5 for n in range(1, 5000)}))],
        False,
    ),
    "a floor above everything": (
        "peer",
        lambda _: [
            beacon(NOTHING, floor=Floor(Vector({C1: 2**60}, {}), 1, 1, C1)),
            *delta(record("k", of=C1), Vector({C1: 1}, {})),
        ],
        False,
    ),
    "a reset nobody asked for": (
        "peer",
        lambda _: [
            encode(Reset("global", 0, C1, raw(record("mine", None, 2**42, of=C1)))),
            encode(ResetEnd("global", 1, Vector({C1: 1}, {}), Floor())),
        ],
        False,
    ),
    "a want of everything there never was": (
        "accepted",
        lambda _: [encode(Want("global", Vector({C1: 2**61, X1: 2**61}, {})))] * 50,
        False,
    ),
    "a hello again": ("peer", lambda world: [hello(world, "peer")], True),
    "a seat that is no incarnation": ("peer", lambda _: [seat("z" * 28)], True),
    "a seat from the end of time": ("peer", lambda _: [seat(FAR_FUTURE)], False),
    "the last ballot": ("peer", lambda _: last_ballot(2**62 - 1), False),
    "a ballot after the last": ("peer", lambda _: last_ballot(2**62), True),
    "a digit that is no number": ("client", lambda _: [ask("unwatch", "²"), ask("unwatch", "9" * 5000)], False),
    "a state of a region that is no text": ("client", lambda _: [ask("drain", "s", value=b"\xff\xfe")], False),
    "an operation on a region that is one of data": (
        "client",
        lambda _: [ask("create", "s", "global/lww/$regions"), ask("drain", "s", "nonsense")],
        False,
    ),
    "what nobody can have seen": (
        "client",
        lambda _: [ask(op, seen=Seen(2**63, -1, "", "/", 2**63)) for op in ("put", "get", "delete", "watch", "keys")],
        False,
    ),
    "a token of nonsense": ("client", lambda _: [ask("watch", resume={"/": 2**63, "": -5, "r/a/": 1})], False),
    "a revision of nonsense": (
        "client",
        lambda _: [
            ask("update", bucket=REGISTER, revision=text)
            for text in ("", ".", "ffffffffffffffffffff.1.x", "-1.-1.", "é")
        ],
        False,
    ),
    "a token of the wrong length": (
        "client",
        lambda _: [ask("create", bucket=REGISTER, token=b"t" * size) for size in (0, 1, 17, 100_000)],
        False,
    ),
    "a version at the end of time": (
        "client",
        lambda _: [ask("put", seen=Seen(7_258_118_400_000, 2**32 - 1, "", "", 0)), ask("put")],
        False,
    ),
}


def hello(world: World, kind: str) -> bytes:
    region, node = {"peer": ("r", "c"), "accepted": ("t", "z"), "dialled": ("s", world.regions_dialled)}.get(
        kind, ("", "")
    )
    purpose = {"peer": "peer", "client": "client"}.get(kind, "wan")
    stated = {scope: replica.vector for scope, replica in world.engines[VICTIM].replicas.items()}
    floors = {scope: Floor() for scope in stated}
    members = world.config(VICTIM).members_hash
    return encode(Hello("test", (1, 1), (), members, region, node, incarnation(1), purpose, 0, stated, floors))


def begun(kind: str) -> tuple[World, Client]:
    """A world in which the attacker has been let in, and a client has written."""
    world = World(1)
    world.run(2500, 25)
    client = world.client(VICTIM)
    assert client.put("mine", b"1", "global/lww/mine").error == ""
    world.until(lambda: kind in world.attack or kind in ("accepted", "client"))
    world.attacked(kind, hello(world, kind))
    world.settle()
    assert world.greeted(kind)
    return world, client


@pytest.mark.parametrize("name", CASES)
def test_the_node_goes_on(name: str) -> None:
    kind, frames, ended = CASES[name]
    world, client = begun(kind)
    second = max(len(one.second.entries) for one in world.engines[VICTIM].replicas.values())
    link = world.attack[kind]
    for body in frames(world):
        world.attacked(kind, body)
    world.settle()
    assert (link in [number for number, _ in world.outlets[VICTIM].closed]) == ended
    world.run(300, 25)
    assert client.put("other", b"2", "global/lww/mine").error == ""
    engine = world.engines[VICTIM]
    assert len(engine.core.incarnation) == 28
    assert engine.requests._fetched == {}
    assert max(len(one.second.entries) for one in engine.replicas.values()) < second + 50
    for node in (VICTIM, "b"):
        world.until(lambda node=node: world.at(node, "other", "global/lww/mine") is not None)  # type: ignore[misc]
    again = world.restart(VICTIM)
    world.run(2500, 25)
    for key, value in (("mine", b"1"), ("other", b"2")):
        held = again.replicas["global"].table.get("global/lww/mine", key)
        assert held is not None
        assert held.value == value


def test_a_delta_without_an_end_is_bounded() -> None:
    world, _ = begun("peer")
    for number in range(200):
        body = encode(
            Delta("global", 5, number, C1, raw(record(f"k{number}", b"v" * 20_000, of=C1, sequence=number + 1)))
        )
        world.attacked("peer", body)
    assert not world.greeted("peer") or world.engines[VICTIM].core.links[world.attack["peer"]].dropped
    world.settle()
    assert "peer" not in world.attack


def test_a_flood_from_a_region_is_bounded() -> None:
    world, client = begun("dialled")
    link = world.engines[VICTIM].core.links[world.attack["dialled"]]
    body = encode(Stream("global", X1, 5, raw(record("k", b"v" * 50_000, of=X1, sequence=5))))
    for _ in range(100):
        world.attacked("dialled", body)
    assert link.inbox_bytes <= 3 * world.limits.credit_bytes
    assert client.put("k").error == ""


def test_hello_is_checked_before_a_node_is_ready() -> None:
    world = World(1)
    world.run(25)
    said = msgspec.msgpack.decode(hello(world, "peer"))
    for change in ({9: {}}, {10: {}}, {9: {"global": [{}, {}]}}, {12: None}):
        body = msgspec.msgpack.encode([change.get(place, value) for place, value in enumerate(said)])
        world.until(lambda: "peer" in world.attack)
        world.attacked("peer", body)
        world.settle()
        assert "peer" not in world.attack


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_few_rounds_of_the_fuzzer(seed: int) -> None:
    fuzz_frames.one_round(seed)
