"""The client against pretended nodes on real sockets: answers, delays, breaks, silence, garbage, half frames."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from lab.syncstore import wire
from lab.syncstore.client import (
    Bucket,
    Client,
    Denied,
    Event,
    Refused,
    Storage,
    Timeout,
    TooLarge,
    Unavailable,
    WrongKind,
    WrongRevision,
    connect,
)
from lab.syncstore.session import IN_FLIGHT_MAX
from lab.syncstore.wire import Changes, Reply, Request
from tests.syncstore.fake_node import FakeNode, Visitor, World, revision

Story = Callable[[], Awaitable[None]]


def play(story: Story, uv: bool = True, limit_s: float = 20) -> None:
    unheard: list[dict[str, object]] = []

    async def limited() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
        async with asyncio.timeout(limit_s):
            await story()
        gc.collect()

    if uv:
        uvloop.run(limited())
    else:
        asyncio.run(limited())
    assert not unheard


@asynccontextmanager
async def nodes(count: int = 1) -> AsyncIterator[list[FakeNode]]:
    """Nodes of one region that share what is written."""
    world = World()
    made = [FakeNode(world, f"sg-{number + 1}") for number in range(count)]
    for one in made:
        await one.start()
    try:
        yield made
    finally:
        for one in made:
            one.stop()


def to(made: list[FakeNode], **options: object) -> Client:
    return connect([one.url for one in made], **{"shuffle": False, "timeout": 3.0, **options})  # type: ignore[arg-type]


async def all_connected(made: list[FakeNode]) -> None:
    while not all(one.visitors and all(visitor.hello for visitor in one.visitors) for one in made):
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)  # and their greetings have come


# -- what it is for --------------------------------------------------------------------------------


@pytest.mark.parametrize("uv", [True, False])
def test_every_operation(uv: bool) -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            written = await rooms.put("sg/1", b"open")
            entry = await rooms.get("sg/1")
            assert (entry.value, entry.revision, entry.degraded) == (b"open", written.revision, False)
            assert entry
            await rooms.delete("sg/1")
            assert not await rooms.get("sg/1")
            assert (await rooms.get("nothing")).value is None
            locks = client.bucket("locks", kind="register", scope="region")
            held = await locks.create("a", b"1")
            held = await locks.update("a", b"2", held.revision)
            assert (await locks.get("a")).revision == held.revision
            assert node.requests[-1].bucket == "region/register/locks"
            assert (await client.status())["node"] == "sg-1"
            await client.drain("sg")
            assert client.region == "sg"
            assert (client.operations, client.retries) == (10, 0)

    play(story, uv)


def test_errors_as_they_come_from_a_node() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            locks = client.bucket("locks", kind="register")
            held = await locks.create("a", b"1")
            with pytest.raises(WrongRevision) as found:
                await locks.create("a", b"2")
            assert found.value.revision == held.revision
            with pytest.raises(WrongKind):
                await client.bucket("rooms").create("a", b"2")
            for name, kind in [("Denied", Denied), ("Storage", Storage), ("TooLarge", TooLarge)]:
                node.manner = lambda visitor, request, name=name: Reply(request.number, name, "a sentence")
                with pytest.raises(kind, match="a sentence"):
                    await locks.put("b", b"1")

    play(story)


def test_keys_come_a_page_at_a_time() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            await asyncio.gather(*(rooms.put(f"k{number:02}", b"v") for number in range(25)), rooms.put("x", b"v"))
            assert await rooms.keys("k") == [f"k{number:02}" for number in range(25)]
            assert len(node.asked("keys")) == 3
            assert len(await rooms.keys()) == 26

    play(story)


def test_a_ttl_becomes_an_expiry() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            before = time.time() * 1000
            await client.bucket("rooms").put("a", b"1", ttl=30)
            assert before + 29_999 <= node.requests[-1].expires <= time.time() * 1000 + 30_000
            await client.bucket("rooms").put("a", b"1")
            assert node.requests[-1].expires == 0

    play(story)


BAD = [
    (lambda rooms: rooms.put("", b"v"), ValueError),
    (lambda rooms: rooms.put(b"k", b"v"), TypeError),
    (lambda rooms: rooms.put("k", "v"), TypeError),
    (lambda rooms: rooms.put("k", None), TypeError),
    (lambda rooms: rooms.get("\ud800"), ValueError),
    (lambda rooms: rooms.put("k", b"v", ttl=0), ValueError),
    (lambda rooms: rooms.put("k", b"v", ttl=float("nan")), ValueError),
    (lambda rooms: rooms.put("k", b"v", ttl=1e15), ValueError),
    (lambda rooms: rooms.update("k", b"v", "no revision"), ValueError),
    (lambda rooms: rooms.update("k", b"v", None), ValueError),
    (lambda rooms: rooms.get("k", timeout=0), ValueError),
    (lambda rooms: rooms.get("k", timeout=float("inf")), ValueError),
    (lambda rooms: rooms.put("k" * 513, b"v"), TooLarge),
    (lambda rooms: rooms.put("ü" * 257, b"v"), TooLarge),
    (lambda rooms: rooms.put("k", b"v" * (256 * 1024 + 1)), TooLarge),
]


@pytest.mark.parametrize(("call", "error"), BAD)
def test_what_is_no_key_value_or_time_never_leaves(call: Callable[[Bucket], Awaitable[object]], error: type) -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            with pytest.raises(error):
                await call(client.bucket("rooms"))
            assert not node.requests
            await client.bucket("rooms").put("k" * 512, b"v" * 256 * 1024)

    play(story)


@pytest.mark.parametrize("url", ["", "127.0.0.1", "http://127.0.0.1:1", "syncstore://a:b", "syncstore://a:1/path", []])
def test_what_is_no_node_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(Refused, match="expected"):
        connect(url)


def test_a_bucket_of_no_kind_is_refused_and_a_client_is_opened_first() -> None:
    async def story() -> None:
        client = connect("syncstore://127.0.0.1:1")
        with pytest.raises(Refused, match="not open"):
            client.bucket("rooms")
        async with nodes() as [node], to([node]) as client:
            with pytest.raises(Refused, match="expected a bucket"):
                client.bucket("rooms", kind="list")

    play(story)


# -- many at once ----------------------------------------------------------------------------------


def test_calls_made_together_leave_together() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            frames: list[int] = []
            usual = node.manner

            def counting(visitor: Visitor, request: Request) -> Reply | None:
                frames.append(request.number)
                return usual(visitor, request)

            node.manner = counting
            rooms = client.bucket("rooms")
            done = await asyncio.gather(*(rooms.put(f"k{number}", b"v" * 100) for number in range(500)))
            assert len({one.revision for one in done}) == 500
            assert frames == sorted(frames)

    play(story)


def test_more_than_a_frame_holds_goes_in_several() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], timeout=10) as client:
            rooms = client.bucket("rooms")
            await asyncio.gather(*(rooms.put(f"k{number}", b"v" * 200_000) for number in range(20)))
            entries = await asyncio.gather(*(rooms.get(f"k{number}") for number in range(4)))
            assert all(len(entry.value or b"") == 200_000 for entry in entries)
            assert len(node.asked("put")) == 20

    play(story)


def test_too_many_in_flight_are_unavailable_at_once() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            node.manner = lambda visitor, request: None
            rooms = client.bucket("rooms")
            calls = [rooms.put("k", b"v", timeout=0.5) for _ in range(IN_FLIGHT_MAX + 5)]
            with pytest.raises(Unavailable, match="in flight already"):
                await calls[-1]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(end, Timeout) for end in ends) == IN_FLIGHT_MAX
            assert len(node.asked("put")) == IN_FLIGHT_MAX

    play(story)


def test_a_cancelled_call_leaves_the_others_alone() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            first = rooms.put("a", b"1")
            second = rooms.put("b", b"2")
            first.cancel()
            await second
            await rooms.put("c", b"3")

    play(story)


def test_half_frames_and_single_bytes_are_put_together() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:

            def dribble(visitor: Visitor, request: Request) -> None:
                content = wire.framed(wire.encode(wire.Replies([Reply(request.number, revision="r")])))
                for number in range(len(content)):
                    asyncio.get_running_loop().call_later(number * 0.001, visitor.write, content[number : number + 1])

            node.manner = dribble
            assert (await client.bucket("rooms").put("a", b"1")).revision == "r"

    play(story)


# -- nodes that go ---------------------------------------------------------------------------------


def test_a_node_that_breaks_is_left_for_another() -> None:
    async def story() -> None:
        async with nodes(3) as made, to(made) as client:
            await all_connected(made)
            rooms = client.bucket("rooms")
            await rooms.put("a", b"1")
            made[0].manner = lambda visitor, request: visitor.transport.abort()
            made[0]._server.close()
            began = time.monotonic()
            await asyncio.gather(rooms.put("a", b"2"), rooms.put("b", b"2"))
            assert time.monotonic() - began < 0.5
            assert (await rooms.get("a")).value == b"2"
            assert client.retries == 2
            assert made[1].asked("get")[0].seen is not None

    play(story)


def test_what_was_seen_is_told_to_the_next_node() -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made) as client:
            await all_connected(made)
            rooms = client.bucket("rooms")
            written = await rooms.put("a", b"1")
            made[0].stop()
            while made[0].visitors:
                await asyncio.sleep(0.01)
            await rooms.get("a")
            seen = made[1].asked("get")[0].seen
            assert seen is not None
            assert revision(seen) == written.revision

    play(story)


def test_without_retries_a_broken_connection_is_a_timeout_and_none_is_unavailable() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], retry=False) as client:
            rooms = client.bucket("rooms")
            node.manner = lambda visitor, request: visitor.transport.abort()
            with pytest.raises(Timeout, match="may have happened"):
                await rooms.put("a", b"1")
            node.stop()
            await asyncio.sleep(0.05)
            began = time.monotonic()
            with pytest.raises(Unavailable, match="nothing was sent"):
                await rooms.put("a", b"1", timeout=5)
            assert time.monotonic() - began < 1
            assert len(node.asked("put")) == 1

    play(story)


def test_a_call_made_while_no_node_is_there_waits_for_one() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], timeout=10) as client:
            rooms = client.bucket("rooms")
            node.stop()
            while node.visitors:
                await asyncio.sleep(0.01)
            call = rooms.put("a", b"1")
            short = rooms.put("a", b"2", timeout=0.2)
            with pytest.raises(Unavailable, match="no node was connected"):
                await short
            await node.start()
            await call
            assert [request.value for request in node.asked("put")] == [b"1"]

    play(story)


def test_a_node_that_never_answers_is_a_timeout_in_time() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], retry=False) as client:
            node.manner = lambda visitor, request: None
            for timeout in (0.05, 0.3):
                began = time.monotonic()
                with pytest.raises(Timeout):
                    await client.bucket("rooms").put("a", b"1", timeout=timeout)
                assert timeout <= time.monotonic() - began < timeout + 0.3

    play(story)


def test_a_frozen_node_is_left_and_its_connection_ended() -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made, timeout=5) as client:
            await all_connected(made)
            rooms = client.bucket("rooms")
            made[0].paused = True
            began = time.monotonic()
            in_doubt = rooms.put("a", b"1", timeout=1)
            await rooms.get("a")
            assert 0.4 < time.monotonic() - began < 2
            began = time.monotonic()
            for number in range(20):
                await rooms.put("a", str(number).encode())
            assert time.monotonic() - began < 1
            with pytest.raises(Timeout):  # it may still be carried out, so it was not repeated elsewhere
                await in_doubt
            assert len(made[1].asked("put")) == 20
            first = next(iter(made[0].visitors))
            while first in made[0].visitors:
                await asyncio.sleep(0.05)

    play(story)


GARBAGE = {
    "no frame": b"\x00\x00\x00\x04\xff\xff\xff\xff",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "too long": b"\xff\xff\xff\xff" + b"x" * 100,
    "wrong shape": wire.framed(b"\x92\x21\x01"),
    "empty": b"\x00\x00\x00\x00",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_costs_its_connection_and_nothing_more(garbage: bytes) -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made) as client:
            await all_connected(made)
            made[0].manner = lambda visitor, request: visitor.write(garbage)
            rooms = client.bucket("rooms")
            began = time.monotonic()
            await rooms.get("a")
            assert time.monotonic() - began < 0.4, "found by its silence, not by what it is"
            assert len(made[1].asked("get")) == 1
            assert client.retries == 1

    play(story)


def test_a_put_is_not_repeated_when_it_was_we_who_hung_up() -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made) as client:
            await all_connected(made)
            made[0].manner = lambda visitor, request: visitor.write(GARBAGE["too long"])
            with pytest.raises(Timeout, match="what is no frame"):
                await client.bucket("rooms").put("a", b"1")
            assert not made[1].asked("put")

    play(story)


def test_a_node_that_reads_slowly_gets_everything_in_the_end() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], timeout=10) as client:
            rooms = client.bucket("rooms")
            await rooms.put("a", b"1")
            visitor = next(iter(node.visitors))
            visitor.transport.pause_reading()
            calls = []
            for number in range(100):
                calls.append(rooms.put(f"k{number}", b"v" * 200_000))
                await asyncio.sleep(0)
            visitor.transport.resume_reading()
            await asyncio.gather(*calls)
            assert len(node.asked("put")) == 101

    play(story)


def test_what_the_socket_never_took_is_certainly_not_done() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], timeout=10, retry=False) as client:
            rooms = client.bucket("rooms")
            await rooms.put("a", b"1")
            visitor = next(iter(node.visitors))
            visitor.transport.pause_reading()
            calls = []
            for number in range(100):
                calls.append(rooms.put(f"k{number}", b"v" * 200_000))
                await asyncio.sleep(0)
            visitor.transport.abort()
            ends = await asyncio.gather(*calls, return_exceptions=True)
            kinds = [type(end) for end in ends]
            assert kinds == [Timeout] * kinds.count(Timeout) + [Unavailable] * kinds.count(Unavailable)
            assert kinds.count(Timeout) > 0
            assert kinds.count(Unavailable) > 20

    play(story)


def test_frames_nobody_knows_are_ignored() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:

            def novel(visitor: Visitor, request: Request) -> Reply:
                visitor.write(wire.framed(b"\x92\xcd\x03\xe8\x01"))
                visitor.send(wire.Credit(5))
                visitor.send(wire.Replies([Reply(request.number + 1000)]))
                visitor.send(Changes(77, []))
                return Reply(request.number, revision="r")

            node.manner = novel
            assert (await client.bucket("rooms").put("a", b"1")).revision == "r"
            assert client.retries == 0

    play(story)


def test_a_write_lost_again_and_again_stays_within_the_budget() -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made, timeout=0.4) as client:
            await all_connected(made)
            rooms = client.bucket("rooms")
            for one in made:
                one.manner = lambda visitor, request: Reply(request.number, "Unavailable")
            for _ in range(10):
                ends = await asyncio.gather(
                    *(rooms.put("a", b"1", timeout=0.2) for _ in range(100)), return_exceptions=True
                )
                assert all(isinstance(end, Unavailable) for end in ends)
            sent = sum(len(one.asked("put")) for one in made)
            assert 1000 + 50 < sent <= 1.1 * 1000 + 10

    play(story)


# -- getting in ------------------------------------------------------------------------------------


def test_no_node_at_all_is_unavailable_in_time() -> None:
    async def story() -> None:
        with pytest.raises(Unavailable, match=r"no node could be reached within 0.3 s.*127.0.0.1:1: "):
            await connect("syncstore://127.0.0.1:1", connect_timeout=0.3)

    play(story)


def test_a_host_that_is_no_name_is_unavailable() -> None:
    async def story() -> None:
        with pytest.raises(Unavailable):
            await connect("syncstore://" + "x" * 70 + ".example:1", connect_timeout=0.3)

    play(story)


def test_a_node_that_takes_the_connection_and_says_nothing() -> None:
    async def story() -> None:
        async with nodes(2) as made:
            made[0].greets = False
            async with to(made, connect_timeout=1.0) as client:
                await client.bucket("rooms").put("a", b"1")
                assert not made[0].requests

    play(story)


@pytest.mark.parametrize("garbage", [*GARBAGE.values(), wire.framed(wire.encode(wire.Credit(1)))])
def test_a_node_that_greets_with_garbage_is_not_used(garbage: bytes) -> None:
    async def story() -> None:
        async with nodes(2) as made:
            made[0].greeting = garbage
            async with to(made, connect_timeout=1.0) as client:
                await client.bucket("rooms").put("a", b"1")
            made[1].stop()
            with pytest.raises(Unavailable):
                await to(made[:1], connect_timeout=0.3)

    play(story)


def test_nodes_of_another_region_or_cluster_are_not_used() -> None:
    async def story() -> None:
        async with nodes(2) as made:
            made[1].region = "eu"
            async with to(made, region="eu") as client:
                await client.bucket("rooms").put("a", b"1")
                assert client.region == "eu"
            assert not made[0].requests
            with pytest.raises(Unavailable, match="expected a node of cluster 'other', found one of 'test'"):
                await to(made, cluster="other", connect_timeout=0.3)

    play(story)


def test_when_every_node_denies_the_client_is_told_so_at_once() -> None:
    async def story() -> None:
        async with nodes(2) as made:
            for one in made:
                one.greeting = wire.framed(wire.encode(wire.Goodbye("Denied: expected a certificate of a client")))
            with pytest.raises(Denied, match="certificate"):
                await to(made, connect_timeout=5)

    play(story, limit_s=3)


def test_a_goodbye_is_a_reason() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node], retry=False) as client:

            def leave(visitor: Visitor, request: Request) -> None:
                visitor.send(wire.Goodbye("this node is being stopped"))
                visitor.transport.close()

            node.manner = leave
            with pytest.raises(Timeout, match="this node is being stopped"):
                await client.bucket("rooms").put("a", b"1")

    play(story)


def test_closing_ends_calls_and_watches() -> None:
    async def story() -> None:
        async with nodes() as [node]:
            client = await to([node])
            node.manner = lambda visitor, request: None
            call = client.bucket("rooms").put("a", b"1", timeout=10)
            watch = client.bucket("rooms").watch()
            await watch.__aenter__()
            taken = asyncio.ensure_future(anext(watch, "the end"))
            await asyncio.sleep(0.05)
            await client.close()
            with pytest.raises(Timeout):
                await call
            assert await taken == "the end"
            with pytest.raises(Unavailable, match="closed"):
                await client.bucket("rooms").put("a", b"1")
            await client.close()

    play(story)


# -- watches ---------------------------------------------------------------------------------------


async def take(watch: AsyncIterator[Event | None], count: int) -> list[tuple[str, str, bytes | None] | None]:
    found = [await anext(watch) for _ in range(count)]
    return [None if event is None else (event.kind, event.key, event.value) for event in found]


def test_a_watch_shows_what_is_there_then_changes() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            await rooms.put("sg/1", b"1")
            await rooms.put("eu/1", b"1")
            async with rooms.watch("sg/") as watch:
                assert await take(watch, 2) == [("put", "sg/1", b"1"), None]
                await rooms.put("sg/2", b"2")
                await rooms.put("eu/2", b"2")
                await rooms.delete("sg/1")
                assert await take(watch, 2) == [("put", "sg/2", b"2"), ("delete", "sg/1", None)]
            await asyncio.sleep(0.05)
            assert node.asked("unwatch")[0].key == str(node.asked("watch")[0].number)

    play(story)


def test_a_watch_goes_on_at_another_node_without_showing_anything_twice() -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made) as client:
            await all_connected(made)
            rooms = client.bucket("rooms")
            await rooms.put("a", b"1")
            async with rooms.watch() as watch:
                assert await take(watch, 2) == [("put", "a", b"1"), None]
                made[0].stop()
                made[1].world.write("sg-2", "global/lww/rooms", "a", b"2")
                made[1].world.write("sg-2", "global/lww/rooms", "b", b"1")
                assert await take(watch, 2) == [("put", "a", b"2"), ("put", "b", b"1")]
                assert made[1].asked("watch")[0].resume == {"w": 1}
                await rooms.delete("b")
                assert await take(watch, 1) == [("delete", "b", None)]

    play(story)


def test_a_watch_leaves_a_node_that_is_frozen() -> None:
    async def story() -> None:
        async with nodes(2) as made, to(made) as client:
            await all_connected(made)
            rooms = client.bucket("rooms")
            async with rooms.watch() as watch:
                assert await take(watch, 1) == [None]
                made[0].paused = True
                made[1].world.write("sg-2", "global/lww/rooms", "a", b"1")
                assert await take(watch, 1) == [("put", "a", b"1")]

    play(story)


def test_a_watch_by_token_goes_on_where_its_taker_was() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            await rooms.put("a", b"1")
            async with rooms.watch() as watch:
                assert watch.token is None
                await take(watch, 2)
                token = watch.token
            await rooms.put("b", b"1")
            async with rooms.watch(resume=token) as watch:
                assert await take(watch, 2) == [None, ("put", "b", b"1")]
                assert watch.resumed

    play(story)


def test_a_watch_nobody_may_have_raises() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            node.manner = lambda visitor, request: Reply(request.number, "Denied", "not for you")
            async with client.bucket("rooms").watch() as watch:
                with pytest.raises(Denied, match="not for you"):
                    await anext(watch)

    play(story)


def test_a_watch_that_was_not_begun_says_so() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            with pytest.raises(Refused, match="async with"):
                await anext(client.bucket("rooms").watch())

    play(story)


def test_a_long_snapshot_lets_others_have_their_turn() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            await asyncio.gather(*(rooms.put(f"k{number}", b"v") for number in range(2000)))
            turns = 0

            async def other() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            async with rooms.watch() as watch:
                await anext(watch)
                task = asyncio.create_task(other())
                while await anext(watch) is not None:
                    pass
                task.cancel()
            assert turns > 3

    play(story)


def test_a_slow_taker_is_shown_the_last_state_of_each_key() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            async with rooms.watch() as watch:
                await take(watch, 1)
                for number in range(300):
                    await rooms.put(f"k{number % 3}", str(number).encode())
                assert await take(watch, 3) == [("put", f"k{n}", str(297 + n).encode()) for n in range(3)]

    play(story)


def test_what_a_watch_showed_is_what_a_get_must_show() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            async with rooms.watch() as watch:
                await take(watch, 1)
                written = node.world.write("sg-1", "global/lww/rooms", "a", b"1")
                await take(watch, 1)
                await rooms.get("a")
                assert node.asked("get")[0].seen == written

    play(story)


def test_a_watch_waits_for_a_node_to_come_back() -> None:
    async def story() -> None:
        async with nodes() as [node], to([node]) as client:
            rooms = client.bucket("rooms")
            async with rooms.watch() as watch:
                assert await take(watch, 1) == [None]
                node.stop()
                await asyncio.sleep(0.1)
                node.world.write("sg-1", "global/lww/rooms", "a", b"1")
                await node.start()
                assert await take(watch, 1) == [("put", "a", b"1")]

    play(story)


# -- what it costs ---------------------------------------------------------------------------------


def test_importing_the_client_is_cheap_and_brings_no_node() -> None:
    code = (
        "import asyncio, ssl, sys, time; before = time.process_time();"
        "import lab.syncstore.client; print(time.process_time() - before);"
        "print(sorted(one for one in sys.modules if one.startswith('lab.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    cpu_s, modules = done.stdout.splitlines()
    assert float(cpu_s) < 0.5  # about 0.03; generous, since machines differ
    assert "lab.syncstore.client.client" in modules
    for unwanted in ("engine", "node", "security", "simulate", "table", "log"):
        assert f"'lab.syncstore.{unwanted}" not in modules
