"""The parts of a simulated world, with a toy in the engine's place: every kind of fault provably bites."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lab.syncstore.simulate.chance import fork
from lab.syncstore.simulate.harms import ENTER, Harms
from lab.syncstore.simulate.harms.harm import Harm
from lab.syncstore.simulate.history import OK, Operation
from lab.syncstore.simulate.links import BLACKHOLE, REFUSE, STALL
from lab.syncstore.simulate.timeline import Timeline
from lab.syncstore.simulate.world import Plan, World
from lab.syncstore.wire import Goodbye, encode
from tests.syncstore.toy_engine import ToyEngine


def toys(seed: int = 1, regions: int = 2, nodes: int = 2, **given: Any) -> World:
    world = World(Plan(seed, regions, nodes, **given), ToyEngine)
    for host in world.hosts.values():
        host.boot()
    return world


def engine(world: World, node: str) -> ToyEngine:
    found = world.hosts[node].engine
    assert isinstance(found, ToyEngine)
    return found


def heard_from(world: World, node: str, source: str) -> list[str]:
    return [text for _, _, text in engine(world, node).heard if text.startswith(source)]


def enter(world: World, kind: str, *where: str, amount: float = 0.0, mode: str = "") -> Any:
    return ENTER[kind](world, Harm(0, 0, kind, where, amount, mode), fork(1, "test"))


def test_what_is_planned_for_one_instant_happens_in_the_order_of_planning() -> None:
    timeline, seen = Timeline(), []
    for name in "abc":
        timeline.at(5, seen.append, name)
    timeline.at(1, seen.append, "first")
    timeline.run_until(5)
    assert seen == ["first", "a", "b", "c"]
    assert timeline.now_ms == 5


def test_forks_are_independent_of_each_other() -> None:
    one, other = fork(1, "a"), fork(1, "b")
    drawn = one.random()
    other.random()
    assert one.random() != drawn
    assert fork(1, "a").random() == drawn


def test_frames_arrive_in_order_after_the_links_delay() -> None:
    world = toys()
    world.timeline.run_until(3000)
    texts = heard_from(world, "r2n1", "r1n1")
    numbers = [int(text.split()[1]) for text in texts]
    assert numbers == sorted(numbers)
    assert len(numbers) > 20
    assert world.network.link("r1n1", "r2n1").delay_ms >= 10 > world.network.link("r1n1", "r1n2").delay_ms


@pytest.mark.parametrize("mode", [STALL, BLACKHOLE, REFUSE])
def test_a_cut_carries_nothing_and_ends_as_it_is_told(mode: str) -> None:
    world = toys()
    world.timeline.run_until(1000)
    heal = enter(world, "cut", "r1", mode=mode)
    world.timeline.run_until(1001)
    carried = world.network.link("r1n1", "r2n1").carried_bytes
    heard = len(heard_from(world, "r2n1", "r1n1"))
    inside = len(heard_from(world, "r1n2", "r1n1"))
    world.timeline.run_until(2500)
    assert world.network.link("r1n1", "r2n1").carried_bytes == carried
    assert len(heard_from(world, "r2n1", "r1n1")) == heard
    assert len(heard_from(world, "r1n2", "r1n1")) > inside
    assert ("closed" in engine(world, "r2n1").calls) == (mode == REFUSE)
    sent = engine(world, "r1n1").said
    heal()
    world.timeline.run_until(3500)
    after = heard_from(world, "r2n1", "r1n1")
    if mode == STALL:
        numbers = [int(text.split()[1]) for text in after]
        assert len(after) > heard + 40 > sent * 0
        assert numbers == sorted(numbers)
    else:
        assert len(after) == heard


@pytest.mark.parametrize(("mode", "out", "back"), [("deaf", True, False), ("mute", False, True)])
def test_one_way_cuts_one_direction(mode: str, out: bool, back: bool) -> None:
    world = toys()
    world.timeline.run_until(1000)
    enter(world, "one-way", "r1", mode=mode)
    world.timeline.run_until(1200)
    before = len(heard_from(world, "r2n1", "r1n1")), len(heard_from(world, "r1n1", "r2n1"))
    world.timeline.run_until(2500)
    after = len(heard_from(world, "r2n1", "r1n1")), len(heard_from(world, "r1n1", "r2n1"))
    assert (after[0] > before[0]) == out
    assert (after[1] > before[1]) == back


def test_gray_adds_to_the_delay_and_leaves_again() -> None:
    world = toys()
    link = world.network.link("r1n1", "r2n1")
    plain_ms = link.delay_ms
    heal = enter(world, "gray", "r1", amount=500)
    assert link.delay_ms == plain_ms + 500
    other = enter(world, "gray", "r2", amount=100)
    assert link.delay_ms == plain_ms + 600
    heal()
    other()
    assert link.delay_ms == plain_ms


def test_between_cuts_two_regions_that_reach_the_third() -> None:
    world = toys(regions=3, nodes=1)
    world.timeline.run_until(1000)
    enter(world, "between", "r1", "r2", mode=STALL)
    world.timeline.run_until(1300)
    before = len(heard_from(world, "r2n1", "r1n1")), len(heard_from(world, "r3n1", "r1n1"))
    world.timeline.run_until(2300)
    assert len(heard_from(world, "r2n1", "r1n1")) == before[0]
    assert len(heard_from(world, "r3n1", "r1n1")) > before[1]


def test_inside_cuts_a_node_off_its_region_only() -> None:
    world = toys(nodes=3)
    world.timeline.run_until(1000)
    enter(world, "inside", "r1n1", mode=STALL)
    world.timeline.run_until(1300)
    before = len(heard_from(world, "r1n2", "r1n1")), len(heard_from(world, "r2n1", "r1n1"))
    world.timeline.run_until(2300)
    assert len(heard_from(world, "r1n2", "r1n1")) == before[0]
    assert len(heard_from(world, "r2n1", "r1n1")) > before[1]


def test_a_rate_delays_by_size() -> None:
    world = toys()
    link = world.network.link("r1n1", "r2n1")
    quick_ms = link.arrival(0, 10_000)
    enter(world, "rate", "r1", amount=2)
    assert link.arrival(quick_ms, 10_000) > quick_ms + 5000


def test_flapping_cuts_and_heals_again_and_again() -> None:
    world = toys()
    cuts = []
    heal = enter(world, "flap", "r1", amount=100, mode=STALL)
    for step in range(40):
        world.timeline.run_until(step * 30.0)
        cuts.append(world.network.link("r1n1", "r2n1").cut)
    changes = sum(one != other for one, other in pairwise(cuts))
    assert changes > 4
    heal()
    world.timeline.run_until(3000)
    assert world.network.link("r1n1", "r2n1").cut == ""


def test_resets_break_connections_of_the_region() -> None:
    world = toys()
    world.timeline.run_until(500)
    assert "closed" not in engine(world, "r1n1").calls
    enter(world, "resets", "r1", amount=20)
    world.timeline.run_until(1500)
    assert "closed" in engine(world, "r1n1").calls


@pytest.mark.parametrize(("mode", "waits_ms"), [(STALL, 400), (BLACKHOLE, 400), (REFUSE, 0)])
def test_dials_over_a_cut_fail_at_once_or_in_time(mode: str, waits_ms: float) -> None:
    world = toys()
    world.timeline.run_until(500)
    enter(world, "cut", "r1", mode=mode)
    world.timeline.run_until(1000)
    host = world.hosts["r1n1"]
    host.dial("r2n2", "wan")
    world.timeline.run_until(1000 + waits_ms - 1 if waits_ms else 1001)
    assert engine(world, "r1n1").failed == []
    world.timeline.run_until(1500)
    assert engine(world, "r1n1").failed == ["r2n2"]


def test_a_killed_node_keeps_what_was_written_and_its_peers_are_told() -> None:
    world = toys()
    world.timeline.run_until(500)
    host = world.hosts["r1n1"]
    host.drive.log.append(b"written")
    host.drive.log.write_unsynced()
    heal = enter(world, "kill", "r1n1", amount=1)
    world.timeline.run_until(1000)
    assert host.engine is None
    assert "closed" in engine(world, "r1n2").calls
    heal()
    world.timeline.run_until(1500)
    first = engine(world, "r1n1")
    assert first.entries == [b"written"]
    assert not first.blank


def test_a_power_cut_takes_the_unsynced_and_tells_nobody() -> None:
    lost = 0
    for seed in range(8):
        world = toys(seed)
        world.timeline.run_until(500)
        host = world.hosts["r1n1"]
        for number in range(4):
            host.drive.log.append(b"entry %d" % number)
        host.drive.log.write_unsynced()
        closed = engine(world, "r2n1").calls.count("closed")
        heal = ENTER["power"](world, Harm(0, 0, "power", ("r1",)), fork(seed, "test"))
        world.timeline.run_until(900)
        assert world.hosts["r1n2"].engine is None
        assert engine(world, "r2n1").calls.count("closed") == closed
        heal()
        world.timeline.run_until(1800)
        lost += len(engine(world, "r1n1").entries) < 4
        assert engine(world, "r2n1").calls.count("closed") > closed
    assert lost


def test_a_paused_node_hears_later_what_came_in_and_senders_feel_it() -> None:
    world = toys()
    world.timeline.run_until(500)
    heal = enter(world, "pause", "r1n1")
    before = len(engine(world, "r1n1").heard)
    link = next(number for number in engine(world, "r1n2").open)
    world.timeline.run_until(1500)
    assert len(engine(world, "r1n1").heard) == before
    sender = world.hosts["r1n2"]
    sender.send(link, encode(Goodbye("x" * 200_000)))
    assert sender.unsent(link) > 100_000
    heal()
    world.timeline.run_until(2000)
    assert len(engine(world, "r1n1").heard) > before + 15
    assert sender.unsent(link) == 0


def test_who_was_over_the_limit_is_told_when_there_is_room_again() -> None:
    world = toys()
    world.timeline.run_until(500)
    heal = enter(world, "pause", "r2n1")
    sender = world.hosts["r1n1"]
    link = next(number for number, pipe in sender._pipes.items() if pipe.target is world.hosts["r2n1"])
    sender.send(link, encode(Goodbye("x" * 300_000)))
    world.timeline.run_until(1500)
    assert "writable" not in engine(world, "r1n1").calls
    heal()
    world.timeline.run_until(9000)
    assert "writable" in engine(world, "r1n1").calls


@pytest.mark.parametrize("kind", ["blank", "restored"])
def test_disks_are_lost_and_put_back(kind: str) -> None:
    world = toys()
    world.timeline.run_until(500)
    host = world.hosts["r1n1"]
    host.drive.log.append(b"old")
    host.drive.log.begin_sync()
    host.drive.log.finish_sync()
    heal = ENTER[kind](world, Harm(500, 500, kind, ("r1n1",), 100), fork(1, "test"))
    host.drive.log.append(b"new")
    host.drive.log.begin_sync()
    host.drive.log.finish_sync()
    world.timeline.run_until(1000)
    heal()
    world.timeline.run_until(1500)
    assert engine(world, "r1n1").entries == ([] if kind == "blank" else [b"old"])
    assert engine(world, "r1n1").blank == (kind == "blank")
    assert host.lost_disks == 1


@pytest.mark.parametrize(("mode", "amount"), [("slow", 400.0), ("stuck", 0.0), ("full", 0.0), ("broken", 0.0)])
def test_disks_are_slow_stuck_full_or_broken(mode: str, amount: float) -> None:
    world = toys()
    world.timeline.run_until(500)
    host, node = world.hosts["r1n1"], engine(world, "r1n1")
    heal = enter(world, "disk", "r1n1", mode=mode, amount=amount)
    node.appended = host.drive.log.append(b"entry")
    world.timeline.run_until(600)
    assert node.synced_to == 0
    assert bool(node.failed) == (mode in ("full", "broken"))
    heal()
    world.timeline.run_until(1200)
    assert node.synced_to == node.appended > 0


def test_clocks_are_wrong_and_set_right() -> None:
    world = toys()
    host = world.hosts["r1n1"]
    heal = enter(world, "skew", "r1", amount=60_000)
    assert host.clocks.wall_ms() - world.hosts["r2n1"].clocks.wall_ms() > 50_000
    mono_ms = host.clocks.now().mono_ms
    heal()
    assert host.clocks.wall_ms() == world.hosts["r2n1"].clocks.wall_ms()
    assert host.clocks.now().mono_ms == mono_ms


def test_a_busy_node_answers_later() -> None:
    def latency_ms(frames: int) -> float:
        world = toys()
        world.timeline.run_until(500)
        caller = world.loads["r1"].callers[0]
        caller.connect()
        world.timeline.run_until(550)
        operation = Operation("r1", caller.place, "get", "global/lww/x", "k")
        caller.call(operation)
        world.timeline.run_until(600)
        other = Operation("r1", caller.place, "get", "global/lww/x", "k")
        link = next(iter(world.hosts["r1n1"]._pipes.values()))
        for _ in range(frames):
            world.hosts["r1n1"]._inbox.append(("received", (link.number, b"\x91\x63"), link))
        caller.call(other)
        world.timeline.run_until(1500)
        assert operation.outcome == other.outcome == OK
        return other.latency_ms

    assert latency_ms(2000) > latency_ms(0) + 10


def test_a_region_floods() -> None:
    world = toys(rate_per_s=50.0)
    world.begin()
    world.timeline.run_until(2000)
    calm = len(world.loads["r1"].operations)
    heal = enter(world, "flood", "r1", amount=10)
    world.timeline.run_until(3000)
    assert len(world.loads["r1"].operations) - calm > 200
    assert len(world.loads["r2"].operations) < 200
    heal()


def test_the_load_of_a_region_does_not_depend_on_answers() -> None:
    def intents(faults: bool) -> list[tuple[str, str, str]]:
        world = toys(rate_per_s=40.0)
        world.begin()
        if faults:
            Harms(world).plan([Harm(400, 1000, "kill", ("r1n1",), 1), Harm(600, 800, "cut", ("r2",), 0, STALL)])
        world.timeline.run_until(2500)
        return [(one.op, one.bucket, one.key) for load in world.loads.values() for one in load.operations]

    assert intents(True) == intents(False)


def test_every_kind_of_harm_can_be_healed_at_any_moment() -> None:
    for number, kind in enumerate(sorted(ENTER)):
        world = toys(number, regions=3, nodes=2)
        world.timeline.run_until(200)
        place = (
            "r1n1"
            if kind in ("kill", "pause", "blank", "restored", "disk", "inside", "all-blank", "skew-one", "busy")
            else "r1"
        )
        where = ("r1", "r2") if kind in ("between", "narrow", "far") else (place,)
        all_harms = Harms(world)
        all_harms.plan([Harm(300, 5000, kind, where, 2.0, {"disk": "full"}.get(kind, STALL))])
        world.timeline.run_until(700)
        assert all_harms.on
        all_harms.heal_all()
        world.timeline.run_until(3000)
        assert all(host.engine is not None for host in world.hosts.values())
        assert all(link.cut == "" for link in world.network._links.values())
