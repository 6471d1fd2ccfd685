"""Whole nodes: acknowledging, failing disks, restarts, registers, time."""

from __future__ import annotations

from dataclasses import replace

from lab.syncstore.config import Config
from lab.syncstore.core import STATES
from lab.syncstore.engine import Engine
from lab.syncstore.ports import Moment
from lab.syncstore.record import SCOPES
from lab.syncstore.wire import decode
from tests.syncstore.engines import (
    LOCAL,
    ONE,
    REGISTER,
    TWO,
    WALL_MS,
    Disk,
    Net,
)

ALONE = {"r": ("a",)}
THREE = {"r": ("a", "b"), "s": ("x",), "t": ("z",)}


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


def test_what_comes_while_a_delta_waits_for_the_disk_is_asked_for_when_it_is_in() -> None:
    net = Net(ONE, ring_bytes=2000, wan_frame_bytes=1000, logged_a_sync_bytes=1000).ready()
    net.stop("c")
    client = net.client("a")
    for place in range(100):
        client.put(f"k{place}", b"v" * 50)
    net.disks["c"].holding = True
    net.start("c")
    net.until(lambda: net.engines["c"].replicas["global"].applying is not None)
    client.put("k", b"last")
    net.run(500)
    assert net.at("c", "k99") is None, "it can't be in before it is in the log"
    net.disks["c"].holding = False
    net.until(net.equal, 2000)
    assert net.counted("deltas_taken") == 1


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
        assert net.alike()


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
    assert net.alike()


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
    net.restart("b")
    net.run(500)
    client = net.client("b")
    for place in range(10):
        client.put(f"later{place}", b"2")
    before = net.engines["b"].core.origin
    net.stop("b")
    net.skew_ms["b"] = -(10**9)  # or else the start's own time would be above it anyway
    net.disks["b"].entries = old
    engine = net.start("b")
    assert engine.core.origin < before
    net.run(500)
    assert engine.core.origin > before
    assert engine.counters["restored_disk"] >= 1
    assert net.client("b").put("k", b"3").error == ""
    net.run(1000)
    assert net.alike()
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
    assert net.alike()


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


# -- time, and the rest ------------------------------------------------------------------------------


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


def test_an_evicted_region_is_told_and_goes_on_serving_its_own() -> None:
    net = Net(TWO).ready()
    assert net.client("a").call("evict", "s").error == ""
    net.run(2500)
    assert net.values("s", STATES) == {"a": b"evicted", "b": b"evicted", "x": None, "y": None}
    assert net.engines["a"].core.counted("global") == ["r"]
    assert any("was evicted" in told for told in net.told)
    assert net.client("x").put("k").error == ""
    net.client("a").put("n")
    net.run(500)
    assert net.values("k") == {"a": None, "b": None, "x": b"v", "y": b"v"}, "nothing is taken from it"
    assert net.values("n") == {"a": b"v", "b": b"v", "x": None, "y": None}, "nothing passes to it"
    net.client("a").call("serve", "s")
    net.until(net.alike)
    assert net.values("k") == net.values("n") == dict.fromkeys("abxy", b"v")
    assert all(net.engines[node].counters["resets_taken"] for node in "xy")


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
