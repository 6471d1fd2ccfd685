"""Schedules that chance does not find within a thousand worlds, written down step by step.

Each gives a world with its history, as `World.run` does, linearizable unless a rule is broken.
"""

from __future__ import annotations

from typing import Any

from lab.syncstore.wire import Reply, Request
from tests.syncstore.register_profiles import BUCKET, LIMITS, Profile
from tests.syncstore.register_world import World


def ghost() -> World:
    """Five nodes. b promises e, loses its disk, and copies from others than e; what it then accepts with a
    and d is below e's ballot. c, which gave b a copy, promises e as well: e must not count the ghost's vote
    beside c's, for the two together know nothing of what the new b accepted.

    (Of three nodes the new one copies both others, the proposer among them: there this can't happen.)
    """
    world = World(Profile(nodes=5, clients=0, limits=LIMITS), 1).open()
    for number in range(20):
        _done(world, "e", "put", f"other{number}", key="other")  # so that e's next ballot is a high one
    first = _done(world, "d", "put", "first")
    world.pass_ms(50)
    _hold(world, "e", "acd")
    replies = _begin(world, "e", "update", "late", revision=first.revision)
    world.pass_ms(5)
    _hold(world, "e", "b")
    world.crash("b")
    node = world.nodes["b"]
    node.log, node.synced = [], 0
    world.start("b")
    world.pass_ms(60)
    assert node.registers.stats()["votes"], "b has copied a, c and d"
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


SCHEDULES = {"ghost": ghost}


def run(name: str, seed: int) -> World:
    """The world of a schedule, or of a profile and a seed."""
    return SCHEDULES[name]() if name in SCHEDULES else World(name, seed).run()
