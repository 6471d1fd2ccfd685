"""Executes notebooks with papermill and exports them as pages that fetch nothing.

Owns the kernel: always this interpreter, described in memory, so that neither an installed
kernelspec nor a home directory is needed. Knows nothing of runs: whether one succeeded is read
from its `verdict.json`, never from a notebook, whose cells say "completed" after a dead kernel.
Loads papermill and nbconvert (a second of CPU): import this module where it is used.
"""

from __future__ import annotations

import ast
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from lab import errors
from lab.errors import LabError, Refused, RunBroken, UnknownName

RENDERER = "plotly_mimetype+notebook"  # JupyterLab without trust, and HTML with plotly.js once
START_TIMEOUT_S = 120  # a loaded machine takes long to start a kernel
IOPUB_TIMEOUT_S = 120  # nbclient's own 4 s fail on chatty cells
LONGEST_IPC_FOLDER = 80  # a Unix socket's whole path has 104–108 bytes
REMOTE = re.compile(r"<script\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>\s*</script>", re.IGNORECASE)
Parameter = str | int | float | list[str]


def execute(notebook: Path, output: Path, parameters: Mapping[str, Parameter]) -> None:
    """Run a notebook with parameters and write it, with its outputs, as each cell ends.

    No cell ever times out. Raises UnknownName, before anything runs, for a parameter that the
    notebook's parameter cell doesn't name; an error of the lab's own that a cell raised as what
    it is; RunBroken for any other, and for a kernel that died.
    """
    known = parameter_names(notebook)
    for name in parameters:
        if name not in known:
            raise UnknownName.of(f"parameter of {notebook.name}", name, known)
    with tempfile.TemporaryDirectory(prefix="isolation-lab-kernel-") as private, _quiet():
        try:
            papermill.execute_notebook(
                _literal(notebook),
                _literal(output),
                parameters=dict(parameters),
                kernel_name="python3",  # only tells papermill how to spell values; see _manager
                language="python",
                kernel_manager_class=_manager(Path(private)),
                progress_bar=False,
                log_output=False,
                start_timeout=START_TIMEOUT_S,
                iopub_timeout=IOPUB_TIMEOUT_S,
            )
        except PapermillExecutionError as error:
            raise _raised(notebook, error.ename, error.evalue) from None
        except (DeadKernelError, RuntimeError) as error:
            raise RunBroken(
                f"the kernel of {notebook.name} ended early ({error}); "
                "what its run left can be judged with `lab judge`."
            ) from None
    _without_places(output)


def _without_places(executed: Path) -> None:
    """Notebooks get shared: papermill notes where they lay on this machine, names are enough."""
    content = _read(executed)
    told = content.metadata.get("papermill", {})
    for key in ("input_path", "output_path"):
        if told.get(key):
            told[key] = Path(told[key]).name
    nbformat.write(content, executed)


def parameter_names(notebook: Path) -> list[str]:
    """The names a notebook's cell tagged `parameters` assigns. Raises Refused without such a cell."""
    for cell in _read(notebook).cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            assigned = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
            return [target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)]
    raise Refused(f"{notebook} takes no parameters: expected a code cell tagged 'parameters'.")


def export(executed: Path, html: Path) -> None:
    """Write an executed notebook as one page: no input cells, no address outside the page fetched.

    Raises Refused when the notebook can't be read.
    """
    content = _read(executed)
    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_anchor_links=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(content)
    page = PAGE.format(title=escape(_title(content)), body=_offline(body), made=_how_it_was_made(content))
    part = html.with_name(f".{html.name}.part")
    part.write_text(page, encoding="utf-8")
    os.replace(part, html)


def _offline(body: str) -> str:
    """plotly asks each figure for MathJax from a CDN; no figure of the lab holds formulas."""
    return REMOTE.sub("", body)


def _title(content: Any) -> str:
    given = content.metadata.get("papermill", {}).get("parameters", {})
    named = [str(given[name]) for name in ("experiment", "arm", "arms") if given.get(name)]
    headings = [re.match(r"#\s+(.+)", cell.source) for cell in content.cells if cell.cell_type == "markdown"]
    heading = next((found[1] for found in headings if found), "Isolation Lab")
    return " · ".join([*named, heading])


def _how_it_was_made(content: Any) -> str:
    code = [cell.source for cell in content.cells if cell.cell_type == "code"]
    return escape("\n\n".join(code))


def _read(notebook: Path) -> Any:
    try:
        return nbformat.read(notebook, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise Refused(f"{notebook} can't be read as a notebook: {error}; give a path to an .ipynb file.") from None


def _literal(path: Path) -> str:
    """A path as papermill takes it: it would fill `{…}` in a path with parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _raised(notebook: Path, name: str, text: str) -> LabError:
    """What a cell raised, as the same error here; so `lab` ends with the right exit code."""
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, LabError):
        return kind(text)
    return RunBroken(f"a cell of {notebook.name} raised {name}: {text}")


def _manager(private: Path) -> type[AsyncKernelManager]:
    """A kernel manager that knows one kernel, this interpreter, and keeps its files in `private`."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PLOTLY_RENDERER": RENDERER,
        "IPYTHONDIR": str(private),  # no start-up files of the user's, no write to a home
        "JUPYTER_RUNTIME_DIR": str(private),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else every kernel warns of frozen modules
    }
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = KernelSpec(argv=argv, env=environment, language="python", display_name="Isolation Lab")

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return spec

        def _connection_file_default(self) -> str:
            return str(private / "kernel.json")

        def _transport_default(self) -> str:
            # sockets in a folder of ours: no port to collide with a node's, no one else can listen
            return "ipc" if len(str(private)) < LONGEST_IPC_FOLDER else "tcp"

    return ThisInterpreter


@contextmanager
def _quiet() -> Iterator[None]:
    """papermill warns of every parameter whose default holds `=`; what matters is raised anyway."""
    logger = logging.getLogger("papermill")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; }}
body {{ margin: 0 auto; padding: 12px 16px; max-width: 1264px; background: #fff; color: #1b1b1b;
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
h1 {{ font-size: 16px; margin: 0 0 6px; color: #666; font-weight: 500; }}
h2 {{ font-size: 17px; margin: 22px 0 4px; }}
pre {{ overflow-x: auto; font-size: 12px; }}
.output_error pre, .output_stderr pre {{ border-left: 4px solid #d24a12; padding-left: 8px; }}
.made {{ margin-top: 28px; border-top: 1px solid #ddd; padding-top: 6px; color: #666; }}
.made summary {{ cursor: pointer; }}
@media (max-width: 600px) {{ body {{ padding: 8px; }} }}
</style>
</head>
<body>
{body}
<details class="made"><summary>How this was made: the notebook's code</summary><pre>{made}</pre></details>
</body>
</html>
"""
