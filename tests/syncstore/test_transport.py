"""Frames over real sockets: whole, halved, garbage, too long; readers that don't read; strangers that don't speak."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from lab.syncstore import wire
from lab.syncstore.node import foreign, transport
from lab.syncstore.node.transport import GONE, SILENT, SLOW, TOO_LONG, Link
from tests.syncstore.nodes import Plain, get, put, run, served, settings, until


@pytest.fixture
def chosen(tmp_path: Path):
    return settings(tmp_path)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def test_frames_come_whole_however_the_bytes_are_cut(chosen):
    """From one byte at a time to several frames at once, and frames longer than the buffer."""
    chance = random.Random(1)
    bodies = [b"f" + os.urandom(chance.choice((0, 1, 3, 100, 5_000, 20_000, 300_000))) for _ in range(40)]
    content = b"".join(frame(body) for body in bodies)

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            for byte in content[:50]:
                plain.writer.write(bytes((byte,)))
                await plain.writer.drain()
                await asyncio.sleep(0)
            at = 50
            while at < len(content):
                size = chance.choice((1, 7, 1_000, 70_000, 400_000))
                plain.writer.write(content[at : at + size])
                await plain.writer.drain()
                at += size
            await until(lambda: len(one.engine.bodies) == len(bodies))
            assert [body for _, body in one.engine.bodies] == bodies
            plain.close()

    run(work())


def test_the_longest_frame_comes_in_and_goes_out(chosen):
    longest = b"f" * wire.FRAME_BYTES

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.write(longest)
            await until(lambda: one.engine.bodies)
            assert one.engine.bodies == [("peer", longest)]
            one.engine.outlet.send(one.engine.told[1][1], longest)
            one.node.soon()
            assert await plain.reader.readexactly(4 + len(longest)) == frame(longest)
            with pytest.raises(ValueError, match="above 1048576"):
                one.engine.outlet.send(one.engine.told[1][1], longest + b"f")
            plain.close()

    run(work())


@pytest.mark.parametrize("purpose", ["peer", "wan", "client"])
@pytest.mark.parametrize(
    "content",
    [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, (wire.FRAME_BYTES + 1).to_bytes(4, "big"), b"\x16\x03\x01" + b"x" * 600],
    ids=["http", "ones", "one byte too long", "tls"],
)
def test_garbage_costs_its_own_connection_only(chosen, purpose, content):
    async def work() -> None:
        async with served(chosen) as one:
            address = getattr(chosen.listened, purpose)
            neighbour = await Plain.to(chosen.listened.client)
            plain = await Plain.to(address)
            plain.writer.write(content)
            await plain.ended()
            assert one.counts()[f"closed: {TOO_LONG}"] == 1
            neighbour.ask(put(1, "a", b"1"), get(2, "a"))
            assert {reply.number for reply in await neighbour.replies(2)} == {1, 2}
            assert not one.engine.bodies
            neighbour.close()

    run(work())


def test_a_length_alone_makes_no_buffer_grow():
    """A stranger who announces a MiB and sends a byte is given 16 KiB."""

    async def work() -> None:
        left, right = socket.socketpair()
        link, _ = linked()
        await asyncio.get_running_loop().create_connection(lambda: link, sock=left)
        right.send(wire.FRAME_BYTES.to_bytes(4, "big") + b"x")
        await until(lambda: link.received_bytes)
        assert len(link._buffer) == transport.START_BYTES
        right.setblocking(True)
        await asyncio.to_thread(right.sendall, b"x" * 200_000)
        await until(lambda: link.received_bytes == 200_005)
        assert 200_005 <= len(link._buffer) <= 2 * 200_005
        await asyncio.to_thread(right.sendall, b"x" * (wire.FRAME_BYTES - 200_001) + frame(b"y"))
        await until(lambda: link.received_bytes == wire.FRAME_BYTES + 9)
        assert len(link._buffer) == transport.READ_BYTES, "and given back"
        right.close()

    run(work())


class Stub:
    """An owner that keeps what it is told."""

    def __init__(self) -> None:
        self.waiting: list[Link] = []
        self.unsent_limit = 1024 * 1024
        self.told: list[object] = []

    def link_opened(self, link: Link) -> None:
        self.told.append("opened")

    def link_received(self, link: Link, body: bytes) -> None:
        link.greeted()
        self.told.append(body[:10])

    def link_turn(self, link: Link) -> None:
        pass

    def link_writable(self, link: Link) -> None:
        self.told.append("writable")

    def link_closed(self, link: Link, reason: str) -> None:
        self.told.append(("closed", reason))


def linked() -> tuple[Link, Stub]:
    stub = Stub()
    return Link(1, "peer", "", stub), stub


def test_nothing_after_the_end_is_handed_over():
    """Frames that were read together with the one that ended the connection are dropped."""

    async def work() -> None:
        left, right = socket.socketpair()
        link, stub = linked()
        stub.link_received = lambda link, body: (stub.told.append(body), link.end("enough"))  # type: ignore
        await asyncio.get_running_loop().create_connection(lambda: link, sock=left)
        right.sendall(frame(b"one") + frame(b"two"))
        await until(lambda: len(stub.told) == 3)
        assert stub.told == ["opened", b"one", ("closed", "enough")]
        right.close()

    run(work())


def test_what_was_sent_before_the_end_still_goes():
    async def work() -> None:
        left, right = socket.socketpair()
        link, stub = linked()
        await asyncio.get_running_loop().create_connection(lambda: link, sock=left)
        link.send(b"x" * 900_000)
        link.send(b"bye")
        link.end("enough")
        link.send(b"never")
        reader, writer = await asyncio.open_connection(sock=right, limit=2**21)
        assert await reader.read() == frame(b"x" * 900_000) + frame(b"bye")
        writer.close()
        await until(lambda: ("closed", "enough") in stub.told)

    run(work())


def test_a_stranger_who_says_nothing_is_closed(chosen, monkeypatch):
    monkeypatch.setattr(transport, "FIRST_FRAME_S", 0.1)

    async def work() -> None:
        async with served(chosen) as one:
            silent, halved, greeted = [await Plain.to(chosen.listened.client) for _ in range(3)]
            halved.writer.write(b"\0\0")
            greeted.ask(get(1, "a"))
            await greeted.replies(1)
            assert await silent.ended() == b""
            assert await halved.ended() == b""
            assert one.counts()[f"closed: {SILENT}"] == 2
            greeted.ask(get(2, "a"))
            assert (await greeted.replies(1))[0].number == 2
            greeted.close()

    run(work())


def test_a_peer_that_reads_nothing_is_given_up_at_the_limit(chosen, monkeypatch):
    monkeypatch.setattr(transport, "UNSENT_BYTES", 8_000_000)

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.writer.transport.pause_reading()
            plain.write(b"first")
            await until(lambda: one.engine.bodies)
            link = one.engine.told[1][1]
            unsent = []
            for _ in range(100):
                one.engine.outlet.send(link, b"x" * 500_000)
                unsent.append(one.engine.outlet.unsent(link))
                one.node.soon()
                await asyncio.sleep(0.001)
                if "closed" in one.engine.names():
                    break
            assert one.counts()[f"closed: {SLOW}"] == 1
            assert 1_000_000 < max(unsent) <= 8_500_000, "it was told how much was unsent"
            plain.close()

    run(work())


def test_nor_may_a_single_turn_send_it_more_than_that(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.write(b"first")
            await until(lambda: one.engine.bodies)
            link = one.engine.told[1][1]
            for _ in range(20):
                one.engine.outlet.send(link, b"x" * 1_000_000)
            await until(lambda: ("closed", link) in one.engine.told)
            assert one.counts()[f"closed: {SLOW}"] == 1
            plain.close()

    run(work())


@pytest.mark.parametrize("kilobytes", [300, 15_000])
def test_whoever_saw_too_much_unsent_is_told_when_it_has_gone(tmp_path, kilobytes):
    """Whether the socket takes it all at once or leaves some for later."""

    async def work() -> None:
        from lab.syncstore.config import Limits

        async with served(settings(tmp_path, limits=Limits(unsent_bytes=200_000))) as one:
            plain = await Plain.to(one.settings.listened.peer)
            plain.write(b"first")
            await until(lambda: one.engine.bodies)
            link = one.engine.told[1][1]
            for _ in range(kilobytes // 100):
                one.engine.outlet.send(link, b"x" * 100_000)
            assert one.engine.outlet.unsent(link) > 200_000
            one.node.soon()
            await plain.reader.readexactly(kilobytes // 100 * 100_004)
            await until(lambda: ("writable", link) in one.engine.told)
            assert one.engine.outlet.unsent(link) == 0
            plain.close()

    run(work())


def test_closing_waits_for_a_reader_only_so_long(chosen, monkeypatch):
    monkeypatch.setattr(transport, "CLOSING_S", 0.2)

    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.writer.transport.pause_reading()
            plain.write(b"first")
            await until(lambda: one.engine.bodies)
            link = one.engine.told[1][1]
            for _ in range(12):
                one.engine.outlet.send(link, b"x" * 1_000_000)
            plain.write(b"go")
            await until(lambda: ("closed", link) in one.engine.told, 5)
            one.engine.outlet.send(link, b"to one that is gone")
            assert one.engine.outlet.unsent(link) == 0
            plain.close()

    run(work())


def test_more_connections_than_allowed_are_closed_at_once(chosen, monkeypatch):
    monkeypatch.setattr("lab.syncstore.node.running.LIMITS", {"peer": 2, "wan": 2, "client": 2})

    async def work() -> None:
        async with served(chosen) as one:
            address = chosen.listened.client
            kept = [await Plain.to(address) for _ in range(2)]
            await until(lambda: one.engine.names().count("opened") == 2)
            refused = await Plain.to(address)
            assert await refused.ended() == b""
            assert one.counts()["too_many"] == 1
            peer = await Plain.to(chosen.listened.peer)
            await until(lambda: one.engine.names().count("opened") == 3)
            kept[0].close()
            await until(lambda: "closed" in one.engine.names())
            late = await Plain.to(address)
            late.ask(get(1, "a"))
            assert len(await late.replies(1)) == 1
            for plain in (kept[1], peer, late):
                plain.close()

    run(work())


def test_running_out_of_descriptors_is_survived(chosen):
    """Whoever waits meanwhile is let in afterwards."""

    async def work() -> None:
        async with served(chosen) as one:
            waiting = socket.socket()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
            hoard = []
            try:
                with suppress(OSError):
                    while True:
                        hoard.append(os.open(os.devnull, os.O_RDONLY))
                waiting.connect(chosen.listened.client)
                await until(lambda: one.counts().get("not_accepted"))
            finally:
                for descriptor in hoard:
                    os.close(descriptor)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            plain = Plain(*await asyncio.open_connection(sock=waiting))
            plain.ask(get(1, "a"))
            assert len(await plain.replies(1)) == 1
            plain.close()

    run(work())


def test_a_flood_from_another_region_waits_for_its_slice(chosen, monkeypatch):
    """Clients are answered meanwhile, the flood's socket is not read on, and all of it comes in order in the end."""
    frames = 800

    async def work() -> None:
        async with served(chosen) as one:
            taken = one.engine.received

            def slow(now, link, body):
                taken(now, link, body)
                if one.engine.purposes[link] == "wan":
                    until_s = asyncio.get_running_loop().time() + 0.0005
                    while asyncio.get_running_loop().time() < until_s:
                        pass

            one.engine.received = slow  # type: ignore[method-assign]
            flood, client = await Plain.to(chosen.listened.wan), await Plain.to(chosen.listened.client)
            for number in range(frames):
                flood.write(b"f%06d" % number + b"x" * 4_000)
            most = 0
            for number in range(20):
                client.ask(get(number, "a"))
                await client.replies(1)
                most = max(most, one.node.connections.foreign.waiting_bytes)
            assert len(one.engine.bodies) < frames, "a client waited for the whole flood"
            assert most <= foreign.PAUSED_ABOVE_BYTES + transport.READ_BYTES * 2
            await until(lambda: len(one.engine.bodies) == frames)
            assert [body[1:7] for _, body in one.engine.bodies] == [b"%06d" % number for number in range(frames)]
            flood.close()
            client.close()

    run(work())


def test_an_end_in_the_middle_of_a_frame_is_an_end(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            plain = await Plain.to(chosen.listened.peer)
            plain.writer.write(frame(b"whole") + frame(b"x" * 100)[:50])
            plain.writer.write_eof()
            await until(lambda: "closed" in one.engine.names())
            assert [body for _, body in one.engine.bodies] == [b"whole"]
            assert one.counts()[f"closed: {GONE}"] == 1

    run(work())
