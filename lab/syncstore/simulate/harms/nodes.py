"""Harms of processes, machines and disks."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from lab.syncstore.simulate.harms.harm import Harm, Heal
from lab.syncstore.simulate.host import Host

if TYPE_CHECKING:
    from lab.syncstore.simulate.world import World


def hosts(world: World, harm: Harm) -> list[Host]:
    return [world.hosts[node] for node in harm.where]


UNSYNCED_MS = 120.0
"""What peers have merged and not synced is at most 100 ms old; and the acknowledgement took a moment."""


def kill(world: World, harm: Harm, chance: Random) -> Heal:
    """kill −9 of these nodes, one after the other within `amount` ms; they come back in any order."""
    killed = hosts(world, harm)
    for host in killed:
        world.timeline.after(chance.uniform(0, harm.amount), host.kill, chance, chance.random() < 0.5)

    def heal() -> None:
        for host in chance.sample(killed, len(killed)):
            world.timeline.after(chance.uniform(0, 100), host.boot)

    return heal


def power(world: World, harm: Harm, chance: Random) -> Heal:
    """A whole region loses power at once, and comes back in any order."""
    region = world.region(harm.where[0])
    for host in region:
        host.cut_power(chance)

    def heal() -> None:
        for host in chance.sample(region, len(region)):
            world.timeline.after(chance.uniform(0, 400), host.boot)

    return heal


def others_dead(world: World, harm: Harm, chance: Random) -> Heal:
    """Every region but one loses power, each when it likes."""
    dying = [host for host in world.hosts.values() if host.region != harm.where[0]]
    over = [False]

    def die(region: str) -> None:
        for host in dying:
            if host.region == region and not over[0]:
                host.cut_power(chance)

    for region in world.plan.names:
        world.timeline.after(chance.uniform(0, harm.for_ms / 4), die, region)

    def heal() -> None:
        over[0] = True
        for host in chance.sample(dying, len(dying)):
            world.timeline.after(chance.uniform(0, 400), host.boot)

    return heal


def pause(world: World, harm: Harm, chance: Random) -> Heal:
    paused = hosts(world, harm)
    for host in paused:
        host.pause()

    def heal() -> None:
        for host in paused:
            host.resume()

    return heal


def busy(world: World, harm: Harm, chance: Random) -> Heal:
    """A noisy neighbour: everything these nodes do takes `amount` times as long."""
    slowed = hosts(world, harm)
    for host in slowed:
        host.slow = harm.amount

    def heal() -> None:
        for host in slowed:
            host.slow = 1.0

    return heal


def blank(world: World, harm: Harm, chance: Random) -> Heal:
    """The disk of one node is lost with its process; it comes back with an empty one."""
    host = world.hosts[harm.where[0]]
    host.kill(chance, False)

    def heal() -> None:
        if host.engine is None:
            host.drive.log.wipe()
            host.lost_disks += 1
            host.boot()

    return heal


def all_but_a_disk(world: World, harm: Harm, chance: Random) -> Heal:
    """All nodes of a region go at one instant, by kill −9 or (mode `power`) by a power cut, and the disk of one
    with it. What it alone had synced, and no peer within 100 ms of its running time, may be lost by the power cut
    only."""
    host = world.hosts[harm.where[0]]
    region = world.region(host.region)
    peers_ran_until_ms = min(world.timeline.now_ms, min(one.paused_ms for one in region if one is not host))
    for one in region:
        if harm.mode == "power":
            one.cut_power(chance)
        else:
            one.kill(chance, False)
    if harm.mode == "power":
        world.excused.append((host.place, peers_ran_until_ms - UNSYNCED_MS, world.timeline.now_ms))

    def heal() -> None:
        if host.engine is None:
            host.drive.log.wipe()
            host.lost_disks += 1
        for one in chance.sample(region, len(region)):
            world.timeline.after(chance.uniform(0, 400), one.boot)

    return heal


def restored(world: World, harm: Harm, chance: Random) -> Heal:
    """One node's disk is put back to what it was `amount` ms before it came back."""
    host = world.hosts[harm.where[0]]
    copies = []

    def keep() -> None:
        copies.append(host.drive.log.copy())

    keep()
    world.timeline.after(harm.for_ms - harm.amount, host.kill, chance, False)

    def heal() -> None:
        host.kill(chance, False)
        copies[0].crash(chance, torn=True)
        host.drive.log = copies[0]
        host.lost_disks += 1
        host.boot()

    return heal


def disk(world: World, harm: Harm, chance: Random) -> Heal:
    """mode: slow (amount times), stuck, full or broken."""
    harmed = hosts(world, harm)
    for host in harmed:
        if harm.mode == "slow":
            host.drive.slow = harm.amount
        elif harm.mode == "stuck":
            host.drive.stuck = True
        else:
            setattr(host.drive.log, harm.mode, True)

    def heal() -> None:
        for host in harmed:
            host.drive.slow = 1.0
            host.drive.log.full = host.drive.log.broken = False
            host.drive.free()

    return heal
