"""A node around a small engine: turns, syncs, timers, snapshots, its own bugs, its end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest

from lab.syncstore import wire
from lab.syncstore.errors import Storage
from lab.syncstore.log import Log
from lab.syncstore.node import disk as disk_module
from lab.syncstore.node.addresses import Address
from lab.syncstore.node.node import Node
from lab.syncstore.node.say import Say
from tests.syncstore.nodes import (
    HOST,
    Plain,
    Served,
    free_addresses,
    free_ports,
    get,
    put,
    run,
    served,
    settings,
    until,
)


@pytest.fixture
def chosen(tmp_path: Path):
    return settings(tmp_path)


@pytest.fixture(autouse=True)
def collector():
    """A node sets the garbage collector's thresholds for its process."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class GuardedLog:
    """A real log whose syncs can be held up, or made to fail."""

    def __init__(self, log: Log) -> None:
        self.log, self.gate, self.fail, self.syncs, self.threads = log, threading.Event(), False, 0, set()
        self.gate.set()

    def __getattr__(self, name: str):
        return getattr(self.log, name)

    def begin_snapshot(self):
        if self.fail:
            raise Storage("no snapshot, says the test.")
        return self.log.begin_snapshot()

    def sync(self) -> int:
        self.threads.add(threading.get_ident())
        if self.fail:
            self.log.failing = Storage("the disk is full, says the test.")
            raise self.log.failing
        position = self.log.sync()
        self.syncs += 1
        self.gate.wait(10)
        return position


def guarded(logs: list[GuardedLog]):
    def open_store(directory: Path, rebuild: bool) -> GuardedLog:
        logs.append(GuardedLog(Log.open(directory, rebuild=rebuild)))
        return logs[0]

    return open_store


def test_what_was_acknowledged_is_there_after_a_restart(chosen):
    async def write() -> None:
        async with served(chosen) as one:
            assert one.engine.told[0] == ("start", True)
            plain = await Plain.to(chosen.listened.client)
            plain.ask(put(1, "a", b"1"), put(2, "b", b"2"))
            assert {reply.number for reply in await plain.replies(2)} == {1, 2}
            plain.close()

    async def read() -> None:
        async with served(chosen) as one:
            assert one.engine.told[0] == ("start", False)
            plain = await Plain.to(chosen.listened.client)
            plain.ask(get(1, "a"), get(2, "b"), get(3, "c"))
            assert [(one.present, one.value) for one in await plain.replies(3)] == [
                (True, b"1"),
                (True, b"2"),
                (False, b""),
            ]
            plain.close()

    run(write())
    run(read())


def test_writes_gather_while_a_sync_runs(chosen):
    """One thread, never two syncs at once; reads are answered meanwhile."""
    logs: list[GuardedLog] = []

    async def work() -> None:
        async with served(chosen, open_store=guarded(logs)):
            log = logs[0]
            plain = await Plain.to(chosen.listened.client)
            log.gate.clear()
            plain.ask(put(0, "first", b"1"))
            await until(lambda: log.syncs == 1)
            for number in range(1, 200):
                plain.ask(put(number, f"k{number}", b"1"))
                await asyncio.sleep(0)
            plain.ask(get(1000, "first"))
            assert (await plain.replies(1))[0].number == 1000
            log.gate.set()
            assert {one.number for one in await plain.replies(200)} == set(range(200))
            assert log.syncs == 2
            assert len(log.threads) == 1
            plain.close()

    run(work())


def test_a_disk_that_fails_is_tried_again_each_second(chosen, monkeypatch):
    monkeypatch.setattr(disk_module, "AGAIN_MS", 50.0)
    logs: list[GuardedLog] = []

    async def work() -> None:
        async with served(chosen, open_store=guarded(logs)) as one:
            log = logs[0]
            plain = await Plain.to(chosen.listened.client)
            log.fail = True
            began = time.monotonic()
            plain.ask(put(1, "a", b"1"))
            await until(lambda: one.engine.names().count("sync_failed") >= 3)
            assert time.monotonic() - began > 0.09, "not at once again and again"
            told = [event for event in one.engine.told if event[0] != "wake"]
            assert told[-1] == ("sync_failed", "the disk is full, says the test.")
            assert one.running.status()["log"]["failing"] == "the disk is full, says the test."
            plain.ask(get(2, "a"))
            assert (await plain.replies(1))[0].number == 2, "reads go on"
            log.fail = False
            assert (await plain.replies(1))[0].number == 1
            assert one.running.status()["log"]["failing"] == ""
            before = log.syncs
            await asyncio.sleep(0.15)
            assert log.syncs <= before + 1, "nobody syncs for nothing"
            plain.close()

    run(work())


def test_of_a_disk_that_fails_no_more_is_kept_than_a_limit(chosen, monkeypatch):
    """What was given back is told by a snapshot, and syncs go on after it."""
    monkeypatch.setattr(disk_module, "AGAIN_MS", 20.0)
    monkeypatch.setattr(disk_module, "HELD_BYTES", 100_000)
    monkeypatch.setattr("lab.syncstore.node.snapshots.WANTED_BYTES", 50_000)
    monkeypatch.setattr("lab.syncstore.node.snapshots.AGAIN_S", 0.05)
    monkeypatch.setattr("lab.syncstore.node.snapshots.CHECK_S", 0.02)
    logs: list[GuardedLog] = []

    async def work() -> None:
        async with served(chosen, open_store=guarded(logs)):
            log = logs[0]
            plain = await Plain.to(chosen.listened.client)
            log.fail = True
            plain.ask(*[put(number, f"k{number}", b"v" * 4_000) for number in range(50)])
            await until(lambda: log.pending_bytes == 0 and log.appended > 200_000)
            log.fail = False
            assert len(await plain.replies(50)) == 50
            plain.close()

    async def again() -> None:
        async with served(chosen) as one:
            assert len(one.engine.values) == 50

    run(work())
    run(again())


def test_a_snapshot_is_taken_when_the_log_is_long_and_requests_go_on(chosen, monkeypatch):
    monkeypatch.setattr("lab.syncstore.node.snapshots.WANTED_BYTES", 200_000)
    monkeypatch.setattr("lab.syncstore.node.snapshots.CHECK_S", 0.05)

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.client)
            for number in range(60):
                plain.ask(put(number, f"k{number}", b"v" * 5_000))
                assert len(await plain.replies(1)) == 1
            await until(lambda: one.node.snapshots.taken)
            plain.ask(put(99, "late", b"1"))
            await plain.replies(1)
            assert one.running.status()["log"]["bytes_since_snapshot"] < 150_000
            plain.close()

    async def again() -> None:
        async with served(chosen) as one:
            assert len(one.engine.values) == 61

    run(work())
    assert list((chosen.data).glob("snapshot-*"))
    run(again())


def test_the_engine_is_woken_when_it_wants_and_never_before(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            engine = one.engine
            for wait_ms in (0, 30, 5, 1):
                engine.told.clear()
                engine.next_wake_ms = time.monotonic() * 1000 + wait_ms
                one.node.soon()
                await until(lambda: engine.told)
                name, wanted_ms, woken_ms = engine.told[0]
                assert name == "wake"
                assert wanted_ms <= woken_ms
            engine.told.clear()
            engine.next_wake_ms = time.monotonic() * 1000 + 60_000
            one.node.soon()
            await asyncio.sleep(0.05)
            assert not engine.told

    run(work())


def test_a_wish_that_moves_to_an_earlier_moment_comes_true_then(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            one.engine.next_wake_ms = time.monotonic() * 1000 + 60_000
            one.node.soon()
            await asyncio.sleep(0.01)
            one.engine.next_wake_ms = time.monotonic() * 1000 + 10
            one.node.soon()
            await until(lambda: "wake" in one.engine.names(), 5)

    run(work())


def test_work_for_others_never_holds_up_a_client(chosen):
    """There is always more to do; a request is looked at after a slice of it."""

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.client)
            one.engine.busy = 10_000_000
            one.node.soon()
            await until(lambda: one.engine.slices > 1000)
            for number in range(20):
                before = one.engine.slices
                plain.ask(get(number, "a"))
                await plain.replies(1)
                assert one.engine.slices > before, "and the work goes on meanwhile"
            assert one.engine.busy > 0
            one.engine.busy = 0
            plain.close()

    run(work())


def test_all_of_one_turn_goes_out_as_one_write(chosen):
    """However many frames: the reader gets them together."""

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.write(b"first")
            await until(lambda: one.engine.bodies)
            link = next(iter(one.node.connections._links.values()))
            writes: list[int] = []
            transport = link._transport

            class Counting:
                def __getattr__(self, name: str):
                    return getattr(transport, name)

                def write(self, content: bytes) -> None:
                    writes.append(len(content))
                    transport.write(content)

            link._transport = Counting()
            for number in range(100):
                one.engine.outlet.send(link.number, b"%04d" % number)
            one.node.soon()
            content = await plain.reader.readexactly(800)
            assert content[4:8] == b"0000"
            assert content[-4:] == b"0099"
            assert writes == [800]
            plain.close()

    run(work())


def test_a_bug_costs_the_connection_it_came_by(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            neighbour, plain = [await Plain.to(chosen.listened.client) for _ in range(2)]
            plain.write(b"bug")
            await plain.ended()
            neighbour.ask(get(1, "a"))
            await neighbour.replies(1)
            assert one.node.bugs == 1
            await until(lambda: "a bug: KeyError" in one.lines)
            assert "nodes.py:" in one.lines
            neighbour.close()

    run(work())


def test_bugs_of_flush_and_work_do_not_stop_the_node(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.client)
            engine = one.engine
            flush, slice_ = engine.flush, engine.work
            engine.flush = engine.work = lambda now: 1 / 0  # type: ignore[method-assign, assignment]
            one.node.soon()
            await until(lambda: one.node.bugs >= 2)
            engine.flush, engine.work = flush, slice_  # type: ignore[method-assign]
            plain.ask(put(1, "a", b"1"))
            await plain.replies(1)
            plain.close()

    run(work())


def test_two_nodes_dial_each_other_and_hear_of_an_end(tmp_path):
    first, second = free_addresses(), free_addresses()
    regions = {"sg": {"sg-1": first}, "eu": {"eu-1": second, "eu-9": free_addresses()}}
    sg = settings(tmp_path / "sg", regions=regions, dial={"eu-9": Address("l" * 70 + ".example", 1)})
    eu = settings(tmp_path / "eu", regions=regions, region="eu", node="eu-1")

    async def work() -> None:
        async with served(sg) as one:
            one.engine.outlet.dial("eu-1", "wan")
            await until(lambda: ("dial_failed", "eu-1", "wan") in one.engine.told)
            await until(lambda: f"eu-1 can't be reached at {second.wan}: Connection refused" in one.lines)
            async with served(eu) as other:
                one.engine.outlet.dial("eu-1", "wan")
                await until(lambda: other.engine.names().count("opened") == 1)
                opened = next(told for told in one.engine.told if told[0] == "opened")
                assert opened[2:4] == ("wan", "eu-1")
                assert other.engine.told[1][2:4] == ("wan", "")
                await until(lambda: "eu-1 is reached" in one.lines)
                one.engine.outlet.send(opened[1], b"hello")
                one.node.soon()
                await until(lambda: other.engine.bodies == [("wan", b"hello")])
            await until(lambda: ("closed", opened[1]) in one.engine.told)
            for node in ("nobody", "eu-9"):
                one.engine.outlet.dial(node, "wan")
                await until(lambda node=node: ("dial_failed", node, "wan") in one.engine.told)

    run(work())


def test_a_call_that_breaks_when_it_stood_already_is_told_once(tmp_path, monkeypatch):
    from lab.syncstore.node.dial import Dialer

    original = Dialer.call

    async def call(self, *given):
        await original(self, *given)
        raise TimeoutError

    monkeypatch.setattr(Dialer, "call", call)
    regions = {"sg": {"sg-1": free_addresses(), "sg-2": free_addresses()}}

    async def work() -> None:
        two = settings(tmp_path / "2", regions=regions, node="sg-2")
        async with served(settings(tmp_path, regions=regions)) as one:
            async with served(two) as other:
                one.engine.outlet.dial("sg-2", "peer")
                await until(lambda: "opened" in other.engine.names())
                await until(lambda: "opened" in one.engine.names())
            await until(lambda: "closed" in one.engine.names())
            assert "dial_failed" not in one.engine.names()

    run(work())


def test_a_call_that_nobody_takes_ends_in_time(tmp_path):
    """A socket that listens and whose backlog is full: the handshake of TCP never ends."""
    import socket

    from lab.syncstore.config import Limits

    deaf = socket.socket()
    deaf.bind((HOST, 0))
    deaf.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(deaf.getsockname())
    regions = {"sg": {"sg-1": free_addresses()}, "eu": {"eu-1": free_addresses()}}
    chosen = settings(
        tmp_path,
        regions=regions,
        dial={"eu-1": Address(*deaf.getsockname())},
        limits=Limits(dial_timeout_ms=200),
    )

    async def work() -> None:
        async with served(chosen) as one:
            one.engine.outlet.dial("eu-1", "wan")
            await until(lambda: ("dial_failed", "eu-1", "wan") in one.engine.told, 5)
            assert "opened" not in one.engine.names()

    run(work())
    for one in (deaf, *fillers):
        one.close()


def test_a_name_server_that_never_answers_holds_up_nobody_else(tmp_path, monkeypatch):
    """Calls to another region wait for their own lookups only."""
    from lab.syncstore.config import Limits
    from lab.syncstore.node import dial

    stuck = threading.Event()
    real = dial._look_up

    def look_up(address: Address) -> str:
        if address.host == "far.invalid":
            stuck.wait(20)
        return real(address)

    monkeypatch.setattr(dial, "_look_up", look_up)
    port, peer = free_ports(1)[0], free_addresses()
    regions = {"sg": {"sg-1": free_addresses(), "sg-2": peer}, "eu": {f"eu-{n}": free_addresses() for n in range(5)}}
    far = {f"eu-{n}": Address("far.invalid", port) for n in range(5)}
    chosen = settings(
        tmp_path,
        regions=regions,
        dial={**far, "sg-2": Address("localhost", peer.peer.port)},
        limits=Limits(dial_timeout_ms=400),
    )

    async def work() -> None:
        async with served(chosen) as one, served(settings(tmp_path / "2", regions=regions, node="sg-2")) as other:
            for node in far:
                one.engine.outlet.dial(node, "wan")
            await asyncio.sleep(0.05)
            one.engine.outlet.dial("sg-2", "peer")
            await until(lambda: "opened" in other.engine.names(), 0.35)
            await until(lambda: one.engine.names().count("dial_failed") == 5)

    try:
        run(work())
    finally:
        stuck.set()


def test_a_wrong_clock_is_wrong_by_what_was_asked_for(tmp_path):
    async def work() -> None:
        async with served(settings(tmp_path, clock_offset_ms=86_400_000)) as one:
            plain = await Plain.to(one.settings.listened.client)
            plain.ask(get(1, "a"))
            await plain.replies(1)
            moment = one.engine.moments[0]
            assert abs(moment.wall_ms - time.time() * 1000 - 86_400_000) < 5_000
            assert abs(moment.mono_ms - time.monotonic() * 1000) < 5_000
            plain.close()

    run(work())


def test_a_stop_answers_what_was_asked_and_says_goodbye(chosen):
    logs: list[GuardedLog] = []

    async def work() -> None:
        one = Served(chosen, open_store=guarded(logs))
        await one.running.start()
        asker, idle = [await Plain.to(chosen.listened.client) for _ in range(2)]
        await until(lambda: one.engine.names().count("opened") == 2)
        logs[0].gate.clear()
        asker.ask(put(1, "a", b"1"))
        await until(lambda: logs[0].syncs)
        stopping = asyncio.create_task(one.running.stop())
        await asyncio.sleep(0.02)
        with pytest.raises(OSError):
            await Plain.to(chosen.listened.client)
        logs[0].gate.set()
        assert [reply.number for reply in await asker.replies(1)] == [1]
        for plain in (asker, idle):
            goodbye = await plain.read()
            assert isinstance(goodbye, wire.Goodbye)
            assert await plain.ended() == b""
        await stopping
        one.say.close()

    run(work())


def test_a_stop_does_not_wait_for_who_never_reads(chosen, monkeypatch):
    monkeypatch.setattr("lab.syncstore.node.node.GOODBYE_S", 0.2)

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.writer.transport.pause_reading()
            plain.write(b"first")
            await until(lambda: one.engine.bodies)
            for _ in range(10):
                one.engine.outlet.send(one.engine.told[1][1], b"x" * 1_000_000)
            one.node.soon()
            await asyncio.sleep(0.05)
            began = time.monotonic()
            await one.node.stop()
            assert time.monotonic() - began < 3
            plain.close()

    run(work())


def test_two_nodes_on_one_disk_or_port_are_refused(chosen):
    from lab.syncstore.errors import Refused

    async def work() -> None:
        async with served(chosen) as one:
            before = one.settings
            with pytest.raises(Refused, match="another process listens there"):
                async with served(before):
                    pass
            elsewhere = settings(before.data.parent)
            with pytest.raises(Storage, match="has this directory open"):
                async with served(elsewhere):
                    pass

    run(work())


def test_recovery_is_in_a_thread_so_that_it_can_be_watched(chosen, monkeypatch):
    began, may_end = threading.Event(), threading.Event()

    async def work() -> None:
        one = Served(chosen)
        original = Node.recover

        async def recover(node, engine, store):
            def slow(config, outlet, disk):
                made = engine(config, outlet, disk)
                start = made.start
                made.start = lambda *given: (began.set(), may_end.wait(10), start(*given))
                return made

            await original(node, slow, store)

        monkeypatch.setattr(Node, "recover", recover)
        starting = asyncio.create_task(one.running.start())
        await until(began.is_set)
        assert one.running.not_ready() == "it is recovering"
        assert one.running.status()["phase"] == "recovering"
        http = await Plain.to(chosen.listened.http)
        http.writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b"200 OK" in await http.ended()
        may_end.set()
        await starting
        assert one.running.not_ready() == ""
        await one.running.stop()
        one.say.close()

    run(work())


def test_lines_are_few_and_plain():
    import io

    stream = io.StringIO()
    say = Say("sg-1", stream)
    for number in range(100):
        say.warn(f"refused {number}", "refused")
    say.info("tricky \x1b[31m\nsecond line " + "x" * 10_000)
    say.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0].endswith(" warn  sg-1: refused 0")
    assert "\x1b" not in lines[-1]
    assert len(lines[-1]) < 700


def test_a_terminal_that_takes_nothing_stops_nobody():
    class Stuck:
        def write(self, text: str) -> None:
            time.sleep(60)

        def flush(self) -> None:
            pass

    say = Say("sg-1", Stuck())  # type: ignore[arg-type]
    began = time.monotonic()
    for number in range(5_000):
        say.info("words", f"kind {number}")
    assert time.monotonic() - began < 2
    assert say._lines.qsize() <= 1_001
