"""Who may connect to a node, and what ends a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lab.syncstore.wire import Goodbye, Hello, ResetAsk, Stream, encode
from tests.syncstore.engines import (
    LOCAL,
    ONE,
    TWO,
    Net,
    incarnation,
    origin_of,
    raw,
    record,
)

ALONE = {"r": ("a",)}
THREE = {"r": ("a", "b"), "s": ("x",), "t": ("z",)}


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


def test_a_peers_link_that_stood_is_dialled_again_at_once_and_one_that_ends_again_is_waited_for() -> None:
    """A region that takes a reset ends all its links: for as long as they are gone its writes wait in vain."""
    net = Net({"r": ("a", "b")}).ready()

    def ended() -> int:
        dials = net.engines["a"].counters["dials"]
        link = next(one for one in net.engines["b"].core.links.values() if one.node == "a")
        net.engines["b"].core.drop(link, "this node took a reset")
        net.settle()
        return net.engines["a"].counters["dials"] - dials

    assert ended() == 1
    assert not net.client("a").put("k").degraded
    assert ended() == 0
    net.run(1000)
    assert not net.client("a").put("k").degraded


def test_what_failed_before_a_link_that_stood_counts_no_more() -> None:
    """Also where it ended well: two nodes that take a reset one after the other end two links in a moment."""
    net = Net({"r": ("a", "b")}).ready()
    net.sniffed = lambda sender, to, body: None
    net.run(20_000)
    net.sniffed = lambda sender, to, body: body
    net.run(8000)
    for node, other in ("ab", "ba"):
        core = net.engines[node].core
        net.until(lambda core=core, other=other: any(one.node == other for one in core.links.values()))
        link = next(one for one in core.links.values() if one.node == other)
        core.drop(link, "this node took a reset", "ended_by_reset")
        net.settle()
    net.run(300)
    assert not net.client("a").put("k").degraded


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
