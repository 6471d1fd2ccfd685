"""Schedules that chance does not find within a thousand worlds, written down step by step.

Each gives a world with its history, as `World.run` does, linearizable unless a rule is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.syncstore.wire import Reply, Request
from tests.syncstore.register_profiles import BUCKET, FORGETFUL, LIMITS, Profile
from tests.syncstore.register_world import World


def ghost() -> World:
    """Five nodes. b promises e, loses its disk, and copies from others than e; what it then accepts with a
    and d is below e's ballot. c, which gave b a copy, promises e as well: e must not count the ghost's vote
    beside c's, for the two together know nothing of what the new b accepted.

    (Of three nodes the new one copies both others, the proposer among them: there this can't happen.)
    """
    world = _open("ghost", Profile(nodes=5, clients=0, limits=LIMITS))
    for number in range(20):
        _done(world, "e", "put", f"other{number}", key="other")  # so that e's next ballot is a high one
    first = _done(world, "d", "put", "first")
    world.pass_ms(50)
    _hold(world, "e", "acd")
    replies = _begin(world, "e", "update", "late", revision=first.revision)
    world.pass_ms(5)
    _hold(world, "e", "b")
    _start_again(world, "b", True)
    world.pass_ms(60)
    assert world.nodes["b"].registers.stats()["votes"], "b has copied a, c and d"
    _hold(world, "a", "ce")
    _done(world, "a", "put", "second")
    _release(world, "e", "c")
    while not replies and world.now_ms < 2000:
        world.pass_ms(1)
        if _promised(world, "c", "e"):
            _release(world, "e", "abd")
    _release(world, "a", "ce")
    world.pass_ms(1000)
    _done(world, "c", "get", "")
    return world


def late(replace_disk: bool) -> World:
    """An accept comes when its register was deleted and forgotten, and the node it comes to started again since,
    on its old disk or a new one: the floor that it kept, or copied, refuses it. (Only a message that outlives
    its connection comes so late.)
    """
    world = _open(f"late {replace_disk}", Profile(clients=0, limits=FORGETFUL))
    world.kept["a", "c"] = []
    _done(world, "a", "put", "gone")
    kept = world.kept.pop(("a", "c"))
    _done(world, "b", "delete", "")
    world.pass_ms(3 * FORGETFUL.register_forget_ms)
    _start_again(world, "c", replace_disk)
    world.pass_ms(300)
    stats = [node.registers.stats() for node in world.nodes.values()]
    assert all(one["registers"] == 0 and one["votes"] for one in stats), "it is forgotten by all"
    _deliver(world, "a", "c", kept)
    world.crash("a")
    world.pass_ms(50)
    _done(world, "c", "get", "")
    return world


def twin() -> World:
    """A node starts again without its latest promise, which its disk had not taken: its new process must not
    use the ballot of an accept that its old one has sent.
    """
    world = _open("twin", Profile(clients=0, limits=LIMITS))
    _done(world, "b", "put", "first")
    world.pass_ms(50)
    node = world.nodes["a"]
    node.never_syncs = True
    _begin(world, "a", "put", "old")
    while not (_promised(world, "b", "a") and _promised(world, "c", "a")):
        world.pass_ms(0.1)
    world.kept["a", "c"], world.kept["a", "b"] = [], []  # the accept comes to c later, to b never
    world.pass_ms(10)
    kept = world.kept.pop(("a", "c"))
    del world.kept["a", "b"]
    world.note(process="old a", key="k", call=50, result="indefinite", op="put", value="old")
    del node.log[node.synced :]
    node.never_syncs = False
    world.crash("a")
    world.start("a")
    world.pass_ms(40)
    world.kept["a", "c"] = []
    _done(world, "a", "put", "new")
    del world.kept["a", "c"]
    _deliver(world, "a", "c", kept)
    world.pass_ms(20)
    for name in ("c", "a", "c", "b"):
        _done(world, name, "get", "")
    return world


def tally() -> World:
    """c says that it holds a tombstone, and loses its disk. b and d, which did not hold it, give the new c their
    copies; then they hold it too, and say so. The three answers together are no proof that all hold it.
    """
    world = _open("tally", Profile(nodes=5, clients=0, limits=FORGETFUL))
    _done(world, "a", "put", "gone")
    world.pass_ms(50)
    world.kept["a", "b"], world.kept["a", "d"] = [], []
    _done(world, "a", "delete", "")
    world.pass_ms(FORGETFUL.register_forget_ms + 50)  # a has asked; c and e have answered
    _hold(world, "a", "c")
    world.kept["c", "e"] = []
    _start_again(world, "c", True)
    world.pass_ms(100)  # the new c has copied b and d, and waits for e
    for target in "bd":
        _deliver(world, "a", target, world.kept.pop(("a", target)))
    world.pass_ms(100)
    _deliver(world, "c", "e", world.kept.pop(("c", "e")))
    world.pass_ms(500)
    assert world.nodes["c"].registers.stats()["votes"]
    world.crash("a")
    world.crash("e")
    world.pass_ms(50)
    _done(world, "c", "get", "")
    return world


def doubt() -> World:
    """The answers to a's accept are lost: it may have happened, and it has."""
    world = _open("doubt", Profile(clients=0, limits=LIMITS))
    _done(world, "a", "put", "first")
    _hold(world, "b", "a")
    _hold(world, "c", "a")
    replies = _begin(world, "a", "put", "second", timeout_ms=300)
    world.pass_ms(400)
    assert replies, "a has given up"
    _release(world, "b", "a")
    _release(world, "c", "a")
    _done(world, "b", "get", "")
    return world


def again() -> World:
    """The reply of a create is lost; what it made is read, and deleted; then it is tried again, within the time
    in which requests are. A register that was forgotten by then would be created a second time.
    """
    world = _open("again", Profile(clients=0, limits=FORGETFUL))
    called_ms, token = world.now_ms, b"t" * 16
    world.ask("a", "create", value=b"made", token=token)
    _done(world, "b", "get", "")
    _done(world, "c", "delete", "")
    world.pass_ms(FORGETFUL.token_lives_ms - 200)
    reply = world.ask("b", "create", value=b"made", token=token)
    world.note(
        process="client", key="k", call=called_ms, result="ok", op="create", value="made", revision=reply.revision
    )
    _done(world, "a", "get", "")
    return world


def stuck() -> World:
    """What a sends is lost, so a get there waits, and a create behind it. The client goes elsewhere with the same
    token; what it made is deleted and, once a is heard again, forgotten: the create must have ended by then.
    """
    world = _open("stuck", Profile(clients=0, limits=FORGETFUL))
    called_ms, token = world.now_ms, b"t" * 16
    _hold(world, "a", "bc")
    _begin(world, "a", "get", "", timeout_ms=400)
    request = Request(2, "create", BUCKET, "k", b"made", token=token, timeout_ms=400)
    node = world.nodes["a"]
    node.run(lambda: node.registers.request(node.now, request, lambda reply: None), node.epoch)
    world.pass_ms(500)
    reply = world.ask("b", "create", value=b"made", token=token)
    world.note(
        process="client", key="k", call=called_ms, result="ok", op="create", value="made", revision=reply.revision
    )
    _done(world, "c", "delete", "")
    forgetter = world.nodes["b"].registers._forgetter
    while not forgetter._open:
        world.pass_ms(1)
    _release(world, "a", "bc")
    while any(one.registers.stats()["registers"] for one in world.nodes.values()) and world.now_ms < 6000:
        world.pass_ms(1)
    world.pass_ms(1000)
    _done(world, "b", "get", "")
    return world


def unrecorded() -> World:
    """c hears nothing of a delete; the tally has it accept the tombstone, and others may not forget before its
    table has it too: what that holds still would enter the forgotten register.
    """
    world = _open("unrecorded", Profile(clients=0, limits=FORGETFUL))
    key = next(
        key for key in map(str, range(100)) if world.nodes["c"].registers._agreement._rank(f"{BUCKET}/{key}") == 2
    )
    _done(world, "a", "put", "gone", key)
    world.pass_ms(50)
    _hold(world, "b", "c")
    _done(world, "b", "delete", "", key)
    _release(world, "b", "c")
    for _ in range(25):
        world.pass_ms(100)
        _done(world, "b", "get", "", key)
    return world


def twice() -> World:
    """c's disk is an old one, and c starts from it twice while it reaches nobody. Then it meets a, which knows of a
    later vote of c's but lacks what b and c decided after it: the two must not decide anything before b is back.
    """
    world = _open("twice", Profile(clients=0, limits=LIMITS))
    _done(world, "b", "put", "first")
    world.pass_ms(100)
    node = world.nodes["c"]
    copy = node.log[: node.synced]
    _done(world, "a", "put", "second")
    world.pass_ms(1500)
    world.cut(("a", "b"), ("a", "c"))
    _done(world, "b", "put", "third")
    world.cut(("b", "c"))
    world.crash("c")
    node.log, node.synced = copy, len(copy)
    for _ in range(2):
        world.start("c")
        _begin(world, "c", "put", "never", timeout_ms=300)
        world.pass_ms(400)
        world.crash("c")
    world.start("c")
    world.join(("a", "c"))
    world.pass_ms(1000)
    _begin(world, "a", "get", "", timeout_ms=300)
    world.pass_ms(1000)
    world.join(("a", "b"), ("b", "c"))
    world.pass_ms(1000)
    _done(world, "a", "get", "")
    return world


def _start_again(world: World, name: str, replace_disk: bool) -> None:
    node = world.nodes[name]
    world.crash(name)
    if replace_disk:
        node.log, node.synced = [], 0
    world.pass_ms(30)
    world.start(name)


def _deliver(world: World, source: str, target: str, messages: list[Any]) -> None:
    node = world.nodes[target]
    for message in messages:
        node.run(lambda message=message: node.received(source, message), node.epoch)  # type: ignore[misc]


def _begin(world: World, name: str, op: str, value: str, key: str = "k", **more: Any) -> list[Reply]:
    """Start an operation; it is noted once it is answered."""
    replies: list[Reply] = []
    node, called_ms = world.nodes[name], world.now_ms

    def answered(reply: Reply) -> None:
        replies.append(reply)
        line: dict[str, Any] = {"op": op, "value": value or reply.value.decode()}
        if op == "update":
            line["expected"] = more["revision"]
        if op == "get":
            line["present"] = reply.present
        results = {"": "ok", "WrongRevision": "wrong", "Timeout": "indefinite"}
        if reply.error in results:
            if not reply.error:
                line["revision"] = reply.revision
            world.note(process=name, key=key, call=called_ms, result=results[reply.error], **line)

    request = Request(1, op, BUCKET, key, value.encode() if op != "get" else b"", **more)
    node.run(lambda: node.registers.request(node.now, request, answered), node.epoch)
    return replies


def _done(world: World, name: str, op: str, value: str, key: str = "k", **more: Any) -> Reply:
    replies = _begin(world, name, op, value, key, **more)
    while not replies:
        world.pass_ms(1)
    assert not replies[0].error, replies[0]
    return replies[0]


def _promised(world: World, name: str, to: str) -> bool:
    register = world.nodes[name].registers._acceptor.registers.get((BUCKET, "k"))
    return register is not None and register.promised.node == to


def _hold(world: World, source: str, targets: str) -> None:
    """What source sends to these is lost, and nobody is told; what is asked again after a while is not."""
    for target in targets:
        world._gray[source, target] = float("inf")


def _release(world: World, source: str, targets: str) -> None:
    for target in targets:
        world._gray[source, target] = 0.0


SCHEDULES: dict[str, Callable[[], World]] = {
    "again": again,
    "doubt": doubt,
    "ghost": ghost,
    "late, new disk": lambda: late(True),
    "late, old disk": lambda: late(False),
    "stuck": stuck,
    "tally": tally,
    "twice": twice,
    "twin": twin,
    "unrecorded": unrecorded,
}


def run(name: str, seed: int) -> World:
    """The world of a schedule, or of a profile and a seed."""
    return SCHEDULES[name]() if name in SCHEDULES else World(name, seed).run()


def _open(name: str, profile: Profile) -> World:
    world = World(profile, 1)
    world.name = name
    return world.open()
