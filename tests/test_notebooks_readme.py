"""notebooks/README.md names every notebook with its question and its parameters, as they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from lab import notebook

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_notebook_is_named_with_its_question() -> None:
    rows = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| (.+?\?) \|$", README, re.MULTILINE)
    assert [name for name, _, _ in rows] == [path.name for path in NOTEBOOKS]
    assert all(name == target for name, target, _ in rows)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_parameters_are_those_of_the_notebook(path: Path) -> None:
    found = re.search(rf"^## Parameters of {re.escape(path.name)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found, f"no section on the parameters of {path.name}"
    told = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", found[1], re.MULTILINE))
    assert list(told) == notebook.parameter_names(path)
    assert {name: ast.literal_eval(value) for name, value in told.items()} == _defaults(path)


def _defaults(path: Path) -> dict[str, object]:
    cells = nbformat.read(path, as_version=4).cells
    [source] = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def test_its_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"notebook", "demo", "experiment"} <= set(re.findall(r"`make ([a-z-]+)`", README)) <= targets
    for command in re.findall(r"papermill (.*)", README):
        source, _, *options = command.split()
        assert (ROOT / source).is_file()
        assert set(options[1::3]) <= set(notebook.parameter_names(ROOT / source))
        assert set(options[::3]) == {"-p"}


def test_jupyterlab_listens_here_only_and_opens_this_page() -> None:
    recipe = re.search(r"^notebook:.*?\n\n", (ROOT / "Makefile").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert recipe
    assert "--ServerApp.ip=127.0.0.1" in recipe[0]
    assert "default_url=/lab/tree/notebooks/README.md" in recipe[0]
