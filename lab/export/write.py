"""The folder of an export: the same input gives the same bytes, and nobody else's folder is touched."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lab.errors import DoesNotFit
from lab.export import compose, delays, page, stack, words
from lab.export.model import DELAYS, Export

MARK = ".lab-export"
"""The file that says which others were written; by it a folder is known as ours."""
HOW = "HOWTO.md"


def as_compose(export: Export) -> dict[str, str]:
    """Path → text of a folder for one machine."""
    text = yaml_of(compose.composed(export), f"Written by `lab export`. How to use it: {HOW}.")
    said = page.page(export, words.ComposeWords(export))
    return {compose.FILE: text, HOW: said, f"{DELAYS}.py": _script(), **compose.files(export)}


def as_stack(export: Export, *, one_node: bool) -> dict[str, str]:
    """Path → text of a folder for a swarm."""
    held = stack.composed(export, _script(), one_node=one_node)
    text = yaml_of(held, f"Written by `lab export`. How to use it: {HOW}.")
    said = page.page(export, words.StackWords(export, one_node))
    return {stack.FILE: text, HOW: said, f"{DELAYS}.py": _script(), **stack.files(export)}


def check(folder: Path) -> None:
    """Raises DoesNotFit when the folder holds what was not written by an export."""
    if folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir())):
        return
    if folder.exists() or folder.is_symlink():
        raise DoesNotFit(
            f"expected a new folder, an empty one, or an earlier export, found {folder}, which is none of them; "
            "give another one with --to."
        )


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Put the files there; those of an earlier export that are no longer among them are removed. Raises DoesNotFit."""
    check(folder)
    mark = folder / MARK
    before = mark.read_text(encoding="utf-8").splitlines() if mark.is_file() else []
    root = folder.resolve()
    for name in set(before) - set(files):
        if (old := (folder / name).resolve()).is_relative_to(root) and old.is_file():
            old.unlink()
            if not any(old.parent.iterdir()):
                old.parent.rmdir()
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text("".join(f"{name}\n" for name in sorted(files)), encoding="utf-8")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def yaml_of(held: dict[str, Any], comment: str) -> str:
    """YAML in the order given."""
    yaml, out = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width = False, 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(held, out)
    return f"# {comment}\n{out.getvalue()}"


def _script() -> str:
    return Path(delays.__file__).read_text(encoding="utf-8")
