"""What clients ask of a node, and what it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.syncstore.core import STATES, _frames
from lab.syncstore.record import KEY_BYTES, VALUE_BYTES
from lab.syncstore.requests import MORE
from lab.syncstore.version import COUNTER_LIMIT, LATEST_MS, version_of
from lab.syncstore.watches import OWED
from lab.syncstore.wire import Changes, Replies, Reply, Request, Requests, Seen, decode, encode, framed
from tests.syncstore.engine_client import Client
from tests.syncstore.engines import LOCAL, LWW, ONE, REGISTER, TWO, WALL_MS, Net, origin_of

ALONE = {"r": ("a",)}


@pytest.fixture
def net() -> Net:
    return Net(TWO).ready()


# -- one key -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", [LWW, LOCAL])
def test_put_get_delete(net: Net, bucket: str) -> None:
    client, other = net.client("a"), net.client("b")
    assert not client.get("k", bucket).present
    put = client.put("k", b"1", bucket)
    assert (put.error, put.degraded) == ("", False)
    got = other.get("k", bucket)
    assert (got.present, got.value, got.revision, got.seen) == (True, b"1", put.revision, put.seen)
    deleted = other.delete("k", bucket)
    assert version_of(deleted.revision) > version_of(put.revision)
    gone = client.get("k", bucket, seen=deleted.seen)
    assert not gone.present
    assert gone.seen == deleted.seen, "a session goes on from the delete"
    assert client.delete("never", bucket).error == ""


def test_an_empty_value_is_a_value(net: Net) -> None:
    client = net.client("a")
    client.put("k", b"")
    got = client.get("k")
    assert (got.present, got.value) == (True, b"")


def test_a_write_is_above_what_the_session_saw_of_the_key(net: Net) -> None:
    ahead = Seen(WALL_MS + 10**9, 5, origin_of("x", 1, "s"), origin_of("x", 1, "s"), 3)
    client = net.client("a")
    put = client.put("k", b"1", seen=ahead)
    assert version_of(put.revision)[:2] == (ahead.time, 6)
    assert version_of(client.put("l", b"1").revision).time < WALL_MS + 10**8, "the clock is moved by none of this"


def test_keys_by_prefix_in_order(net: Net) -> None:
    client = net.client("a")
    for key in ("b", "ab", "a", "aa", "gone"):
        client.put(key)
    client.delete("gone")
    client.put("lease", b"v", expires=net.moment("a").wall_ms + 1)
    net.run(50)
    assert client.call("keys").keys == ["a", "aa", "ab", "b"]
    assert client.call("keys", "a").keys == ["a", "aa", "ab"]
    assert client.call("keys", "a", revision="aa").keys == ["ab"]
    assert client.call("keys", bucket=LWW + "none").keys == []


def test_an_expiry_is_not_shown_before_what_expired_is_on_the_disk() -> None:
    net = Net(ALONE).ready()
    client = net.client("a")
    watch = client.watch()
    net.disks["a"].holding = True
    client.ask("put", "lease", b"v", expires=net.moment("a").wall_ms + 100)
    net.run(500)
    assert not client.shown(watch), "it may be lost yet, and its end with it"
    net.disks["a"].holding = False
    net.run(500)
    assert [key for _, key, _ in client.shown(watch)] == ["lease"]


def test_many_keys_come_in_lots_that_fit_a_frame() -> None:
    net = Net(ALONE).ready()
    client = net.client("a")
    keys = [f"{place:04}" + "😀" * 120 for place in range(2500)]
    for start in range(0, len(keys), 100):
        client.say(
            encode(Requests([Request(1000 + start + i, "put", LWW, key) for i, key in enumerate(keys[start:][:100])]))
        )
        net.settle()
    found: list[str] = []
    while True:
        reply = client.call("keys", revision=found[-1] if found else "")
        found += reply.keys or []
        assert len(framed(encode(Replies([reply])))) < 2**20
        if reply.info != MORE:
            break
    assert found == keys


# -- what can't be -------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[str, dict[str, Any]]] = {
    "create on lww": ("WrongKind", {"op": "create"}),
    "update on lww": ("WrongKind", {"op": "update"}),
    "a long key": ("TooLarge", {"key": "k" * (KEY_BYTES + 1)}),
    "a key of long letters": ("TooLarge", {"key": "ä" * (KEY_BYTES // 2 + 1)}),
    "a long key on the short way": ("TooLarge", {"op": "put", "key": "😀" * 129}),
    "a long value": ("TooLarge", {"value": b"v" * (VALUE_BYTES + 1)}),
    "a long value in a register": ("TooLarge", {"bucket": REGISTER, "op": "create", "value": b"v" * (VALUE_BYTES + 1)}),
    "no key": ("Refused", {"key": ""}),
    "no key to get": ("Refused", {"key": "", "op": "get"}),
    "no such operation": ("Refused", {"op": "swap"}),
    "no operation": ("Refused", {"op": ""}),
    "no bucket": ("Refused", {"bucket": ""}),
    "a wrong scope": ("Refused", {"bucket": "planet/lww/x"}),
    "a wrong kind": ("Refused", {"bucket": "global/queue/x"}),
    "a long bucket": ("Refused", {"bucket": LWW + "x" * 200}),
    "an expiry after 2200": ("Refused", {"expires": LATEST_MS + 1}),
    "a negative expiry": ("Refused", {"expires": -1}),
    "what nobody can have seen": ("Refused", {"seen": Seen(LATEST_MS + 1, 0, "", "", 0)}),
    "a negative counter seen": ("Refused", {"seen": Seen(1, -1, "", "", 0)}),
    "a huge counter seen": ("Refused", {"seen": Seen(1, COUNTER_LIMIT, "", "", 0)}),
    "a watch that is no number": ("Refused", {"op": "unwatch", "key": "first"}),
    "a digit that is no number": ("Refused", {"op": "unwatch", "key": "²"}),
    "a number of thousands of digits": ("Refused", {"op": "unwatch", "key": "9" * 5000}),
    "an unknown region": ("Refused", {"op": "drain", "key": "moon"}),
    "an unknown state": ("Refused", {"op": "drain", "key": "r", "value": b"asleep"}),
    "regions' states by put": ("Denied", {"bucket": STATES, "key": "r", "value": b"evicted"}),
    "regions' states by delete": ("Denied", {"bucket": STATES, "key": "r", "op": "delete"}),
    "an update of what is not there": ("WrongRevision", {"bucket": REGISTER, "op": "update", "token": b"t" * 16}),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors_have_names_and_sentences(net: Net, what: str) -> None:
    expected, given = ERRORS[what]
    client = net.client("a")
    reply = client.call(**{"op": "put", "key": "k", "value": b"v", "bucket": LWW} | given)
    assert reply.error == expected
    assert len(reply.info.split()) > 2
    assert client.put("k").error == "", "the connection goes on"


@pytest.mark.parametrize(
    ("role", "op", "denied"),
    [
        ("client", "put", False),
        ("client", "get", False),
        ("client", "watch", False),
        ("client", "status", False),
        ("client", "drain", True),
        ("client", "evict", True),
        ("admin", "drain", False),
        ("admin", "put", False),
        ("peer", "put", True),
        ("peer", "get", True),
        ("peer", "keys", True),
        ("peer", "evict", True),
        ("", "evict", False),
    ],
)
def test_what_a_certificate_s_role_may_do(net: Net, role: str, op: str, denied: bool) -> None:
    client = net.client("a", frozenset({role}) if role else frozenset())
    number = client.ask(op, "s")
    net.run(100)
    reply = client.replies.get(number)
    assert (reply is not None and reply.error == "Denied") == denied


def test_region_states_stay_out_of_reach_after_they_were_read(net: Net) -> None:
    client = net.client("a")
    assert client.call("drain", "s").error == ""
    assert client.get("s", STATES).value == b"draining"
    assert client.put("s", b"evicted", STATES).error == "Denied"
    assert client.call("serve", "s").error == ""
    net.run(300)
    assert net.values("s", STATES) == dict.fromkeys("abxy", b"serving")


def test_the_kind_of_a_bucket_is_known_after_any_number_of_others(net: Net) -> None:
    requests = net.engines["a"].requests
    requests._kinds.update({f"global/lww/b{place}": "lww" for place in range(70_000)})
    client = net.client("a")
    created = client.call("create", "k", b"1", REGISTER, token=b"t" * 16)
    assert created.error == ""
    assert client.put("k", b"2", "region/lww/late").error == ""
    assert client.call("create", "k", b"1", "region/lww/later").error == "WrongKind"


def test_a_clock_beyond_2200_writes_nothing_that_others_refuse(net: Net) -> None:
    client = net.client("a")
    net.skew_ms["a"] = LATEST_MS
    assert client.put("k").error == "Refused"
    net.skew_ms["a"] = 0
    assert client.put("k").error == ""
    last = Seen(LATEST_MS, COUNTER_LIMIT - 1, "", "", 0)
    assert client.put("k", seen=last).error == "Refused"
    net.run(300)
    assert net.counted("malformed") == 0


def test_replies_of_any_size_go_in_frames_that_fit() -> None:
    lots = _frames([Reply(place, keys=["k" * 500] * 500) for place in range(20)])
    assert sum(map(len, lots)) == 20
    assert all(len(framed(encode(Replies(lot)))) < 2**20 for lot in lots)
    lots = _frames([Reply(place, value=b"v" * VALUE_BYTES) for place in range(9)])
    assert all(len(framed(encode(Replies(lot)))) < 2**20 for lot in lots)
    lots = _frames([Reply(place, info="ä" * 100_000) for place in range(9)])
    assert all(len(framed(encode(Replies(lot)))) < 2**20 for lot in lots)
    assert len(_frames([Reply(place) for place in range(200)])) == 1


def test_status_is_json(net: Net) -> None:
    told = json.loads(net.client("a").call("status").info)
    assert told["region"] == "r"
    assert told["ready"] is True
    assert {one["node"] for one in told["peers"]} >= {"b"}


# -- sessions ------------------------------------------------------------------------------------------


def test_what_the_session_saw_is_fetched_from_a_peer_that_holds_it() -> None:
    net = Net(ONE).ready()
    net.cut("a", "b")
    put = net.client("a").put("k", b"new")
    assert not put.degraded, "c holds it"
    assert net.at("b", "k") is None
    began = net.now_ms
    got = net.client("b").get("k", seen=put.seen)
    assert (got.present, got.value, got.seen) == (True, b"new", put.seen)
    assert net.now_ms - began <= 50


def test_whoever_lacks_what_the_session_saw_says_so_in_50_ms() -> None:
    net = Net(ONE).ready()
    net.cut("a", "b")
    net.cut("a", "c")
    put = net.client("a").put("k", b"new")
    assert put.degraded
    began = net.now_ms
    got = net.client("b").get("k", seen=put.seen)
    assert got.error == "Behind"
    assert 50 <= net.now_ms - began <= 60
    assert net.engines["b"].requests._fetched == {}
    net.heal()
    net.until(lambda: net.at("b", "k") is not None)
    assert net.client("b").get("k", seen=put.seen).value == b"new"


def test_a_delete_the_session_saw_counts_though_nothing_is_left_of_it() -> None:
    net = Net(TWO, tombstone_age_ms=200.0).ready()
    client = net.client("a")
    client.put("k")
    deleted = client.delete("k")
    net.until(lambda: net.at("b", "k") is None)
    got = net.client("b").get("k", seen=deleted.seen)
    assert (got.error, got.present) == ("", False)


def test_what_a_closed_incarnation_wrote_counts_as_seen() -> None:
    net = Net(TWO).ready()
    put = net.client("a").put("k", b"1")
    net.restart("a")
    net.until(lambda: "r/a" in net.engines["b"].replicas["global"].vector.closed)
    assert net.client("b").get("gone", seen=put.seen).error == ""


@pytest.mark.parametrize("origin", ["", "somebody", "r/a/" + "x" * 28])
def test_a_session_that_saw_what_nobody_wrote_is_sent_elsewhere(net: Net, origin: str) -> None:
    saw = Seen(WALL_MS + 10**6, 0, origin, origin, 7)
    assert net.client("a").get("k", seen=saw).error == "Behind"


def test_a_read_shows_nothing_that_one_node_alone_holds_or_says_so() -> None:
    net = Net(ONE).ready()
    for node in "bc":
        net.cut("a", node)
    client = net.client("a")
    number = client.ask("put", "k", b"alone")
    assert client.get("k").degraded
    net.run(60)
    assert client.replies[number].degraded


def test_a_read_behind_a_disk_that_has_not_synced_waits_for_it() -> None:
    net = Net(ONE).ready()
    net.disks["a"].holding = True
    client = net.client("a")
    client.ask("put", "k", b"1")
    number = client.ask("get", "k")
    net.run(20)
    assert number not in client.replies
    net.disks["a"].holding = False
    net.run(5)
    assert (client.replies[number].value, client.replies[number].degraded) == (b"1", False)


# -- watches -------------------------------------------------------------------------------------------


def test_a_snapshot_then_changes(net: Net) -> None:
    client, writer = net.client("a"), net.client("b")
    writer.put("a/1", b"1")
    writer.put("b/1", b"1")
    watch = client.watch("a/")
    assert client.shown(watch) == [("put", "a/1", b"1")]
    assert client.frames[watch][0].initial
    assert client.frames[watch][-1].whole
    writer.put("a/2", b"2")
    writer.put("b/2", b"2")
    writer.delete("a/1")
    net.run(100)
    assert client.shown(watch)[1:] == [("put", "a/2", b"2"), ("delete", "a/1", b"")]
    assert not any(frame.initial for frame in client.frames[watch][1:])


def test_an_empty_snapshot_is_told_as_whole(net: Net) -> None:
    client = net.client("a")
    watch = client.watch("none/")
    assert [(frame.initial, frame.whole, frame.items) for frame in client.frames[watch]] == [(True, True, [])]


def test_changes_cross_regions(net: Net) -> None:
    client = net.client("y")
    watch = client.watch()
    net.client("a").put("k", b"1")
    net.run(200)
    assert client.shown(watch) == [("put", "k", b"1")]
    assert [one.degraded for one in client.changes[watch]] == [False]


def test_an_ended_watch_is_told_nothing_more(net: Net) -> None:
    client = net.client("a")
    watch = client.watch()
    assert client.call("unwatch", str(watch)).error == ""
    client.put("k")
    net.run(100)
    assert client.shown(watch) == []


def test_a_number_used_twice_is_the_second_watch_alone(net: Net) -> None:
    client = net.client("a")
    client.say(encode(Requests([Request(77, "watch", LWW, "a/"), Request(77, "watch", LWW, "b/")])))
    net.settle()
    client.put("a/1")
    client.put("b/1")
    net.run(50)
    assert client.shown(77) == [("put", "b/1", b"v")]


def test_a_watch_goes_on_at_another_node_with_what_it_missed(net: Net) -> None:
    client = net.client("a")
    client.put("k", b"1")
    client.put("l", b"1")
    watch = client.watch()
    token = client.token(watch)
    client.put("k", b"2")
    client.delete("l")
    net.run(100)
    other = net.client("b")
    resumed = other.watch(resume=token)
    assert sorted(other.shown(resumed)) == [("delete", "l", b""), ("put", "k", b"2")]
    assert not any(frame.initial or frame.compacted for frame in other.frames[resumed])
    client.put("m", b"3")
    net.run(100)
    assert other.shown(resumed)[-1] == ("put", "m", b"3")


def test_a_token_the_node_does_not_cover_waits_and_then_begins_anew() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    for node in "bc":
        net.cut("a", node)
    watch = client.watch()
    client.put("k", b"1")
    net.run(100)
    token = client.token(watch)
    other = net.client("b")
    other.put("l", b"2")
    resumed = other.watch(resume=token)
    net.run(1900)
    assert other.shown(resumed) == []
    net.run(300)
    assert other.shown(resumed) == [("put", "l", b"2")]
    assert other.frames[resumed][0].compacted
    net.heal()
    net.until(lambda: ("put", "k", b"1") in other.shown(resumed))


def _moved_too_soon(net: Net) -> tuple[Client, int]:
    """A client of b and its watch, which was shown k = 1 by a, while that is cut off from the others."""
    client = net.client("a")
    for node in "bc":
        net.cut("a", node)
    watch = client.watch()
    client.put("k", b"1")
    net.run(100)
    other = net.client("b")
    resumed = other.watch(resume=client.token(watch))
    return other, resumed


def test_a_token_is_waited_for_while_it_may_still_be_covered() -> None:
    net = Net(ONE).ready()
    other, resumed = _moved_too_soon(net)
    net.run(500)
    net.heal()
    net.client("a").put("k", b"2")
    net.run(1200)
    assert not any(frame.compacted for frame in other.frames[resumed])
    assert other.shown(resumed)[-1] == ("put", "k", b"2")


def _shown_alone(net: Net) -> dict[str, int]:
    """A watch's token; the last that it was shown, k = 2, is held by node a alone, and then by nobody."""
    client = net.client("a")
    client.put("k", b"1")
    net.run(100)
    for node in "bc":
        net.cut("a", node)
    watch = client.watch()
    client.put("k", b"2")
    net.run(100)
    assert client.shown(watch)[-1] == ("put", "k", b"2")
    net.stop("a")
    return client.token(watch)


def _comes_back_blank(net: Net) -> None:
    """And its former incarnation is closed everywhere."""
    net.heal()
    net.restart("a", blank=True)
    net.until(lambda: all(one.replicas["global"].vector.closed for one in net.engines.values()))
    net.run(10)


@pytest.mark.parametrize("moves", [False, True])
def test_a_watch_that_was_shown_what_is_lost_is_told_so_once_that_is_certain(moves: bool) -> None:
    net = Net(ONE).ready()
    token = _shown_alone(net)
    other = net.client("b")
    resumed = other.watch(resume=token)
    net.run(2300)
    behind = other.frames[resumed][-1]
    assert behind.compacted
    assert behind.lost == {}, "it may come yet"
    if moves:
        other = net.client("c")
        resumed = other.watch(resume=behind.token)
        assert not any(frame.compacted for frame in other.frames[resumed]), "no need to wait for it again"
    _comes_back_blank(net)
    last = other.frames[resumed][-1]
    assert last.compacted
    assert list(last.lost) == [net.at("b", "k").origin]
    assert [(one.key, one.value) for one in last.items] == [("k", b"1")]
    assert last.token is not None
    assert not any(one.startswith(OWED) for one in last.token)


def test_a_watch_that_returns_after_what_it_was_shown_is_lost_begins_anew_at_once() -> None:
    net = Net(ONE).ready()
    token = _shown_alone(net)
    _comes_back_blank(net)
    other = net.client("b")
    (frame,) = other.frames[other.watch(resume=token)]
    assert frame.compacted
    assert list(frame.lost) == [net.at("b", "k").origin]


def test_a_watch_is_owed_nothing_once_what_it_was_shown_has_come() -> None:
    net = Net(ONE).ready()
    other, resumed = _moved_too_soon(net)
    net.run(2300)
    owed = [one for one in other.token(resumed) if one.startswith(OWED)]
    assert owed == [OWED + net.engines["a"].core.origin]
    net.heal()
    net.until(lambda: ("put", "k", b"1") in other.shown(resumed))
    assert not any(one.startswith(OWED) for one in other.token(resumed))
    assert [frame.compacted for frame in other.frames[resumed]].count(True) == 1


def test_a_watch_that_waits_to_go_on_can_be_ended() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    resumed = client.watch(resume={origin_of("b", 2**90): 5})
    assert client.call("unwatch", str(resumed)).error == ""
    net.run(3000)
    assert resumed not in client.frames


def test_a_token_below_the_floor_begins_anew() -> None:
    net = Net(TWO, tombstone_age_ms=200.0).ready()
    client = net.client("a")
    client.put("k", b"1")
    client.put("l", b"1")
    watch = client.watch()
    token = client.token(watch)
    client.delete("k")
    net.until(lambda: net.at("b", "k") is None)
    other = net.client("b")
    resumed = other.watch(resume=token)
    assert other.shown(resumed) == [("put", "l", b"1")]
    assert other.frames[resumed][0].compacted


@pytest.mark.parametrize("token", [{"nonsense": 5}, {"r/a/x": 2**62}, {"": -1}])
def test_a_token_that_is_none_begins_anew_or_goes_on(token: dict[str, int]) -> None:
    net = Net(ALONE).ready()
    client = net.client("a")
    client.put("k")
    watch = client.watch(resume=token)
    net.run(2500)
    assert client.shown(watch) == [("put", "k", b"v")]


def test_a_slow_consumer_is_shown_the_last_state_of_each_key(net: Net) -> None:
    client, writer = net.client("a"), net.client("a")
    watch = client.watch()
    net.outlets["a"].full.add(client.number)
    for place in range(50):
        writer.put(f"k{place % 3}", b"%d" % place)
    assert client.shown(watch) == []
    net.outlets["a"].full.clear()
    net.run(10)
    assert sorted(client.shown(watch)) == [("put", "k0", b"48"), ("put", "k1", b"49"), ("put", "k2", b"47")]


def test_what_one_node_alone_holds_is_shown_as_degraded() -> None:
    net = Net(ONE).ready()
    client = net.client("a")
    watch = client.watch()
    for node in "bc":
        net.cut("a", node)
    client.put("k", b"1")
    net.run(100)
    assert [one.degraded for one in client.changes[watch]] == [True]


def test_a_connection_that_ends_takes_its_waits_with_it(net: Net) -> None:
    client = net.client("a")
    client.watch()
    client.watch(resume={origin_of("b", 2**90): 5})
    client.ask("get", "k", seen=Seen(WALL_MS * 2, 0, "x", "x", 1))
    requests = net.engines["a"].requests
    assert requests.readers
    assert requests.resumers
    net.end("a", client.number)
    assert not requests.readers
    assert not requests.resumers
    assert len(net.engines["a"].core.watches) == 0


def test_frames_of_watches_are_what_clients_decode(net: Net) -> None:
    frame = Changes(1, [], token={origin_of("a"): 3})
    assert decode(encode(frame)) == frame
