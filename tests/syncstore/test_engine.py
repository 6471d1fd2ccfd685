"""Whole nodes: acknowledging, failing disks, restarts, partitions, resets, and who may connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore.config import Config
from lab.syncstore.core import STATES
from lab.syncstore.engine import Engine
from lab.syncstore.ports import Moment
from lab.syncstore.record import SCOPES
from lab.syncstore.wire import Goodbye, Hello, ResetAsk, Stream, decode, encode
from tests.syncstore.engines import (
    LOCAL,
    LWW,
    ONE,
    REGISTER,
    TWO,
    WALL_MS,
    Disk,
    Net,
    incarnation,
    origin_of,
    raw,
    record,
)

ALONE = {"r": ("a",)}
THREE = {"r": ("a", "b"), "s": ("x",), "t": ("z",)}


def same(net: Net) -> bool:
    """All equal in what crosses regions, each region in the rest, and nobody says otherwise."""
    regions = all(net.equal("region", iter(nodes)) for nodes in net.members.values())
    return net.equal() and regions and net.counted("divergence") == 0


# -- acknowledging ---------------------------------------------------------------------------------------


def test_a_write_is_acknowledged_when_it_is_on_this_disk_and_held_by_one_peer() -> None:
    net = Net(ONE).ready()
    net.disks["a"].holding = True
    client = net.client("a")
    number = client.ask("put", "k", b"1")
    net.run(40)
    assert number not in client.replies
    assert net.at("b", "k") is not None
    net.disks["a"].holding = False
    net.run(5)
    assert not client.replies[number].degraded
    assert net.disks["a"].synced == len(net.disks["a"].entries)


def test_one_peer_is_enough() -> None:
    net = Net(ONE).ready()
    net.stop("b")
    began = net.now_ms
    assert not net.client("a").put("k").degraded
    assert net.now_ms - began < 10


def test_without_any_peer_s_word_it_is_acknowledged_as_degraded_after_50_ms() -> None:
    net = Net(ONE).ready()
    for node in "bc":
        net.cut("a", node)
    began = net.now_ms
    put = net.client("a").put("k")
    assert put.degraded
    assert 50 <= net.now_ms - began <= 60
    assert net.engines["a"].counters["degraded"] == 1


def test_what_a_peer_got_by_delta_is_held_twice_once_it_says_so() -> None:
    net = Net(ONE, ring_bytes=500).ready()
    for node in "bc":
        net.cut("a", node)
    client = net.client("a")
    for place in range(30):
        client.put(f"k{place}")
    assert client.get("k0").degraded
    net.heal()
    net.until(lambda: net.at("b", "k29") is not None)
    net.run(500)
    assert net.counted("deltas_taken") > 0
    assert not client.get("k0").degraded


def test_a_region_of_one_node_is_never_degraded() -> None:
    net = Net(ALONE).ready()
    began = net.now_ms
    assert not net.client("a").put("k").degraded
    assert net.now_ms - began < 10


def test_other_regions_are_not_waited_for() -> None:
    net = Net(TWO).ready()
    net.cut_region("s")
    began = net.now_ms
    assert not net.client("a").put("k").degraded
    assert net.now_ms - began < 10


def test_many_requests_in_flight_are_each_answered_once() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    numbers = [client.ask(("put", "get", "delete")[place % 3], f"k{place % 7}") for place in range(500)]
    net.run(100)
    assert sorted(client.replies) == numbers


# -- the disk --------------------------------------------------------------------------------------------


def test_a_failing_disk_refuses_writes_cleanly_and_serves_everything_else() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    client.put("k", b"1")
    net.disks["a"].failing = True
    first = client.ask("put", "k", b"2")
    net.run(50)
    assert client.put("l", b"3").error == "Storage"
    assert client.call("create", "q", b"1", REGISTER, token=b"t" * 16).error == "Storage"
    assert client.get("k").error == ""
    net.client("b").put("m", b"4")
    net.run(20)
    assert client.get("m").value == b"4", "what others write comes in all the same"
    net.run(2500)
    assert client.replies[first].error == "Timeout", "it may have left this node"
    assert any("disk" in sentence for sentence in net.engines["a"].status()["alarms"])
    net.disks["a"].failing = False
    net.until(lambda: not net.engines["a"].core.storage)
    assert client.put("l", b"5").error == ""


def test_a_disk_that_hangs_is_a_timeout_and_what_it_held_is_shown_when_it_is_back() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    watch = client.watch()
    net.disks["a"].holding = True
    number = client.ask("put", "k", b"1")
    net.run(1900)
    assert number not in client.replies
    net.run(200)
    assert client.replies[number].error == "Timeout"
    net.disks["a"].holding = False
    net.run(100)
    assert client.shown(watch) == [("put", "k", b"1")]


def test_received_records_wait_for_no_sync() -> None:
    net = Net(ONE).ready()
    for node in "bc":
        net.disks[node].holding = True
    assert not net.client("a").put("k").degraded
    assert net.at("b", "k") is not None


# -- restarts --------------------------------------------------------------------------------------------


def test_acknowledged_writes_survive_the_end_of_any_one_node_and_any_restart_order() -> None:
    for first, second in (("a", "b"), ("b", "a"), ("c", "a"), ("a", "c")):
        net = Net(ONE).ready()
        client = net.client("a")
        for place in range(20):
            client.put(f"k{place}", b"%d" % place)
        net.restart(first)
        net.restart(second)
        net.run(1500)
        for node in "abc":
            assert net.client(node).get("k7").value == b"7"
        assert same(net)


def test_a_blank_node_gets_everything_from_its_peers_before_it_serves() -> None:
    net = Net(ONE).ready()
    for place in range(50):
        net.client("a").put(f"k{place}", b"v" * 1000)
    net.client("a").put("own", b"1", LOCAL)
    engine = net.restart("b", blank=True)
    assert not engine.ready
    net.until(lambda: engine.ready)
    assert engine.replicas["global"].table.count == 50
    assert net.at("b", "own", LOCAL) is not None
    assert same(net)


def test_a_node_without_peers_serves_after_two_seconds_and_waits_for_no_region() -> None:
    net = Net(TWO, start=False)
    engine = net.start("a")
    assert net.until(lambda: engine.ready) <= 2050
    alone = Net(ALONE)
    assert alone.until(lambda: alone.engines["a"].ready) <= 50


def test_an_old_disk_put_back_becomes_a_new_incarnation_and_nothing_is_written_twice() -> None:
    net = Net(ONE).ready()
    client = net.client("b")
    client.put("k", b"1")
    old = list(net.disks["b"].entries)
    for place in range(10):
        client.put(f"later{place}", b"2")
    first = net.engines["b"].core.origin
    net.stop("b")
    net.skew_ms["b"] = -(10**9)  # or else the start's own time would be above it anyway
    net.disks["b"].entries = old
    engine = net.start("b")
    net.run(500)
    assert engine.counters["restored_disk"] >= 0
    assert engine.core.origin > first
    assert net.client("b").put("k", b"3").error == ""
    net.run(1000)
    assert same(net)
    assert net.values("later9") == dict.fromkeys("abc", b"2")
    assert net.values("k") == dict.fromkeys("abc", b"3")


def test_whoever_is_told_of_more_than_it_wrote_takes_a_new_incarnation() -> None:
    net = Net(ONE).ready()
    engine = net.engines["b"]
    before = engine.core.origin
    net.engines["a"].replicas["global"].vector.entries[before] = 99
    net.run(500)
    assert engine.core.origin > before
    assert engine.counters["restored_disk"] == 1
    assert any("restored" in sentence for sentence in engine.status()["alarms"] + net.told)


def test_old_incarnations_are_closed_so_that_vectors_stay_small() -> None:
    net = Net(TWO).ready()
    for place in range(6):
        net.client("a").put(f"k{place}", b"1")
        net.client("b").put(f"l{place}", b"1", LOCAL)
        net.restart("a" if place % 2 else "x")
        net.run(1500, 20)
    net.run(8000, 20)
    for engine in net.engines.values():
        assert len(engine.replicas["global"].vector.entries) <= 4
        assert len(engine.replicas["region"].vector.entries) <= 2
    assert same(net)


# -- between regions -------------------------------------------------------------------------------------


def test_the_region_s_own_never_leaves_it() -> None:
    net = Net(TWO)
    crossed: list[bytes] = []

    def sniff(sender: str, to: str, body: bytes) -> bytes:
        if net.regions[sender] != net.regions[to]:
            crossed.append(body)
        return body

    net.sniffed = sniff
    net.ready()
    net.client("a").put("secretkey", b"secretvalue", LOCAL)
    net.client("a").put("k", b"1")
    net.run(1000)
    assert net.values("k") == dict.fromkeys("abxy", b"1")
    assert net.values("secretkey", LOCAL) == {"a": b"secretvalue", "b": b"secretvalue", "x": None, "y": None}
    assert not any(b"secret" in body for body in crossed)


def test_one_node_hears_each_region_and_another_takes_over() -> None:
    net = Net(TWO).ready()
    net.run(3000)

    def hearing() -> list[str]:
        return [node for node in "ab" if node in net.engines and net.engines[node].core.hearing()]

    assert len(hearing()) == 1
    net.client("x").put("k", b"1")
    net.stop(hearing()[0])
    net.client("x").put("k", b"2")
    left = next(node for node in "ab" if node in net.engines)
    net.until(lambda: net.values("k")[left] == b"2", 6000)
    assert hearing() == [left]


def test_after_a_partition_both_sides_are_equal_by_delta_where_the_ring_is_too_short() -> None:
    net = Net(TWO, ring_bytes=2000).ready()
    net.cut_region("s")
    for place in range(60):
        net.client("a").put(f"k{place % 40}", b"r%d" % place)
        net.client("x").put(f"k{place % 30}", b"s%d" % place)
    net.heal()
    net.until(lambda: same(net) and net.values("k5") == dict.fromkeys("abxy", b"r45"))
    assert net.counted("deltas_taken") > 0
    assert net.counted("deltas_refused") == 0


def test_what_two_regions_cannot_tell_each_other_goes_through_a_third() -> None:
    net = Net(THREE).ready()
    for node in "ab":
        net.cut(node, "x")
    net.client("a").put("k", b"1")
    took = net.until(lambda: net.values("k")["x"] == b"1")
    assert took >= 1000, "a third region sends it only when the second has been behind for a while"
    net.client("x").put("l", b"2")
    net.until(lambda: net.values("l") == dict.fromkeys("abxz", b"2"))


def test_concurrent_writes_end_equal_everywhere() -> None:
    net = Net(THREE).ready()
    net.cut_region("s")
    net.cut_region("t")
    for node in net.engines:
        net.client(node).put("k", node.encode())
    net.heal()
    net.until(lambda: same(net))
    assert len(set(net.values("k").values())) == 1


def test_a_fast_clock_wins_only_against_what_had_not_seen_it() -> None:
    net = Net(TWO)
    net.skew_ms["x"] = net.skew_ms["y"] = 60_000
    net.ready()
    net.client("x").put("k", b"future")
    net.run(500)
    assert net.engines["a"].counters["future_versions"] > 0
    assert net.client("a").put("k", b"after").error == ""
    net.run(500)
    assert set(net.values("k").values()) == {b"after"}
    assert net.client("a").put("l", b"1").seen.time < WALL_MS + 60_000, "our clock was moved by theirs"  # type: ignore[union-attr]


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_whatever_happened_all_nodes_end_equal(seed: int) -> None:
    chance = Random(seed)
    net = Net(THREE, seed, tombstone_age_ms=600.0, ring_bytes=2000).ready()
    for _ in range(15):
        for node in list(net.engines):
            client = net.client(node)
            for _ in range(2):
                op, bucket = chance.choice(["put", "put", "delete"]), chance.choice([LWW, LWW, LOCAL])
                client.ask(op, f"k{chance.randrange(6)}", b"%d" % chance.randrange(100), bucket)
        what = chance.random()
        if what < 0.3:
            net.cut(*chance.sample(sorted(net.regions), 2))
        elif what < 0.5:
            net.heal()
        elif what < 0.6:
            net.restart(chance.choice(sorted(net.regions)))
        net.run(chance.choice([20, 200, 900]), 20)
    net.heal()
    net.run(6000, 20)
    net.until(lambda: same(net))
    assert net.counted("repairs") == 0


def test_one_seed_is_one_world() -> None:
    def world() -> tuple[Any, ...]:
        net = Net(THREE, 5).ready()
        for place in range(20):
            net.client("abxz"[place % 4]).ask("put", f"k{place % 5}", b"%d" % place)
            net.run(50)
        counters = [sorted(engine.counters.items()) for engine in net.engines.values()]
        return counters, [disk.entries for disk in net.disks.values()]

    assert world() == world()


# -- resets ----------------------------------------------------------------------------------------------


def evicted(net: Net) -> None:
    """Region s is cut off and evicted, and a delete it never saw is forgotten by the rest."""
    client = net.client("a")
    client.put("k", b"old")
    client.put("keep", b"1")
    net.run(500)
    net.cut_region("s")
    assert client.call("evict", "s").error == ""
    client.delete("k")
    net.until(lambda: net.at("a", "k") is None and net.at("b", "k") is None)


def test_an_evicted_region_comes_back_by_a_reset_and_nothing_deleted_returns() -> None:
    net = Net(TWO, tombstone_age_ms=300.0).ready()
    evicted(net)
    far = net.client("x")
    assert far.put("theirs", b"2").error == ""
    assert far.put("keep", b"3").error == ""
    assert net.values("k")["x"] == b"old"
    net.heal()
    net.client("a").call("serve", "s")
    net.until(lambda: net.counted("resets_taken") >= 1)
    net.until(lambda: same(net))
    assert set(net.values("k").values()) == {None}, "a deleted record came back"
    assert net.values("theirs") == dict.fromkeys("abxy", b"2"), "what the region wrote alone is lost"
    assert net.values("keep") == dict.fromkeys("abxy", b"3")
    assert net.counted("divergence") == 0
    assert net.counted("forced_conflict") == 0


def test_a_reset_of_the_global_scope_leaves_the_region_s_own_alone() -> None:
    net = Net(TWO, tombstone_age_ms=300.0, write_timeout_ms=60_000.0).ready()
    evicted(net)
    clients = {node: net.client(node) for node in "xy"}
    watches = {node: client.watch(bucket=LOCAL) for node, client in clients.items()}
    for node in "xy":
        net.disks[node].holding = True
    numbers = {
        node: [client.ask("put", f"{node}{place}", b"1", LOCAL) for place in range(3)]
        for node, client in clients.items()
    }
    net.heal()
    net.until(lambda: all(net.engines[node].counters["resets_taken"] for node in "xy"))
    for node in "xy":
        net.disks[node].holding = False
    net.run(1000)
    for node, client in clients.items():
        replies = [client.replies[number] for number in numbers[node]]
        assert not any(reply.error for reply in replies), "they are no part of what was replaced"
        assert {key for _, key, _ in client.shown(watches[node])} == {
            f"{one}{place}" for one in "xy" for place in range(3)
        }
        replica = net.engines[node].replicas["region"]
        assert replica.durable.covers_all(replica.vector), "what was being synced is never counted as durable"


def test_watches_begin_anew_after_a_reset() -> None:
    net = Net(TWO, tombstone_age_ms=300.0).ready()
    far = net.client("x")
    watch = far.watch()
    evicted(net)
    net.heal()
    net.until(lambda: net.engines["x"].counters["resets_taken"] >= 1)
    net.run(500)
    assert any(frame.compacted for frame in far.frames[watch])
    last = max(place for place, frame in enumerate(far.frames[watch]) if frame.compacted)
    shown = {change.key for frame in far.frames[watch][last:] for change in frame.items}
    assert "k" not in shown
    assert "keep" in shown


# -- registers, as far as the engine goes ----------------------------------------------------------------


def test_registers_are_served_and_reach_other_regions() -> None:
    net = Net({"r": ("a", "b", "c"), "s": ("x",)}).ready()
    client = net.client("a")
    created = client.call("create", "k", b"1", REGISTER, token=b"t" * 16)
    assert created.error == ""
    assert client.call("create", "k", b"2", REGISTER, token=b"u" * 16).error == "WrongRevision"
    updated = net.client("b").call("update", "k", b"2", REGISTER, revision=created.revision, token=b"v" * 16)
    assert updated.error == ""
    assert net.client("c").get("k", REGISTER).value == b"2"
    net.run(500)
    assert net.client("x").get("k", REGISTER, stale_ok=True).value == b"2"


def test_registers_need_a_majority_and_lww_does_not() -> None:
    net = Net(ONE).ready()
    for node in "bc":
        net.cut("a", node)
    client = net.client("a")
    assert client.call("create", "k", b"1", REGISTER, token=b"t" * 16).error in ("Unavailable", "Timeout")
    assert client.put("k", b"1").error == ""


# -- who may connect, and what ends a connection ---------------------------------------------------------


def hello(net: Net, **changed: Any) -> Hello:
    """As node c of region r would say it to a."""
    vectors = {scope: replica.vector for scope, replica in net.engines["a"].replicas.items()}
    floors = {scope: replica.floor for scope, replica in net.engines["a"].replicas.items()}
    members = net.config("a").members_hash
    said = Hello("test", (1, 1), (), members, "r", "c", incarnation(1), "peer", 0, vectors, floors)
    return msgspec.structs.replace(said, **changed)


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "another cluster": ("peer", {"cluster": "other"}),
    "a newer protocol": ("peer", {"protocol": (7, 9)}),
    "an older protocol": ("peer", {"protocol": (0, 0)}),
    "a client at the peers' port": ("peer", {"purpose": "client"}),
    "a peer at the regions' port": ("wan", {}),
    "another region as a peer": ("peer", {"region": "s", "node": "x"}),
    "an unknown node": ("peer", {"node": "q"}),
    "ourselves": ("peer", {"node": "a"}),
    "our own region over wan": ("wan", {"purpose": "wan"}),
    "an unknown region": ("wan", {"purpose": "wan", "region": "moon", "node": "m"}),
    "a node without vectors": ("peer", {"vectors": {}}),
    "a node without floors": ("peer", {"floors": {}}),
    "a peer as a client": ("client", {}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_who_is_not_let_in(what: str) -> None:
    purpose, changed = REFUSED[what]
    net = Net({"r": ("a", "b", "c"), "s": ("x",)}, start=False)
    engine = net.start("a")
    engine.opened(net.moment("a"), 900, purpose, "")
    engine.received(net.moment("a"), 900, encode(hello(net, **changed)))
    assert [number for number, _ in net.outlets["a"].closed] == [900]
    assert len(net.outlets["a"].closed[0][1].split()) > 3, "the reason is no sentence"


def test_a_certificate_names_its_node() -> None:
    for name, let_in in (("r/c", True), ("r/b", False), ("s/c", False)):
        net = Net(ONE, start=False)
        engine = net.start("a")
        engine.opened(net.moment("a"), 900, "peer", "", frozenset({"peer"}), name)
        engine.received(net.moment("a"), 900, encode(hello(net)))
        assert (net.outlets["a"].closed == []) == let_in


def test_a_dialled_node_must_be_the_one_that_was_dialled() -> None:
    net = Net(ONE, start=False)
    engine = net.start("a")
    engine.opened(net.moment("a"), 900, "peer", "b")
    engine.received(net.moment("a"), 900, encode(hello(net)))
    assert net.outlets["a"].closed


def test_other_members_are_let_in_counted_and_told() -> None:
    net = Net(ONE, start=False)
    engine = net.start("a")
    engine.opened(net.moment("a"), 900, "peer", "")
    engine.received(net.moment("a"), 900, encode(hello(net, members="else")))
    assert net.outlets["a"].closed == []
    assert engine.counters["members_differ"] == 1
    assert engine.status()["alarms"]


ENDS: dict[str, Callable[[Net], bytes]] = {
    "no frame": lambda net: b"\xc1",
    "a second hello": lambda net: encode(hello(net, node="b")),
    "a client's requests": lambda net: msgspec.msgpack.encode([32, [[1, "get"]]]),
    "records of a wrong scope": lambda net: encode(Stream("global", origin_of("b"), 1, raw(record("k", bucket=LOCAL)))),
    "a scope there is not": lambda net: encode(Stream("moon", origin_of("b"), 1, raw(record("k")))),
    "a credit below nothing": lambda net: msgspec.msgpack.encode([7, -1]),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_a_connection_ends_that_one_alone_and_it_comes_back(what: str) -> None:
    net = Net(ONE).ready()
    links = set(net.links)
    net.inject("b", "a", ENDS[what](net))
    assert [node for node, _ in net.closed] == ["a"]
    assert len(links - set(net.links)) == 2
    assert not net.client("a").put("k").degraded
    net.run(1000)
    assert len(net.links) == len(links)
    assert net.at("b", "k") is not None


@pytest.mark.parametrize(
    "body", [encode(Goodbye("bye")), msgspec.msgpack.encode([99, "new"]), encode(ResetAsk("global"))]
)
def test_what_ends_none(body: bytes) -> None:
    net = Net(ONE).ready()
    net.inject("b", "a", body)
    assert net.closed == []
    assert net.engines["a"].counters["unknown_frames"] == (body[1] == 99)


def test_nothing_but_a_hello_comes_first() -> None:
    net = Net(ONE, start=False)
    engine = net.start("a")
    for number, purpose in enumerate(("peer", "wan", "client"), 900):
        engine.opened(net.moment("a"), number, purpose, "")
        engine.received(net.moment("a"), number, encode(ResetAsk("global")))
    assert [number for number, _ in net.outlets["a"].closed] == [900, 901, 902]
    engine.received(net.moment("a"), 777, b"\xc1")


def test_who_says_nothing_for_two_seconds_is_given_up_and_dialled_again() -> None:
    net = Net(ONE).ready()
    net.sniffed = lambda sender, to, body: None if {sender, to} == {"a", "b"} else body
    net.run(2300)
    assert any("byte" in why for _, why in net.closed)
    net.sniffed = lambda sender, to, body: body
    net.run(5500)
    assert not net.client("a").put("k").degraded
    assert any(node == "a" and to == "b" for (node, _), (to, _) in net.links.items())


def test_the_unreachable_is_tried_again_at_least_every_five_seconds_and_not_all_the_time() -> None:
    net = Net(ONE, start=False)
    engine = net.start("a")
    for _ in range(12):
        before = engine.counters["dials"]
        net.run(5100, 20)
        assert engine.counters["dials"] > before
    assert engine.counters["dials"] < 2 * 100


def test_a_region_that_sends_more_than_it_was_given_credit_for_is_cut_off() -> None:
    net = Net(TWO, credit_bytes=20_000).ready()
    node = next(node for node in "ab" if net.engines[node].core.hearing())
    engine = net.engines[node]
    link = next(one for one in engine.core.links.values() if one.purpose == "wan" and one.dialled)
    stream = encode(Stream("global", origin_of("x", 9, "s"), 1, raw(record("k", b"v" * 10_000))))
    for _ in range(10):
        engine.received(net.moment(node), link.number, stream)
    assert engine.counters["credit_exceeded"] == 1
    assert link.inbox_bytes < 60_000


def test_a_socket_that_takes_nothing_gets_nothing_more_and_goes_on_later() -> None:
    net = Net(TWO).ready()
    sender = next(
        (node, one.number)
        for node in "xy"
        for one in net.engines[node].core.links.values()
        if one.purpose == "wan" and not one.dialled
    )
    net.outlets[sender[0]].full.add(sender[1])
    sent: list[int] = []
    net.sniffed = lambda one, to, body: sent.append(len(body)) or body if one in "xy" and to in "ab" else body  # type: ignore[func-returns-value]
    for place in range(20):
        net.client("x").put(f"k{place}", b"v" * 1000)
    assert not any(size > 1000 for size in sent)
    net.outlets[sender[0]].full.clear()
    net.engines[sender[0]].writable(net.moment(sender[0]), sender[1])
    net.until(lambda: net.values("k19")["a"] is not None)


def test_a_node_that_stood_still_for_a_minute_answers_no_old_requests() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    net.now_ms += 61_000
    for engine in net.engines.values():
        engine.wake(net.moment("a"))
    net.settle()
    assert (("a", client.number) in net.clients) is False


def test_the_clock_of_the_runner_decides_when_to_wake() -> None:
    disk = Disk()
    net = Net(ALONE)
    engine = Engine(replace(net.config("a"), node="a"), net.outlets["a"], disk)
    engine.start(Moment(0.0, WALL_MS), [], True)
    assert 0 < engine.next_wake_ms <= 25
    engine.wake(Moment(30.0, WALL_MS + 30))
    engine.flush(Moment(30.0, WALL_MS + 30))
    assert 30 < engine.next_wake_ms <= 55


def test_an_eviction_is_a_record_like_any_other() -> None:
    net = Net(TWO).ready()
    assert net.client("a").call("evict", "s").error == ""
    net.run(500)
    assert net.values("s", STATES) == dict.fromkeys("abxy", b"evicted")
    assert net.engines["x"].core.counted("global") == ["r"]
    assert net.client("x").put("k").error == "", "an evicted region goes on serving its own"


def test_members_of_a_config() -> None:
    config = Config("c", "r", "a", {"r": ("a", "b"), "s": ("x",)})
    assert config.peers == ("b",)
    assert config.foreign == ("s",)
    assert config.members_hash == Config("d", "s", "x", {"s": ("x",), "r": ("b", "a")}).members_hash
    assert config.members_hash != Config("c", "r", "a", {"r": ("a", "b")}).members_hash


def test_beacons_state_every_scope_to_peers_and_one_to_regions() -> None:
    net = Net(TWO)
    said: dict[bool, set[tuple[str, ...]]] = {True: set(), False: set()}

    def sniff(sender: str, to: str, body: bytes) -> bytes:
        frame = decode(body)
        if type(frame).__name__ == "Beacon":
            said[net.regions[sender] == net.regions[to]].add(tuple(frame.vectors))  # type: ignore[union-attr]
        return body

    net.sniffed = sniff
    net.ready()
    assert said == {True: {tuple(SCOPES)}, False: {("global",)}}
