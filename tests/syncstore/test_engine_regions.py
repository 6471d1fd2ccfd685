"""Whole nodes of several regions: partitions, convergence, resets."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore.wire import Delta, decode
from tests.syncstore.engines import (
    LOCAL,
    LWW,
    TWO,
    WALL_MS,
    Net,
)

ALONE = {"r": ("a",)}
THREE = {"r": ("a", "b"), "s": ("x",), "t": ("z",)}


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
    net.until(lambda: net.alike() and net.values("k5") == dict.fromkeys("abxy", b"r45"))
    assert net.counted("deltas_taken") > 0
    assert net.counted("deltas_refused") == 0


def test_a_delta_that_breaks_off_goes_on_where_it_was() -> None:
    net = Net({"r": ("a",), "s": ("x",)}, ring_bytes=2000, wan_frame_bytes=4000).ready()
    net.cut("a", "x")
    client = net.client("a")
    for place in range(100):
        client.put(f"k{place}", b"v" * 1000)
    arrived: list[int] = []

    def sniff(sender: str, to: str, body: bytes) -> bytes:
        frame = decode(body)
        if isinstance(frame, Delta):
            arrived.append(frame.number)
            if len(arrived) == 7:
                net.outlets[sender].full.add(net.sending)  # its socket takes no more
        return body

    net.sniffed = sniff
    net.heal()
    net.until(lambda: len(arrived) == 7)
    net.cut("a", "x")
    for place in range(50):
        client.put(f"k{place * 2}", b"changed meanwhile")
    net.heal()
    net.until(net.alike)
    assert net.counted("deltas_resumed") == 1
    assert arrived[: len(set(arrived))] == list(range(len(set(arrived)))), "what had arrived was sent again"


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
    net.until(net.alike)
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
    net.until(net.alike)
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
    net.until(net.alike)
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
    net.client("a").call("serve", "s")
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
    net.client("a").call("serve", "s")
    net.until(lambda: net.engines["x"].counters["resets_taken"] >= 1)
    net.run(500)
    assert any(frame.compacted for frame in far.frames[watch])
    last = max(place for place, frame in enumerate(far.frames[watch]) if frame.compacted)
    shown = {change.key for frame in far.frames[watch][last:] for change in frame.items}
    assert "k" not in shown
    assert "keep" in shown
