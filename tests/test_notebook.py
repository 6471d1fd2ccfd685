"""Notebooks: executed by this interpreter with values that survive, exported as pages for offline."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

import lab
from lab import notebook
from lab.errors import FileRefused, Refused, RunBroken, UnknownName
from tests.plots import synthetic

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
VALUES: dict[str, notebook.Parameter] = {
    "text": "a=b:c d+e",
    "digits": "007",
    "quotes": 'it\'s "so" \\ {x} $y',
    "count": 7,
    "share": 0.05,
}


def write(path: Path, *cells: str) -> Path:
    """A notebook whose first cell takes VALUES' names as parameters."""
    first = nbformat.v4.new_code_cell(
        "\n".join(f'{name} = "x=1"  # help with = and :' for name in VALUES),
        metadata={"tags": ["parameters"]},
    )
    content = nbformat.v4.new_notebook(cells=[first, *(nbformat.v4.new_code_cell(cell) for cell in cells)])
    nbformat.write(content, path)
    return path


def outputs(path: Path) -> list[Any]:
    return [out for cell in nbformat.read(path, as_version=4).cells for out in cell.get("outputs", [])]


def test_values_arrive_as_they_were_given(tmp_path: Path) -> None:
    names = ", ".join(VALUES)
    source = write(tmp_path / "{odd} name.ipynb", f"print(repr(({names})))", "import sys; print(sys.executable)")
    notebook.execute(source, tmp_path / "{out}.ipynb", VALUES)
    said = "".join(out["text"] for out in outputs(tmp_path / "{out}.ipynb")).splitlines()
    assert ast.literal_eval(said[0]) == tuple(VALUES.values())
    assert said[1] == sys.executable


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path: Path) -> None:
    source = write(tmp_path / "n.ipynb", "1")
    with pytest.raises(UnknownName, match=r"unknown parameter of n.ipynb 'txt' \(did you mean 'text'\?\)"):
        notebook.execute(source, tmp_path / "out.ipynb", {"txt": "1"})
    assert not (tmp_path / "out.ipynb").exists()


ENDINGS = {
    "an error of the lab's own": (
        "from lab.errors import FileRefused; raise FileRefused('x.yaml:3: no.')",
        FileRefused, "x.yaml:3: no.",
    ),
    "any other error": ("1/0", RunBroken, "ZeroDivisionError: division by zero"),
    "a kernel that died": ("import os; os._exit(3)", RunBroken, "ended early"),
}  # fmt: skip


@pytest.mark.parametrize(("cell", "kind", "said"), ENDINGS.values(), ids=ENDINGS.keys())
def test_how_a_notebook_can_fail(cell: str, kind: type[Exception], said: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        notebook.execute(write(tmp_path / "n.ipynb", cell), tmp_path / "out.ipynb", {})
    assert (tmp_path / "out.ipynb").is_file()


@pytest.mark.parametrize("text", ["", "not json", "{}"])
def test_what_is_no_notebook_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text(text)
    with pytest.raises(Refused):
        notebook.execute(tmp_path / "n.ipynb", tmp_path / "out.ipynb", {})


FIGURE = """
from lab.results import Run
import lab.plots, lab.report
lab.plots.availability(Run.at(text))
"""


def test_no_home_no_kernelspec_and_a_page_for_offline(tmp_path: Path) -> None:
    """In a process of its own, since HOME is read early; the exported page must hold its figure."""
    synthetic.write(tmp_path / "run")
    source = write(tmp_path / "n.ipynb", FIGURE, FIGURE)
    code = (
        "import sys; from pathlib import Path; from lab import notebook; here = Path(sys.argv[1]);"
        "notebook.execute(here / 'n.ipynb', here / 'out.ipynb', {'text': str(here / 'run')});"
        "notebook.export(here / 'out.ipynb', here / 'out.html')"
    )
    environment = {
        "HOME": str(tmp_path / "none"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(FOLDER.parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    page = (tmp_path / "out.html").read_text()
    assert page.count("Plotly.newPlot(") == 2
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)=[\"']?(https?:)?//", page)
    assert 4e6 < len(page) < 8e6  # plotly.js once
    assert source.is_file()


def test_a_page_hides_code_but_tells_how_it_was_made(tmp_path: Path) -> None:
    write(tmp_path / "n.ipynb", "print('<b>out</b>')")
    notebook.execute(tmp_path / "n.ipynb", tmp_path / "out.ipynb", {})
    notebook.export(tmp_path / "out.ipynb", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text()
    shown, _, made = page.partition('<details class="made">')
    assert "print(" not in shown and "&lt;b&gt;out" in shown
    assert "print(&#x27;&lt;b&gt;out" in made


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_thin_and_stripped(path: Path) -> None:
    content = nbformat.read(path, as_version=4)
    nbformat.validate(content)
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    source = "\n".join(cell.source for cell in cells)
    assert len([line for line in source.splitlines() if line.strip()]) <= 28
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    assert all(cell.id for cell in content.cells)
    assert content.metadata.kernelspec == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, LOGIC), f"{path.name}: {ast.unparse(node)}"
        if isinstance(node, ast.Import):
            assert [name.name for name in node.names] == ["lab"]
    assert "parameters" in cells[0].metadata.tags


LOGIC = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If, ast.IfExp,
    ast.BinOp, ast.comprehension, ast.Try, ast.With, ast.ImportFrom,
)  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_question_has_its_answer(path: Path) -> None:
    kinds = [cell.cell_type for cell in nbformat.read(path, as_version=4).cells]
    assert kinds[0] == "markdown"
    assert kinds[-2:] == ["markdown", "code"]


@pytest.mark.skipif(not hasattr(lab, "run"), reason="lab.run is not there yet")
def test_the_isolation_notebook_shows_a_finished_run(tmp_path: Path) -> None:
    run = synthetic.write(tmp_path / "run")
    parameters: dict[str, notebook.Parameter] = {"run_path": str(run.path)}
    notebook.execute(FOLDER / "isolation.ipynb", tmp_path / "out.ipynb", parameters)
    notebook.export(tmp_path / "out.ipynb", tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text()
    assert "blast radius {us, eu}" in page
    assert page.count("Plotly.newPlot(") == 4
