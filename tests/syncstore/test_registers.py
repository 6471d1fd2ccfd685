"""Registers: single behaviours in a world without faults, and how bytes and disks are treated."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from lab.syncstore import paxos
from lab.syncstore.errors import Malformed
from lab.syncstore.paxos import Accept, Ballot, Copy, CopyPart, Mark, Query, State, Tally, Told, Unknown, Voter
from lab.syncstore.record import Record
from lab.syncstore.register_change import decide
from lab.syncstore.version import NO_VERSION, Version, origin, version_of
from lab.syncstore.wire import Reply, Request, Seen
from tests.syncstore.register_node import Node
from tests.syncstore.register_profiles import BUCKET, EPOCH_MS, LIMITS, Profile
from tests.syncstore.register_world import World

MAKER = origin("here", "a", "0" * 28)
TOKEN = b"t" * 16


def region(nodes: int = 3, **more: object) -> World:
    return World(Profile(nodes=nodes, clients=0, **more), 0)  # type: ignore[arg-type]


def votes(world: World) -> str:
    return "".join(name for name, node in world.nodes.items() if node.alive and node.registers.stats()["votes"])


# -- what requests do ------------------------------------------------------------------------------------


def test_each_operation_at_any_node() -> None:
    world = region().open()
    assert not world.ask("a", "get").present
    made = world.ask("b", "create", value=b"one")
    assert made.error == "" and made.revision
    read = world.ask("c", "get")
    assert (read.present, read.value, read.revision) == (True, b"one", made.revision)
    assert read.seen is not None and read.seen.sequence == 1  # its record is in c's table by now
    again = world.ask("c", "create", value=b"two")
    assert (again.error, again.revision) == ("WrongRevision", made.revision)
    changed = world.ask("c", "update", value=b"two", revision=made.revision)
    assert changed.error == "" and version_of(changed.revision) > version_of(made.revision)
    assert world.ask("a", "update", value=b"three", revision=made.revision).revision == changed.revision
    assert world.ask("a", "put", value=b"four").error == ""
    assert world.ask("b", "delete").error == ""
    assert not world.ask("c", "get").present
    gone = world.ask("c", "update", value=b"five", revision=changed.revision)
    assert (gone.error, gone.revision) == ("WrongRevision", "")
    assert world.ask("a", "create", value=b"").error == ""
    empty = world.ask("b", "get")
    assert (empty.present, empty.value) == (True, b"")


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
def test_regions_of_every_size(nodes: int) -> None:
    world = region(nodes).open()
    assert votes(world) == "abcde"[:nodes]
    made = world.ask("a", "put", value=b"x")
    assert made.error == "" and (not made.degraded or nodes == 1)
    assert all(world.ask(name, "get").value == b"x" for name in world.nodes)


def test_an_expired_register_is_absent() -> None:
    world = region().open()
    now = world.nodes["a"].now.wall_ms
    made = world.ask("a", "put", value=b"lease", expires=now + 500)
    assert world.ask("b", "get").expires == now + 500
    world.pass_ms(600)
    assert not world.ask("b", "get").present
    assert world.ask("c", "update", value=b"x", revision=made.revision).error == "WrongRevision"
    assert world.ask("c", "create", value=b"next").error == ""


def test_a_revision_that_is_none_is_wrong() -> None:
    world = region().open()
    world.ask("a", "put", value=b"x")
    assert world.ask("a", "update", value=b"y", revision="nonsense").error == "WrongRevision"


def test_a_token_finds_its_own_success_whatever_came_since() -> None:
    world = region().open()
    first = world.ask("a", "create", value=b"x", token=TOKEN)
    world.ask("b", "delete", token=b"u" * 16)
    again = world.ask("c", "create", value=b"x", token=TOKEN)
    assert (again.error, again.revision) == ("", first.revision)
    assert not world.ask("a", "get").present
    for number in range(paxos.TOKENS):
        world.ask("a", "put", value=b"y", token=number.to_bytes(16, "big"))
    late = world.ask("b", "create", value=b"x", token=TOKEN)
    assert late.error == "Timeout", "it happened, but which revision it got is no longer known"
    assert world.ask("b", "get").value == b"y"


def test_a_session_never_reads_backwards_and_writes_above_what_it_saw() -> None:
    world = region().open()
    made = world.ask("a", "put", value=b"x")
    ahead = Seen(EPOCH_MS + 900_000, 7, MAKER, MAKER, 1)
    assert world.ask("a", "get", seen=ahead).error == "Behind"
    written = world.ask("a", "put", value=b"y", seen=ahead)
    assert version_of(written.revision) > Version(ahead.time, ahead.counter, ahead.maker) > version_of(made.revision)


def test_a_session_that_saw_a_foreign_record_reads_it() -> None:
    world = region().open()
    world.ask("a", "put", value=b"x")
    version = Version(EPOCH_MS + 10_000, 0, origin("there", "x", "0" * 28))
    node = world.nodes["a"]
    node.table["k"] = Record(1, BUCKET, "k", b"foreign", *version[:2], 0, version.maker, version.maker)
    assert world.ask("a", "get").value == b"x", "it has not entered"
    read = world.ask("a", "get", seen=Seen(*version, version.maker, 1))
    assert (read.value, read.revision) == (b"foreign", str(version))
    assert world.ask("c", "get").value == b"foreign", "what one get showed all later ones show"


def test_a_foreign_record_enters_and_tokens_stay() -> None:
    world = region().open()
    first = world.ask("a", "put", value=b"x", token=TOKEN)
    version = Version(EPOCH_MS + 10_000, 0, origin("there", "x", "0" * 28))
    record = Record(1, BUCKET, "k", b"foreign", *version[:2], 0, version.maker, version.maker)
    for node in world.nodes.values():
        node.run(lambda node=node: node.take(record), node.epoch)  # type: ignore[misc]
    world.pass_ms(200)
    assert world.ask("b", "get").value == b"foreign"
    assert world.ask("c", "put", value=b"x", token=TOKEN).revision == first.revision
    assert sum(node.registers.stats().get("enter", 0) for node in world.nodes.values()) == 1, "one node does it"


# -- rounds ------------------------------------------------------------------------------------------------


def test_whoever_won_the_last_round_needs_one_sync_of_a_quorum_and_one_of_the_record() -> None:
    world = region(sync_ms=(5.0, 5.0)).open()
    world.ask("a", "put", value=b"x")
    world.pass_ms(100)
    before = world.now_ms
    world.ask("a", "put", value=b"y")
    assert 10 <= world.now_ms - before < 15, "two syncs of 5 ms, and no third"
    assert world.nodes["a"].registers.stats()["shortcuts"] == 1


def test_a_read_writes_nothing() -> None:
    world = region().open()
    world.ask("a", "put", value=b"x")
    world.pass_ms(2000)
    before = {name: len(node.log) for name, node in world.nodes.items()}
    assert all(world.ask(name, "get").value == b"x" for name in world.nodes)
    assert not world.ask("a", "get", key="other").present
    assert before == {name: len(node.log) for name, node in world.nodes.items()}


def test_requests_on_one_key_wait_for_one_another() -> None:
    world, replies = region().open(), list[Reply]()
    node = world.nodes["a"]
    for number in range(50):
        request = Request(number, "put" if number % 5 else "get", BUCKET, "k", b"x")
        node.run(lambda request=request: node.registers.request(node.now, request, replies.append), node.epoch)  # type: ignore[misc]
    world.pass_ms(1000)
    assert len(replies) == 50 and not any(reply.error for reply in replies)
    assert node.registers.stats().get("retries", 0) == 0


def test_gets_that_wait_share_a_reading() -> None:
    world, replies = region().open(), list[Reply]()
    node = world.nodes["a"]
    world.ask("a", "put", value=b"x")
    rounds = node.registers.stats()["rounds"]
    for number in range(20):
        request = Request(number, "get", BUCKET, "k")
        node.run(lambda request=request: node.registers.request(node.now, request, replies.append), node.epoch)  # type: ignore[misc]
    world.pass_ms(100)
    assert [reply.value for reply in replies] == [b"x"] * 20
    assert node.registers.stats()["rounds"] == rounds + 2


def test_without_a_quorum_it_is_soon_certain_that_nothing_happened() -> None:
    world = region().open()
    world.cut(("a", "b"), ("a", "c"))
    started = world.now_ms
    reply = world.ask("a", "put", value=b"x")
    assert reply.error == "Unavailable" and world.now_ms - started < LIMITS.write_timeout_ms / 2
    assert not world.ask("b", "get").present


def test_after_an_accept_left_nothing_is_certain() -> None:
    world = region().open()
    world.ask("a", "put", value=b"x")
    node, replies = world.nodes["a"], list[Reply]()
    request = Request(1, "put", BUCKET, "k", b"y", timeout_ms=300)
    node.run(lambda: node.registers.request(node.now, request, replies.append), node.epoch)
    world.cut(("a", "b"), ("a", "c"))
    world.pass_ms(400)
    assert [reply.error for reply in replies] == ["Timeout"]


# -- who votes -----------------------------------------------------------------------------------------------


def test_a_first_start_waits_for_all_nodes_once() -> None:
    world = region().open("a", "b")
    world.pass_ms(2000)
    assert votes(world) == ""
    assert world.ask("a", "put", value=b"x").error == "Unavailable"
    world.start("c")
    world.pass_ms(300)
    assert votes(world) == "abc"
    world.crash("b")
    world.pass_ms(50)
    assert world.ask("a", "put", value=b"x").error == "", "later a majority will do"


def test_a_first_start_survives_restarts_in_its_midst() -> None:
    world = region().open("a", "b")
    world.crash("a")
    world.start("a")
    world.pass_ms(500)
    world.start("c")
    world.pass_ms(300)
    assert votes(world) == "abc"


def test_a_blank_node_copies_in_bounded_pieces_before_it_votes() -> None:
    world = region().open()
    for number in range(20):
        world.ask("a", "put", key=f"k{number}", value=bytes([number]))
    world.ask("a", "delete", key="k0")
    world.pass_ms(500)
    world.crash("c")
    node = world.nodes["c"]
    node.log, node.synced = [], 0
    world.cut(("b", "c"))
    world.start("c")
    world.pass_ms(500)
    assert votes(world) == "ab", "one other's copy is not enough among three"
    world._join([("b", "c")])
    world.pass_ms(500)
    assert votes(world) == "abc"
    world.cut(("a", "b"))
    assert all(world.ask("c", "get", key=f"k{number}").value == bytes([number]) for number in range(1, 20))
    copied = sum(isinstance(entry, bytes) for entry in node.log)
    assert copied >= 20 and node.registers.stats()["registers"] == 20


def test_an_old_disk_is_noticed_and_made_good() -> None:
    world = region().open()
    world.ask("a", "put", value=b"old")
    node = world.nodes["c"]
    world.pass_ms(50)
    log = node.log[: node.synced]
    world.ask("a", "put", value=b"new")
    world.pass_ms(50)
    world.crash("c")
    node.log, node.synced = list(log), len(log)
    world.start("c")
    world.pass_ms(500)
    assert node.registers.stats()["left seats"] == 1 and votes(world) == "abc"
    world.crash("a")
    world.pass_ms(50)
    assert world.ask("c", "get").value == b"new"


def test_nodes_of_another_membership_do_not_vote_together() -> None:
    world = region(5, torn_members=True).open()
    world.pass_ms(300)
    assert votes(world) == "abc"
    assert world.ask("d", "put", value=b"x").error == "Unavailable"
    assert world.nodes["a"].registers.stats()["strangers"] > 0


def test_an_unfinished_value_is_finished_by_any_node() -> None:
    world = region().open()
    world.ask("a", "put", value=b"x")
    node = world.nodes["a"]
    request = Request(1, "put", BUCKET, "k", b"y")
    node.run(lambda: node.registers.request(node.now, request, lambda reply: None), node.epoch)
    world.pass_ms(1)
    world.crash("a")
    world.pass_ms(4 * LIMITS.finish_after_ms)
    held = {one.table["k"].value for one in world.nodes.values() if one.alive}
    assert held == {b"y"} and world.ask("b", "get").value == b"y"


# -- forgetting, the disk --------------------------------------------------------------------------------------


def short_memory() -> World:
    return region(limits=replace(LIMITS, register_forget_ms=1000)).open()


def test_a_deleted_register_is_forgotten_by_all_when_old() -> None:
    world = short_memory()
    world.ask("a", "put", value=b"x")
    world.ask("b", "delete")
    world.ask("b", "put", key="other", value=b"stays")
    world.pass_ms(900)
    assert [node.registers.stats()["registers"] for node in world.nodes.values()] == [2, 2, 2]
    world.pass_ms(600)
    assert [node.registers.stats()["registers"] for node in world.nodes.values()] == [1, 1, 1]
    assert all(node.registers.stats()["floor"] > 0 for node in world.nodes.values())
    assert world.ask("c", "create", value=b"again").error == ""
    assert world.ask("a", "get").value == b"again"


def test_nothing_is_forgotten_while_a_node_is_away_or_has_not_accepted_it() -> None:
    world = short_memory()
    world.ask("a", "put", value=b"x")
    world.cut(("a", "c"), ("b", "c"))
    world.ask("a", "delete")
    world.pass_ms(4000)
    assert world.nodes["a"].registers.stats()["registers"] == 1
    world._join([("a", "c"), ("b", "c")])
    world.pass_ms(6000)
    assert [node.registers.stats()["registers"] for node in world.nodes.values()] == [0, 0, 0]


def test_an_expired_register_is_forgotten_as_well() -> None:
    world = short_memory()
    world.ask("a", "put", value=b"lease", expires=world.nodes["a"].now.wall_ms + 500)
    world.pass_ms(4000)
    assert [node.registers.stats()["registers"] for node in world.nodes.values()] == [0, 0, 0]


def test_promises_alone_leave_no_trace() -> None:
    world = region().open()
    node = world.nodes["a"]
    for number in range(10):
        node.send("b", paxos.encode(paxos.Prepare(1, BUCKET, f"k{number}", Ballot(5, "a", node.incarnation))))
    world.pass_ms(1000)
    stats = world.nodes["b"].registers.stats()
    assert stats["registers"] == 0 and stats["floor"] == 5


def test_a_snapshot_restores_what_the_log_would() -> None:
    world = region().open()
    for number in range(10):
        world.ask("a", "put", key=f"k{number}", value=bytes([number]), token=number.to_bytes(16, "big"))
    node = world.nodes["a"]
    parts = node.registers.snapshot()
    first = [next(parts) for _ in range(6)]
    mark = len(node.log)
    world.ask("a", "put", key="k3", value=b"changed while it was taken")
    world.ask("a", "delete", key="k5")
    world.pass_ms(50)
    log: list[bytes | Record] = [*first, *parts, *(entry for entry in node.log[mark:] if isinstance(entry, bytes))]
    table = node.table
    world.crash("a")
    node.log, node.synced = log, len(log)
    world.start("a")
    world.pass_ms(300)
    assert votes(world) == "abc" and node.registers.stats().get("left seats", 0) == 0
    assert len(table) == 10
    world.crash("b")
    world.pass_ms(50)
    assert world.ask("a", "get", key="k3").value == b"changed while it was taken"
    assert not world.ask("a", "get", key="k5").present
    assert world.ask("a", "get", key="k7").value == bytes([7])


def test_damaged_payloads_are_malformed() -> None:
    node: Node = region().open().nodes["a"]
    for payload in (b"", b"\xc1", b"\x92\x63\x01", b"\x91\x01"):
        with pytest.raises(Malformed, match="entry of the registers"):
            node.registers.restore(payload)


# -- bytes -----------------------------------------------------------------------------------------------------

STATE = State(b"v", 0, 5, 6, MAKER, [(TOKEN, 1, 2, MAKER)], b"spent")
BALLOT = Ballot(3, "a", "0" * 28)
SEAT = "0" * 28
VOTER = Voter(SEAT, Mark(SEAT, 2), 7, {"b": Mark(SEAT, 1)})
MESSAGES = [
    Query(1, BUCKET, "k", BALLOT),
    paxos.Prepare(1, BUCKET, "k", BALLOT),
    Accept(1, BUCKET, "k", BALLOT, STATE),
    Told(1, VOTER, BALLOT, STATE),
    Told(1, VOTER, None, None),
    paxos.Accepted(1, VOTER),
    paxos.Refused(1, BALLOT),
    paxos.Greeting(VOTER, SEAT, True, {"a": SEAT}, False),
    paxos.CopyAsk(1, VOTER, 5),
    CopyPart(1, SEAT, VOTER, 1, 2, BALLOT, [Copy(BUCKET, "k", BALLOT, BALLOT, STATE)]),
    Tally(1, [(BUCKET, "k", BALLOT)]),
    paxos.Tallied(1, VOTER, [0]),
    paxos.Forget(1, [(BUCKET, "k", BALLOT)]),
    paxos.Forgotten(1, [0]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_come_back_as_they_were(message: paxos.Body) -> None:
    assert paxos.decode(paxos.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Query(1, "global/lww/x", "k"),
        Query(1, "nonsense", "k"),
        Query(1, BUCKET, ""),
        Query(1, BUCKET, "k" * 513),
        Query(-1, BUCKET, "k"),
        Accept(1, BUCKET, "k", Ballot(-1, "a", "i"), STATE),
        Accept(1, BUCKET, "k", BALLOT, State(b"x" * 300_000, 0, 5, 6, MAKER)),
        Accept(1, BUCKET, "k", BALLOT, State(b"v", 0, 10**14, 6, MAKER)),
        Accept(1, BUCKET, "k", BALLOT, State(b"v", 0, 5, 6, "nobody")),
        Told(1, VOTER, BALLOT, State(b"v", 0, 5, 6, MAKER, [(TOKEN, 1, 2, "nobody")])),
        CopyPart(1, SEAT, VOTER, 1, 2, BALLOT, [Copy("nonsense", "k", BALLOT, None, None)]),
        Tally(1, [("nonsense", "k", BALLOT)]),
        paxos.Accepted(1, Voter("no seat", Mark(SEAT, 0), 0, {})),
    ],
)
def test_messages_out_of_bounds_are_malformed(message: paxos.Body) -> None:
    with pytest.raises(Malformed):
        paxos.decode(paxos.encode(message))


def test_messages_of_a_newer_protocol_are_ignored() -> None:
    body = b"\x92\x63\x01"
    assert paxos.decode(body) == Unknown(99)
    world = region().open()
    node = world.nodes["a"]
    node.registers.received(node.now, "b", body)
    assert node.registers.stats()["unknown"] == 1


def test_no_bytes_break_the_registers() -> None:
    random_, world = random.Random(5), region().open()
    node = world.nodes["a"]
    world.ask("a", "put", value=b"x")
    for _ in range(3000):
        body = bytearray(paxos.encode(random_.choice(MESSAGES)))
        for _ in range(random_.randint(0, 3)):
            body[random_.randrange(len(body))] = random_.randrange(256)
        with suppress(Malformed):
            node.registers.received(node.now, "b", bytes(body[: random_.randint(1, 9 * len(body))]))
    assert world.ask("a", "get").error in ("", "Unavailable")


# -- decisions ---------------------------------------------------------------------------------------------------


def test_new_versions_are_above_everything_known() -> None:
    asked: list[Version] = []

    def take(above: Version) -> Version:
        asked.append(above)
        return Version(above.time + 1, 0, MAKER)

    state, record = State(b"v", 0, 50, 0, MAKER), Record(1, BUCKET, "k", b"t", 60, 0, 0, MAKER, MAKER)
    seen = Seen(70, 1, MAKER, MAKER, 1)
    decide(Request(1, "put", BUCKET, "k", b"x"), state, None, 0, take)
    decide(Request(1, "put", BUCKET, "k", b"x"), state, record, 0, take)
    decide(Request(1, "put", BUCKET, "k", b"x", seen=seen), state, record, 0, take)
    decide(Request(1, "put", BUCKET, "k", b"x"), None, None, 0, take)
    assert asked == [state.version, record.version, Version(70, 1, MAKER), NO_VERSION]
