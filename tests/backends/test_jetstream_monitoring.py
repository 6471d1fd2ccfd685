"""What is read out of monitoring answers and logs; answers are cut-down real ones."""

from __future__ import annotations

from typing import Any

import pytest

from lab.backends.jetstream.logs import AT_MOST, notable
from lab.backends.jetstream.monitoring import majority, opinions, unsettled


def replica(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "current": True, "active": 1, **changes}


def jsz(meta: str, us: str, *, replicas: list[dict[str, Any]] | None = None, of_meta: Any = ()) -> dict[str, Any]:
    """One server's answer: who it takes for leaders; replicas as it sees those of bucket `us`."""
    return {
        "meta_cluster": {"name": "lab", "leader": meta, "cluster_size": 3, "replicas": list(of_meta)},
        "account_details": [
            {"name": "LAB", "stream_detail": [{"name": "KV_us", "cluster": {"leader": us, "replicas": replicas or []}}]}
        ],
    }


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(jsz("us-1", "eu-1"), {"meta": "us-1", "us": "eu-1"}, id="both known"),
        pytest.param({}, {"meta": ""}, id="nothing known"),
        pytest.param({"meta_cluster": None, "account_details": None}, {"meta": ""}, id="nulls"),
        pytest.param({"meta_cluster": {"cluster_size": 3}}, {"meta": ""}, id="no meta leader"),
        pytest.param({"account_details": [{"stream_detail": [{"name": "KV_us"}]}]}, {"meta": "", "us": ""}, id="R1"),
    ],
)
def test_opinions(answer: dict[str, Any], expected: dict[str, str]) -> None:
    assert opinions(answer) == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([("us-1", "us-1")] * 3, {"meta": "us-1", "us": "us-1"}, id="all agree"),
        pytest.param([("us-1", "us-1"), ("us-1", "us-1"), ("sg-1", "")], {"meta": "us-1", "us": "us-1"}, id="minority"),
        pytest.param([("", ""), ("", ""), ("sg-1", "sg-1")], {"meta": "", "us": ""}, id="most know of none"),
    ],
)
def test_majority(answers: list[tuple[str, str]], expected: dict[str, str]) -> None:
    assert majority({f"n{i}": jsz(*answer) for i, answer in enumerate(answers)}) == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param({"us-1": jsz("us-1", "us-1", replicas=[replica("eu-1")])}, [], id="at rest"),
        pytest.param(
            {"us-1": jsz("us-1", "us-1", replicas=[replica("eu-1", lag=7)])}, ["KV_us: eu-1 is not current"], id="lag"
        ),
        pytest.param(
            {"us-1": jsz("us-1", "us-1", replicas=[replica("eu-1", offline=True)])},
            ["KV_us: eu-1 is not current"], id="offline",
        ),
        pytest.param(
            {"us-1": jsz("us-1", "us-1", of_meta=[replica("eu-1", current=False)])},
            ["meta: eu-1 is not current"], id="meta replica",
        ),
        pytest.param(
            {"us-1": jsz("us-1", "us-1"), "eu-1": jsz("us-1", "us-1", replicas=[replica("us-1", lag=7)])},
            [], id="followers know nothing of lag",
        ),
        pytest.param(
            {"eu-1": jsz("us-1", "us-1")},
            ["meta's leader us-1 does not answer", "us's leader us-1 does not answer"], id="leader silent",
        ),
        pytest.param({"us-1": jsz("us-1", "")}, ["us has no leader"], id="no leader"),
        pytest.param({}, ["no server answers"], id="nobody answers"),
    ],
)  # fmt: skip
def test_unsettled(answers: dict[str, dict[str, Any]], expected: list[str]) -> None:
    assert unsettled(answers) == expected


PAIR = (1_795_400_000_000_000_000, 5_000_000_000)  # (wall, monotonic) in ns; wall: 2026-11-23 02:13:20 UTC


def line(text: str, level: str = "INF", at: str = "2026/11/23 02:13:21.500000") -> str:
    return f"[4711] {at} [{level}] {text}"


@pytest.mark.parametrize(
    ("text", "level", "kept"),
    [
        ("Self is new JetStream cluster metadata leader", "INF", True),
        ("JetStream cluster new metadata leader: us-1/lab", "INF", True),
        ("JetStream cluster no metadata leader", "INF", True),
        ("JetStream cluster new stream leader for 'LAB > KV_us'", "INF", True),
        ("JetStream cluster stream 'LAB > KV_us' has NO quorum, stalled", "WRN", True),
        ("Consumer assignment for 'x' not cleaned up, retrying", "WRN", True),
        ("127.0.0.1:1 - rid:7 - Stale Connection - closing", "INF", True),
        ("127.0.0.1:1 - cid:7 - Slow Consumer Detected: WriteDeadline of 10s exceeded", "INF", True),
        ("Error trying to connect to route (attempt 1): dial tcp: connection refused", "ERR", True),
        ("Server is ready", "INF", True),
        ("127.0.0.1:20011 - rid:9 - Route connection created", "INF", False),
        ("Listening for client connections on 127.0.0.1:20000", "INF", False),
    ],
)
def test_which_log_lines_are_kept(text: str, level: str, kept: bool) -> None:
    found = list(notable("us-1", "us", [line(text, level)], PAIR))
    assert [sample.text for sample in found] == ([f"[{level}] {text}"] if kept else [])


def test_log_lines_are_placed_on_the_runs_clock() -> None:
    [sample] = notable("us-1", "us", [line("Server is ready")], PAIR)
    assert (sample.node, sample.region, sample.name) == ("us-1", "us", "log")
    assert sample.at_ns == PAIR[1] + 1_500_000_000


def test_what_is_no_log_line_is_skipped_and_floods_are_cut() -> None:
    stack = ["panic: boom", "goroutine 1 [running]:", "", "[4711] torn li"]
    flood = [line("Stale Connection")] * (AT_MOST + 5)
    assert len(list(notable("us-1", "us", stack + flood, PAIR))) == AT_MOST
