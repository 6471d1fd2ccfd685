"""The store imports nothing of the lab, and its core does no input or output of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

STORE = Path(__file__).resolve().parents[2] / "lab" / "syncstore"
WITH_IO = {"log.py", "metrics.py", "security.py", "__main__.py"}
FOLDERS_WITH_IO = {"node", "client", "disk", "simulate"}
FORBIDDEN = {
    "asyncio", "concurrent", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil", "signal", "socket",
    "ssl", "subprocess", "tempfile", "threading", "time", "uvloop",
}  # fmt: skip
CORE = sorted(path for path in STORE.glob("*.py") if path.name not in WITH_IO)


def imported(path: Path) -> set[str]:
    """Every module a file imports, in full."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", sorted(STORE.rglob("*.py")), ids=lambda path: str(path.relative_to(STORE)))
def test_nothing_of_the_lab(path: Path) -> None:
    foreign = {name for name in imported(path) if name.split(".")[0] == "lab" and not name.startswith("lab.syncstore")}
    assert foreign == set()


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_has_no_clock_socket_task_random_or_file(path: Path) -> None:
    assert {name for name in imported(path) if name.split(".")[0] in FORBIDDEN} == set()


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_knows_nothing_of_who_runs_it(path: Path) -> None:
    runners = {f"lab.syncstore.{name}" for name in (*FOLDERS_WITH_IO, "log", "security", "metrics")}
    found = {name for name in imported(path) if any(name == one or name.startswith(f"{one}.") for one in runners)}
    assert found == set()


def test_there_is_a_core() -> None:
    assert {"engine.py", "replica.py", "delta.py", "acceptor.py", "proposer.py", "session.py"} <= {p.name for p in CORE}
