"""What a node shows over HTTP, and what it does with requests that are none."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.syncstore import metrics, security
from lab.syncstore.node import http
from lab.syncstore.node.addresses import Address
from lab.syncstore.node.histogram import BOUNDS_MS, Histogram
from lab.syncstore.node.http import Http, Shown
from lab.syncstore.node.say import Say
from tests.syncstore.nodes import HOST, Plain, free_ports, put, run, served, settings, until


@pytest.fixture
def chosen(tmp_path: Path):
    return settings(tmp_path)


async def asked(address: Address, request: bytes, tls: ssl.SSLContext | None = None) -> tuple[int, str, bytes]:
    """(status, head, body)."""
    plain = await Plain.to(address, tls)
    plain.writer.write(request)
    answer = await plain.ended()
    plain.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def test_health_readiness_status_and_metrics(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            address = chosen.listened.http
            plain = await Plain.to(chosen.listened.client)
            plain.ask(put(1, "a", b"secret value"))
            await plain.replies(1)
            assert await asked(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") == (200, _any, b"ok\n")
            assert await asked(address, b"GET /readyz?verbose=1 HTTP/1.0\r\n\r\n") == (200, _any, b"ready\n")
            one.engine.ready = False
            status, _, body = await asked(address, b"GET /readyz HTTP/1.1\r\n\r\n")
            assert (status, body) == (503, b"it does not yet hold what its peers held when it started\n")
            status, head, body = await asked(address, b"GET /status HTTP/1.1\r\n\r\n")
            told = json.loads(body)
            assert (status, told["node"], told["ready"], told["engine"]["keys"]) == (200, "sg-1", False, 1)
            assert told["log"]["sync"]["count"] == 1
            assert told["connections"]["open"] == {"peer": 0, "wan": 0, "client": 1}
            assert f"Content-Length: {len(body)}" in head
            status, head, body = await asked(address, b"GET /metrics HTTP/1.1\r\n\r\n")
            assert status == 200
            assert "Content-Type: text/plain" in head
            assert b"secret" not in body
            found = {family.name: family for family in text_string_to_metric_families(body.decode())}
            assert found["syncstore_log_sync_seconds"].type == "histogram"
            assert found["syncstore_ready"].samples[0].value == 0
            assert found["syncstore_odd_one"].samples[0].value == 2
            assert len(found) == len(set(re.findall(rb"^# TYPE (\S+)", body, re.M))), "no name twice"
            plain.close()

    run(work())


class _Any:
    def __eq__(self, other: object) -> bool:
        return True


_any = _Any()


def test_a_plain_client_understands_it(chosen):
    async def work() -> None:
        async with served(chosen):
            url = f"http://{chosen.listened.http}/healthz"
            assert await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read()) == b"ok\n"

    run(work())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 404),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"POST /status HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"HEAD /status HTTP/1.1\r\n\r\n", 405),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", 405),
        (b"GET /status HTTP/2.0\r\n\r\n", 400),
        (b"get /status HTTP/1.1\r\n\r\n", 400),
        (b"GET /sta\xfftus HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"x" * 100_000, 431),
        (b"x" * 500_000, 431),
    ],
)
def test_whatever_is_asked_gets_one_short_answer(chosen, request_, status):
    async def work() -> None:
        async with served(chosen):
            assert (await asked(chosen.listened.http, request_))[0] == status

    run(work())


def test_whoever_is_slow_is_ended(chosen, monkeypatch):
    monkeypatch.setattr(http, "PATIENCE_S", 0.2)

    async def work() -> None:
        async with served(chosen):
            silent, slow = [await Plain.to(chosen.listened.http) for _ in range(2)]
            slow.writer.write(b"GET /heal")
            assert await silent.ended() == b""
            assert await slow.ended() == b""

    run(work())


def test_more_connections_than_allowed_are_told_so(chosen, monkeypatch):
    monkeypatch.setattr(http, "CONNECTIONS", 2)

    async def work() -> None:
        async with served(chosen) as one:
            kept = [await Plain.to(chosen.listened.http) for _ in range(2)]
            await until(lambda: one.running._http._connections == 2)
            assert (await asked(chosen.listened.http, b"GET /healthz HTTP/1.1\r\n\r\n"))[0] == 503
            for plain in kept:
                plain.close()
            await until(lambda: one.running._http._connections == 0)
            assert (await asked(chosen.listened.http, b"GET /healthz HTTP/1.1\r\n\r\n"))[0] == 200

    run(work())


def test_a_bug_in_a_page_is_answered_as_such(chosen):
    async def work() -> None:
        async with served(chosen) as one:
            one.engine.status = lambda: 1 / 0  # type: ignore[method-assign]
            assert (await asked(chosen.listened.http, b"GET /status HTTP/1.1\r\n\r\n"))[0] == 500
            await until(lambda: "a bug: /status: ZeroDivisionError" in one.lines)

    run(work())


def test_beyond_loopback_probes_get_in_and_nobody_else_without_a_certificate(tmp_path):
    security.make_certificates(tmp_path, [("sg", "sg-1")])
    address = Address(HOST, free_ports(1)[0])

    async def told() -> tuple[str, bytes]:
        return "text/plain", b"numbers\n"

    async def work() -> None:
        say = Say("test")
        files = security.TlsFiles.of(tmp_path, "sg-1")
        shown = Shown(lambda: "", lambda: {"a": 1}, told)
        server = Http(address, shown, security.http_context(files), say)
        await server.open()
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        nobody.check_hostname = False
        nobody.load_verify_locations(tmp_path / "ca.pem")
        client = security.client_context(security.TlsFiles.of(tmp_path, "client"))
        for path, tls, status in [
            (b"/healthz", nobody, 200),
            (b"/readyz", nobody, 200),
            (b"/status", nobody, 403),
            (b"/metrics", nobody, 403),
            (b"/status", client, 200),
            (b"/metrics", client, 200),
        ]:
            assert (await asked(address, b"GET " + path + b" HTTP/1.1\r\n\r\n", tls))[0] == status, path
        server.close()
        say.close()

    run(work())


def test_what_the_engine_tells_becomes_metrics():
    """Shaped as `lab.syncstore.status` tells it; two links to one node count as the worse."""
    peer = {
        "region": "eu", "node": "eu-1", "purpose": "wan", "dialled": True, "behind_us": {"global": 3},
        "ahead_of_us": {"global": 0}, "heard_ms_ago": 1500, "credit_bytes": 10, "inbox_bytes": 0, "unsent_bytes": 7,
    }  # fmt: skip
    status = {
        "ready": True,
        "bugs": 0,
        "connections": {"open": {"wan": 2}, "foreign_waiting_bytes": 0, "counts": {"opened": 3, "closed: gone": 1}},
        "engine": {
            "clients": 1,
            "hears": ["eu"],
            "alarms": ["one", "two"],
            "peers": [peer, {**peer, "behind_us": {"global": 9}}],
            "scopes": {"global": {"records": 5, "tombstones": 2, "ring_bytes": 100}},
        },
        "counters": {"divergence": 0, "deltas_taken": 4},
    }
    lag = Histogram()
    for took_ms in (0.1, 3, 3, 9_000):
        lag.add(took_ms)
    _, text = metrics.exposed(status, None, lag)
    lines = text.decode().splitlines()
    link = 'node="eu-1",purpose="wan",region="eu"'
    for line in (
        "syncstore_divergence_total 0.0",
        "syncstore_deltas_taken_total 4.0",
        "syncstore_alarms 2.0",
        'syncstore_hears{region="eu"} 1.0',
        'syncstore_records{scope="global"} 5.0',
        f'syncstore_peer_behind_us_writes{{{link},scope="global"}} 9.0',
        f"syncstore_peer_silent_seconds{{{link}}} 1.5",
        'syncstore_connections_closed_total{reason="gone"} 1.0',
        'syncstore_loop_lag_seconds_bucket{le="0.005"} 3.0',
        'syncstore_loop_lag_seconds_bucket{le="+Inf"} 4.0',
    ):
        assert line in lines, line
    assert all(one.startswith(("syncstore_", "process_")) for one in lines if not one.startswith("#"))


def test_shares_of_durations():
    histogram = Histogram()
    assert histogram.below_ms(0.5) == 0
    for took_ms in [0.3] * 98 + [40, 70]:
        histogram.add(took_ms)
    assert (histogram.below_ms(0.5), histogram.below_ms(0.99), histogram.below_ms(1)) == (0.5, 50, 70)
    histogram.add(10 * BOUNDS_MS[-1])
    assert histogram.below_ms(1) == 10 * BOUNDS_MS[-1]
