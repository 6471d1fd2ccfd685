"""The lock files: hashed, without any index's address, and of one mind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-notebook.lock")


def pins(name: str) -> dict[str, set[str]]:
    """package → the versions pinned, for whatever system."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / name).read_text(), re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_hashed_and_no_index_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(entries) > 50
    assert all(re.match(r"[a-z0-9._-]+==\S+ .*\\\n    --hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|^-|\bfile:", text, re.MULTILINE)


def test_jupyterlab_changes_nothing_that_runs_use() -> None:
    runs, notebooks = (pins(name) for name in LOCKS)
    assert "jupyterlab" in notebooks and "jupyterlab" not in runs
    assert {name: notebooks[name] for name in runs.keys() & notebooks.keys()} == {
        name: runs[name] for name in runs.keys() & notebooks.keys()
    }


def test_make_lock_makes_both() -> None:
    recipe = re.search(r"^lock:\n(\t.*\n)+", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe and all(f"-o {name}" in recipe[0] for name in LOCKS)
    assert "--constraints requirements.lock" in recipe[0]
