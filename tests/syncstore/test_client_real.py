"""The client with three real nodes: kills, frozen nodes, certificates; what was promised is counted."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.syncstore.client import Bucket, Client, Denied, Event, Timeout, Unavailable, WrongRevision, connect
from lab.syncstore.security import TlsFiles, make_certificates, server_context
from tests.syncstore.nodes import HOST, free_ports, run
from tests.syncstore.processes import Process, region, running


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Process]]:
    processes = region(tmp_path, "a", "b", "c")
    with running(*processes):
        yield processes


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Process]]:
    """For tests that kill nobody, each with buckets of its own."""
    processes = region(tmp_path_factory.mktemp("living"), "a", "b", "c")
    with running(*processes):
        yield processes


def to(processes: list[Process], **options: object) -> Client:
    """The first is preferred, so that tests know whom to kill."""
    return connect([one.url for one in processes], shuffle=False, **options)  # type: ignore[arg-type]


class Worker:
    """Writes one key in turn and reads it back; notes whatever breaks a promise. What is in doubt may
    happen at any time later, but only what is."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.bucket, self.key = bucket, key
        self.acknowledged = -1
        self.degraded = -1
        self.maybe: set[int] = set()
        self.broken: list[str] = []
        self.done = self.slowest_ms = 0.0
        self.errors: list[Exception] = []

    async def run(self, until_s: float) -> None:
        number = 0
        while time.monotonic() < until_s:
            began = time.monotonic()
            try:
                written = await self.bucket.put(self.key, str(number).encode())
                if written.degraded:
                    self.degraded = number
                self.acknowledged = number
            except Timeout as error:
                self.maybe.add(number)
                self.errors.append(error)
            except Unavailable as error:
                self.errors.append(error)
            await self._read()
            self.done += 1
            self.slowest_ms = max(self.slowest_ms, (time.monotonic() - began) * 1000)
            number += 1

    async def _read(self) -> None:
        try:
            entry = await self.bucket.get(self.key)
        except (Timeout, Unavailable) as error:
            self.errors.append(error)
            return
        found = int(entry.value) if entry.value is not None else -1
        if found != self.acknowledged and found not in self.maybe:
            self.broken.append(f"{self.key}: {found} was read, {self.acknowledged} was acknowledged")


async def load(client: Client, count: int, for_s: float, kind: str = "lww") -> list[Worker]:
    bucket = client.bucket("load", kind=kind)
    workers = [Worker(bucket, f"w{number}") for number in range(count)]
    await asyncio.gather(*(one.run(time.monotonic() + for_s) for one in workers))
    return workers


@pytest.mark.parametrize("kind", ["lww", "register"])
def test_a_kill_under_load_costs_moments_and_breaks_no_promise(three: list[Process], kind: str) -> None:
    async def story() -> None:
        async with to(three) as client:
            working = asyncio.create_task(load(client, 20, 2.0, kind))
            await asyncio.sleep(0.7)
            three[0].signal(signal.SIGKILL)
            workers = await working
            assert [line for one in workers for line in one.broken] == []
            assert sum(one.done for one in workers) > 100
            assert max(one.slowest_ms for one in workers) < 2100
            assert client.retries <= 0.1 * client.operations + 10
            after = await asyncio.gather(*(one.bucket.get(one.key) for one in workers))
            for worker, entry in zip(workers, after, strict=True):
                assert int(entry.value or b"-1") >= worker.acknowledged

    run(story())


def test_a_frozen_node_is_left_and_promises_hold(three: list[Process]) -> None:
    async def story() -> None:
        async with to(three) as client:
            working = asyncio.create_task(load(client, 10, 4.0))
            await asyncio.sleep(0.7)
            three[0].signal(signal.SIGSTOP)
            await asyncio.sleep(1.2)
            three[0].signal(signal.SIGCONT)
            workers = await working
            assert [line for one in workers for line in one.broken] == []
            assert client.retries <= 0.1 * client.operations + 10
            rates = [one.done for one in workers]
            assert min(rates) > 20

    run(story())


def test_what_was_acknowledged_is_not_undone_by_a_node_that_wakes_up(three: list[Process]) -> None:
    """It still holds a put it has not read. Were that repeated elsewhere, it would come again, as the latest."""

    async def story() -> None:
        async with to(three) as client:
            rooms = client.bucket("rooms")
            await asyncio.gather(*(rooms.put(f"x{n}", b"0") for n in range(300)))
            three[0].signal(signal.SIGSTOP)
            acknowledged = True
            try:
                await rooms.put("k", b"old", timeout=1)
            except Timeout:
                acknowledged = False
            await rooms.put("k", b"new")
            three[0].signal(signal.SIGCONT)
            await asyncio.sleep(0.7)
            assert (await rooms.get("k")).value == b"new" or not acknowledged

    run(story())


def test_what_one_node_acknowledged_another_shows(three: list[Process]) -> None:
    async def story() -> None:
        async with to(three) as client:
            rooms = client.bucket("rooms")
            for number in range(12):  # enough for the budget of retries to grow
                written = await asyncio.gather(*(rooms.put(f"k{n}", b"%d %d" % (number, n)) for n in range(200)))
                assert not any(one.degraded for one in written)
            three[0].signal(signal.SIGKILL)
            entries = await asyncio.gather(*(rooms.get(f"k{n}") for n in range(200)))
            assert [one.value for one in entries] == [b"11 %d" % n for n in range(200)]
            assert [one.revision for one in entries] == [one.revision for one in written]

    run(story())


def test_no_update_is_applied_twice_or_lost_through_a_kill(three: list[Process]) -> None:
    """Each counts up by one as often as it was told that it did; a doubt is looked up by the value's author."""

    async def count(locks: Bucket, name: str, until_s: float) -> int:
        mine = 0
        while time.monotonic() < until_s:
            try:
                entry = await locks.get("counter")
                total = (entry.value or b"0").split()[0]
                wanted = b"%d %s/%d" % (int(total) + 1, name.encode(), mine)
                if entry:
                    await locks.update("counter", wanted, entry.revision)
                else:
                    await locks.create("counter", wanted)
                mine += 1
            except WrongRevision:
                continue
            except (Timeout, Unavailable):
                history.append(wanted)
                mine += 1000
        return mine

    history: list[bytes] = []

    async def story() -> None:
        async with to(three) as client:
            locks = client.bucket("locks", kind="register")
            seen: list[bytes] = []

            async def follow() -> None:
                async with locks.watch("counter") as watch:
                    async for event in watch:
                        if event is not None and event.value is not None:
                            seen.append(event.value)

            following = asyncio.create_task(follow())
            until_s = time.monotonic() + 2.0
            working = asyncio.gather(*(count(locks, f"w{n}", until_s) for n in range(4)))
            await asyncio.sleep(0.7)
            three[0].signal(signal.SIGKILL)
            done = await working
            final = int(((await locks.get("counter")).value or b"0").split()[0])
            certain = sum(mine % 1000 for mine in done)
            assert certain <= final <= certain + len(history)
            assert final > 20
            async with asyncio.timeout(5):
                while not seen or int(seen[-1].split()[0]) < final:
                    await asyncio.sleep(0.02)
            following.cancel()
            totals = [int(one.split()[0]) for one in seen]
            assert totals == sorted(set(totals))

    run(story())


def test_a_watch_survives_kills_without_losing_or_turning_back(three: list[Process]) -> None:
    async def story() -> None:
        async with to(three) as client:
            bucket = client.bucket("watched")
            await asyncio.gather(*(bucket.put(f"k{n}", b"0") for n in range(30)))
            state: dict[str, bytes] = {}
            shown: dict[str, list[int]] = {}
            marks = 0

            async def follow() -> None:
                nonlocal marks
                async with bucket.watch() as watch:
                    async for event in watch:
                        if event is None:
                            marks += 1
                        elif event.value is None:
                            state.pop(event.key, None)
                        else:
                            state[event.key] = event.value
                            shown.setdefault(event.key, []).append(int(event.value))

            following = asyncio.create_task(follow())
            for number in range(1, 40):
                if number == 10:
                    three[0].signal(signal.SIGKILL)
                await asyncio.gather(*(bucket.put(f"k{n}", b"%d" % number) for n in range(20)))
            await asyncio.gather(*(bucket.delete(f"k{n}") for n in range(20, 30)))
            wanted = {f"k{n}": b"39" for n in range(20)}
            async with asyncio.timeout(10):
                while state != wanted:
                    await asyncio.sleep(0.02)
            following.cancel()
            assert marks == 1
            assert all(numbers == sorted(numbers) for numbers in shown.values())

    run(story())


def test_a_watch_leaves_a_frozen_node(three: list[Process]) -> None:
    async def story() -> None:
        async with to(three) as client, to(three[1:]) as other:
            async with client.bucket("watched").watch() as watch:
                assert await anext(watch) is None
                three[0].signal(signal.SIGSTOP)
                await other.bucket("watched").put("a", b"1")
                event = await anext(watch)
                assert isinstance(event, Event)
                assert (event.key, event.value) == ("a", b"1")
            three[0].signal(signal.SIGCONT)

    run(story())


def test_a_watch_goes_on_by_token_in_another_client(living: list[Process]) -> None:
    async def story() -> None:
        async with to(living) as client:
            bucket = client.bucket("resumed")
            await asyncio.gather(*(bucket.put(f"k{n}", b"0") for n in range(10)))
            async with bucket.watch() as watch:
                while await anext(watch) is not None:
                    pass
                token = watch.token
            assert token
            await bucket.put("k3", b"1")
            await bucket.delete("k4")
        async with to(living[1:]) as client, client.bucket("resumed").watch(resume=token) as watch:
            events: dict[str, bytes | None] = {}
            while len(events) < 2:
                event = await anext(watch)
                if event is not None:
                    events[event.key] = event.value
            assert events == {"k3": b"1", "k4": None}
            assert watch.resumed

    run(story())


def test_a_ttl_passes_and_watchers_are_told(living: list[Process]) -> None:
    async def story() -> None:
        async with to(living[:1]) as client, to(living[1:]) as other:
            async with other.bucket("leases", scope="region").watch() as watch:
                assert await anext(watch) is None
                await client.bucket("leases", scope="region").put("a", b"1", ttl=0.4)
                event = await anext(watch)
                assert event is not None and event.kind == "put"
                event = await anext(watch)
                assert event is not None and (event.kind, event.value) == ("expired", None)
            assert not await client.bucket("leases", scope="region").get("a")

    run(story())


def test_many_keys_and_large_values(living: list[Process]) -> None:
    async def story() -> None:
        async with to(living, timeout=20) as client:
            bucket = client.bucket("many")
            names = [f"{n:05}/" + "x" * 100 for n in range(5000)]
            await asyncio.gather(*(bucket.put(name, b"v") for name in names))
            assert await bucket.keys() == names
            large = bytes(range(256)) * 1024
            await asyncio.gather(*(bucket.put(f"large/{n}", large) for n in range(12)))
            entries = await asyncio.gather(*(bucket.get(f"large/{n}") for n in range(12)))
            assert all(entry.value == large for entry in entries)
            async with bucket.watch("large/") as watch:
                found = [event async for event in _until_mark(watch)]
            assert len(found) == 12

    run(story())


async def _until_mark(watch):  # type: ignore[no-untyped-def]
    async for event in watch:
        if event is None:
            return
        yield event


def test_certificates_open_and_shut_doors(tmp_path: Path) -> None:
    certs, port = tmp_path / "certs", free_ports(4)[0]
    make_certificates(certs, [("sg", "a")])
    make_certificates(tmp_path / "strangers", [("sg", "a")])
    (tmp_path / "c.toml").write_text(f"""
    cluster = "test"
    data = "{{node}}"
    [regions.sg]
    a = "{HOST}:{port}"
    [tls]
    ca = "certs/ca.pem"
    certificate = "certs/{{node}}.pem"
    key = "certs/{{node}}.key"
    """)
    process = Process(tmp_path, port, "--config", "c.toml", "--node", "a")

    async def story() -> None:
        async with connect(process.url, tls=TlsFiles.of(certs, "client")) as client:
            await client.bucket("b").put("k", b"v")
            with pytest.raises(Denied):
                await client.drain("sg")
        async with connect(process.url, tls=TlsFiles.of(certs, "admin"), admin=True) as client:
            await client.drain(client.region)
            await client.serve(client.region)
        for tls in (None, TlsFiles.of(tmp_path / "strangers", "client")):
            with pytest.raises((Unavailable, Denied)) as found:
                await connect(process.url, tls=tls, connect_timeout=1)
            print(found.value)
        impostor = TlsFiles(certs / "ca.pem", certs / "client.pem", certs / "client.key")
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, 0, ssl=server_context(impostor))
        where = server.sockets[0].getsockname()[1]
        with pytest.raises(Denied, match="expected a node's certificate"):
            await connect(f"syncstore://{HOST}:{where}", tls=TlsFiles.of(certs, "client"), connect_timeout=2)
        server.close()

    with running(process):
        run(story())
