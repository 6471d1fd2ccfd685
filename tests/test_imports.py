"""Who may import whom, what workers may load, and how long a file may grow."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import lab

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "lab").rglob("*.py"))


def test_imports_follow_the_contracts() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("lab.worker", ["papermill", "plotly", "docker", "polars", "nbconvert"]),
        ("lab.backends.jetstream.client", ["papermill", "plotly", "docker", "polars"]),
        ("lab.reaper", ["docker", "papermill", "plotly", "polars", "aiohttp"]),
        ("lab", ["docker", "papermill", "plotly", "polars", "nats"]),
        ("lab.plan", ["docker", "papermill", "plotly"]),
        ("lab.backends.syncstore.client", ["papermill", "plotly", "docker", "polars", "typer"]),
        (
            "lab.syncstore.node.serve",
            ["docker", "papermill", "plotly", "polars", "pydantic", "typer", "trustme", "rich"],
        ),
        ("lab.syncstore.client", ["docker", "papermill", "plotly", "polars", "pydantic", "typer", "trustme", "rich"]),
    ],
)
def test_loads_nothing_heavy(module: str, forbidden: list[str]) -> None:
    code = f"import sys, {module}; print(*[name for name in {forbidden!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small_and_say_what_they_own(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= 500, f"{path.name} has {lines} lines: a word is missing; split it"
    if lines > 300:
        warnings.warn(f"{path.name} has {lines} lines", stacklevel=1)
    assert not text.strip() or text.startswith('"""'), f"{path.name} begins without saying what it owns"


def test_the_toxic_lives_in_one_folder() -> None:
    outside = [path for path in SOURCES if "toxiproxy" not in path.parts and "toxic" in _identifiers(path)]
    assert outside == []


def test_the_public_api_is_what_it_says() -> None:
    assert sorted(lab.__all__) == lab.__all__
    for name in lab.__all__:
        assert getattr(lab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = lab.nonsense


def _identifiers(path: Path) -> set[str]:
    import ast

    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.id.lower() for node in ast.walk(tree) if isinstance(node, ast.Name)}
