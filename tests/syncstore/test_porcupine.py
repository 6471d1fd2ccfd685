"""The checker of linearizability is checked itself: histories that must pass, and some that must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.syncstore.porcupine import judge


def call(op: str, call_ns: int, return_ns: int | None, key: str = "k", **more: Any) -> dict[str, Any]:
    """One operation by a process of its own."""
    line = {"process": f"p{call_ns}", "op": op, "key": key, "call_ns": call_ns, "result": "ok", **more}
    return line | ({"return_ns": return_ns} if return_ns is not None else {"result": "indefinite"})


def put(value: str, *times: int | None, **more: Any) -> dict[str, Any]:
    return call("put", *times, value=value, **more)  # type: ignore[arg-type]


def get(value: str | None, *times: int) -> dict[str, Any]:
    return call("get", *times, present=value is not None, value=value or "")


GOOD = {
    "nothing": [],
    "in order": [put("x", 0, 1), get("x", 2, 3), call("delete", 4, 5), get(None, 6, 7)],
    "concurrent": [put("x", 0, 9), get(None, 1, 2), get("x", 3, 4)],
    "created once": [call("create", 0, 3, value="x"), call("create", 1, 2, value="y", result="wrong")],
    "created after a delete": [put("x", 0, 1), call("delete", 2, 3), call("create", 4, 5, value="y"), get("y", 6, 7)],
    "updated": [
        put("x", 0, 1, revision="1"),
        call("update", 2, 3, value="y", expected="1", revision="2"),
        call("update", 4, 5, value="z", expected="1", result="wrong"),
        get("y", 6, 7),
    ],
    "indefinite, and happened late": [put("x", 0, None), get(None, 1, 2), get("x", 3, 4)],
    "indefinite, and never happened": [put("x", 0, None), get(None, 1, 2), put("y", 3, 4), get("y", 5, 6)],
    "indefinite create found a value": [put("x", 0, 1), call("create", 2, None, value="y"), get("x", 3, 4)],
    "indefinite, learned from a read": [
        put("x", 0, None), get("x", 1, 2) | {"revision": "7"},
        call("update", 3, 4, value="y", expected="7"), get("y", 5, 6),
    ],
    "two keys": [put("x", 0, 1, key="a"), get(None, 2, 3), put("x", 4, 5, key="b")],
}  # fmt: skip
BAD = {
    "lost": [put("x", 0, 1), get(None, 2, 3)],
    "read backwards": [put("x", 0, 1), put("y", 2, 9), get("y", 3, 4), get("x", 5, 6)],
    "created twice": [call("create", 0, 1, value="x"), call("create", 2, 3, value="y"), get("y", 4, 5)],
    "refused without a reason": [call("create", 0, 1, value="x", result="wrong"), get(None, 2, 3)],
    "updated from an old revision": [
        put("x", 0, 1, revision="1"), put("y", 2, 3), call("update", 4, 5, value="z", expected="1"),
    ],
    "came from nowhere": [get("x", 0, 1)],
    "came back": [put("x", 0, 1), call("delete", 2, 3), get(None, 4, 5), get("x", 6, 7)],
    "an indefinite put happened twice": [put("x", 0, None), get("x", 1, 2), put("y", 3, 4), get("x", 5, 6)],
    "one value, two revisions": [put("x", 0, 1, revision="1"), get("x", 2, 3) | {"revision": "2"}],
    "one revision, two values": [put("x", 0, 1, revision="1"), put("y", 2, 3, revision="1")],
    "an unknown revision": [call("update", 0, 1, value="x", expected="9", result="wrong")],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_passes(name: str) -> None:
    verdict = judge(GOOD[name])
    assert not verdict.broken and not verdict.undecided and verdict.operations == len(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_does_not_pass(name: str) -> None:
    assert list(judge(BAD[name]).broken) == ["k"]


def test_the_broken_key_is_named_and_drawn(tmp_path: Path) -> None:
    verdict = judge([line | {"key": name} for name in BAD for line in BAD[name]] + GOOD["in order"], tmp_path)
    assert set(verdict.broken) == set(BAD) and verdict.keys == len(BAD) + 1
    page = Path(verdict.pages["lost"])
    assert page.parent == tmp_path and "<html" in page.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize(
    "line",
    [
        {"op": "push"},
        {"op": "put", "result": "ok"},
        {"op": "get", "result": "wrong"},
        {"op": "get", "result": "perhaps"},
        {"op": "get", "result": "ok", "call_ns": 5, "return_ns": 4},
    ],
)
def test_what_is_no_operation_is_said(line: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="line 1"):
        judge([line])
