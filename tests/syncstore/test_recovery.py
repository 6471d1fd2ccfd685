"""What stands in a log makes the same node again."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore import entries, recovery
from lab.syncstore.core import Core
from lab.syncstore.engine import Engine
from lab.syncstore.entries import Closed, Dropped, Repaired, Started, Voted
from lab.syncstore.errors import Malformed
from lab.syncstore.record import Record
from lab.syncstore.vector import WHOLE, Floor, Vector
from lab.syncstore.wire import Delta, DeltaEnd, Reset, ResetEnd, Stream, encode
from tests.syncstore.engines import LOCAL, LWW, TWO, Net, incarnation, origin_of, raw, record

OF, OTHER = origin_of("b"), origin_of("b", 2)


def fresh() -> Core:
    net = Net(start=False)
    net.start("a")
    return Core(net.config("a"), net.outlets["a"], net.disks["a"])


def replayed(*payloads: bytes) -> Core:
    core = fresh()
    recovery.replay(core, [("entry", one) for one in payloads])
    return core


def state(engine: Engine | Core) -> dict[str, object]:
    """Everything of the replicas that must come back."""
    found: dict[str, object] = {}
    for scope, replica in engine.replicas.items():
        records = sorted(
            (one.bucket, one.key, one.version, one.value, one.expires, one.origin, one.sequence)
            for one in replica.table.records()
        )
        entries_ = {origin: entry for origin, entry in replica.vector.entries.items() if entry > 0}
        floor = replica.floor
        # Of a closed incarnation the floor may say less after a restart, until all have stated the mark again.
        dropped = {
            origin: entry for origin, entry in floor.vector.entries.items() if replica.vector.get(origin) < WHOLE
        }
        found[scope] = (records, entries_, replica.vector.closed, dropped, floor.time, floor.counter)
    return found


def stream(*records: Record) -> bytes:
    return encode(Stream("global", records[0].origin, records[0].sequence, raw(*records)))


K1 = record("k", b"1", 1, of=OF, sequence=1)
K2 = record("k", b"2", 2, of=OF, sequence=2)
GONE = record("k", None, 3, of=OF, sequence=3)
VECTOR = Vector({OF: 3}, {})


def delta(number: int, *records: Record, cut: int = 1) -> bytes:
    return encode(Delta("global", cut, number, records[0].origin, raw(*records)))


def end(parts: int, vector: Vector = VECTOR, cut: int = 1) -> bytes:
    return encode(DeltaEnd("global", cut, parts, Vector({}, {}), vector, Floor()))


def held(core: Core) -> dict[str, bytes | None]:
    return {one.key: one.value for one in core.replicas["global"].table.records()}


def test_streams_are_merged_in_sequence() -> None:
    core = replayed(stream(K1), stream(K2, GONE))
    replica = core.replicas["global"]
    assert held(core) == {"k": None}
    assert replica.vector.entries == {OF: 3}
    assert replica.durable == replica.vector
    assert replica.ring.find(OF, 2) is not None


def test_a_stream_seen_twice_changes_nothing_and_a_gap_is_refused() -> None:
    assert held(replayed(stream(K1, K2), stream(K1))) == {"k": b"2"}
    with pytest.raises(Malformed, match="gap"):
        replayed(stream(K1), stream(GONE))


def test_a_delta_counts_when_it_is_whole() -> None:
    parts = delta(0, K2), delta(1, record("l", of=OTHER))
    whole = replayed(*parts, end(2, Vector({OF: 2, OTHER: 1}, {})))
    assert held(whole) == {"k": b"2", "l": b"v"}
    assert whole.replicas["global"].vector.entries == {OF: 2, OTHER: 1}
    torn = replayed(*parts)
    assert held(torn) == {}
    assert torn.replicas["global"].vector.entries == {}


def test_after_a_torn_delta_the_log_goes_on() -> None:
    core = replayed(delta(0, K2), stream(K1), delta(0, GONE, cut=2), end(1, cut=2))
    assert held(core) == {"k": None}


def test_a_unit_that_begins_again_counts_from_there() -> None:
    first = encode(Reset("global", 0, OF, raw(K1)))
    whole = encode(Reset("global", 0, OF, raw(K2))), encode(ResetEnd("global", 1, Vector({OF: 2}, {}), Floor()))
    assert held(replayed(first, *whole)) == {"k": b"2"}
    assert held(replayed(delta(0, K1), delta(0, GONE), end(1))) == {"k": None}


@pytest.mark.parametrize(
    "payloads",
    [
        [delta(1, K1)],
        [delta(0, K1), delta(2, K2)],
        [delta(0, K1), end(2)],
        [end(1)],
        [encode(Reset("global", 1, OF, raw(K1)))],
        [encode(Stream("moon", OF, 1, raw(K1)))],
        [encode(Stream("region", OF, 1, raw(K1)))],
        [encode(Stream("global", OF, 2, raw(K1)))],
        [b""],
        [b"\x93"],
        [encode(DeltaEnd("global", 1, 0, Vector({}, {}), Vector({"x": 1}, {}), Floor()))],
        [entries.encode(Started("yesterday"))],
        [entries.encode(Closed("global", "r", incarnation(1)))],
        [entries.encode(Closed("nowhere", "r/a", incarnation(1)))],
    ],
    ids=range(14),
)
def test_what_no_log_holds_is_refused(payloads: list[bytes]) -> None:
    with pytest.raises(Malformed, match="expected"):
        replayed(*payloads)


def test_what_was_dropped_stays_dropped() -> None:
    floor = Floor(Vector({OF: 3}, {}), 3, 0, OF)
    core = replayed(stream(K1, K2, GONE), entries.encode(Dropped("global", floor, [(LWW, "k"), (LWW, "never")])))
    replica = core.replicas["global"]
    assert replica.table.count == 0
    assert replica.floor == floor
    assert replica.vector.entries == {OF: 3}
    assert core.clock.next(0) > (3, 0), "what was forgotten stays below what is written from now on"


def test_closed_incarnations_stay_closed() -> None:
    core = replayed(
        stream(K1),
        stream(record("l", of=OTHER)),
        entries.encode(Closed("global", "r/b", incarnation(2))),
        stream(record("k", b"late", 9, of=OF, sequence=2)),
    )
    replica = core.replicas["global"]
    assert replica.vector == Vector({OTHER: 1}, {"r/b": incarnation(2)})
    assert held(core)["k"] == b"1"


def test_repairs_are_taken_though_the_vector_covers_them() -> None:
    repaired = entries.encode(Repaired("global", OF, raw(record("m", b"r", 1, of=OF, sequence=2))))
    assert held(replayed(stream(K1, K2), repaired)) == {"k": b"2", "m": b"r"}


def test_a_reset_replaces_what_was_there() -> None:
    parts = [encode(Reset("global", 0, OTHER, raw(record("l", of=OTHER))))]
    last = encode(ResetEnd("global", 1, Vector({OTHER: 1}, {}), Floor(Vector({OF: 9}, {}), 7, 0, OF)))
    core = replayed(stream(K1), *parts, last, stream(record("m", of=OTHER, sequence=2)))
    replica = core.replicas["global"]
    assert held(core) == {"l": b"v", "m": b"v"}
    assert replica.vector.entries == {OTHER: 2}
    assert replica.floor.vector.entries == {OF: 9}
    assert held(replayed(stream(K1), *parts)) == {"k": b"1"}, "half of a reset is none"


def test_votes_are_handed_on_in_order_and_the_newest_incarnation_is_known() -> None:
    core = fresh()
    log = [Started(incarnation(5)), Voted(b"1"), Started(incarnation(3)), Voted(b"2")]
    assert recovery.replay(core, [("entry", entries.encode(one)) for one in log]) == [b"1", b"2"]
    assert core.known_incarnation == incarnation(5)


# -- whole nodes ---------------------------------------------------------------------------------------


def busy(net: Net, chance: Random, rounds: int) -> None:
    """Writes, deletes and leases on every node, nodes that come and go, a region cut off and healed."""
    for _ in range(rounds):
        for node in list(net.engines):
            client = net.client(node)
            for _ in range(3):
                key, bucket = f"k{chance.randrange(8)}", chance.choice([LWW, LOCAL])
                what = chance.random()
                if what < 0.3:
                    client.ask("delete", key, bucket=bucket)
                elif what < 0.5:
                    client.ask("put", key, b"lease", bucket, expires=net.moment(node).wall_ms + 300)
                else:
                    client.ask("put", key, b"%d" % chance.randrange(100), bucket)
        what = chance.random()
        if what < 0.15:
            net.cut_region("s")
        elif what < 0.5:
            net.heal()
        net.run(chance.choice([20, 100, 700]), 20)
        if what > 0.9:
            net.restart(chance.choice(sorted(net.engines)))


def again(net: Net, node: str, payloads: list[bytes]) -> Core:
    core = Core(net.config(node), net.outlets[node], net.disks[node])
    recovery.replay(core, [("entry", one) for one in payloads])
    return core


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_the_log_of_a_busy_node_replays_to_its_state(seed: int) -> None:
    net = Net(TWO, seed, tombstone_age_ms=400.0, ring_bytes=3000).ready()
    busy(net, Random(seed), 12)
    for node, engine in net.engines.items():
        engine.flush(net.moment(node))
        expected = state(engine)
        found = state(again(net, node, net.disks[node].entries))
        # What expired loses its value at each node's own time, and nothing of that is logged.
        assert _but_for_expiry(found) == _but_for_expiry(expected)


def _but_for_expiry(found: dict[str, object]) -> dict[str, object]:
    return {
        scope: ([(one[:3], None if one[4] else one[3], *one[4:]) for one in records], *rest)  # type: ignore[misc]
        for scope, (records, *rest) in found.items()  # type: ignore[misc]
    }


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_a_snapshot_and_what_follows_it_are_the_state_too(seed: int) -> None:
    net, chance = Net(TWO, seed, tombstone_age_ms=400.0, ring_bytes=3000).ready(), Random(seed)
    busy(net, chance, 4)
    engine, disk = net.engines["a"], net.disks["a"]
    snapshot = engine.snapshot(net.moment("a"))
    assert snapshot is not None
    position = len(disk.entries)
    early = [next(snapshot) for _ in range(2)]
    busy_a = net.client("a")
    for place in range(10):
        busy_a.ask("put", f"k{place}", b"later")
        busy_a.ask("delete", f"k{place + 3}")
    net.run(1500, 20)
    payloads = [*early, *snapshot, *disk.entries[position:]]
    engine = net.engines["a"]
    engine.flush(net.moment("a"))
    assert _but_for_expiry(state(again(net, "a", payloads))) == _but_for_expiry(state(engine))


def test_every_beginning_of_a_log_makes_a_node() -> None:
    """A crash leaves a beginning of the log: what it acknowledged is in it, and nothing else is needed."""
    net = Net(TWO, 3, tombstone_age_ms=400.0, ring_bytes=3000).ready()
    busy(net, Random(3), 10)
    log = net.disks["b"].entries
    for length in range(len(log)):
        again(net, "b", log[:length])


def test_a_node_that_restarts_takes_a_later_incarnation_and_goes_on() -> None:
    net = Net({"r": ("a",)})
    net.ready()
    net.client("a").put("k", b"1")
    first = net.engines["a"].core.origin
    net.skew_ms["a"] = -(10**9)
    second = net.restart("a").core.origin
    assert second > first
    net.ready()
    assert net.client("a").get("k").value == b"1"
    assert net.client("a").put("k", b"2").error == ""
    assert net.client("a").get("k").value == b"2"
