"""Parts by name: a registered one, or a user's own named by path (`./my_checks.py:no_lost_orders`).

Whatever a user's file raises becomes a sentence for its author; nothing of theirs is a bug of ours.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from lab.errors import LabError, Refused, UnknownName


def load(target: str) -> Any:
    """What `module:name` stands for."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def named(what: str, name: str, registry: Mapping[str, str]) -> Any:
    """The part of that name. Raises UnknownName, or Refused where a user's file can't be loaded."""
    if own(name):
        path, _, attribute = name.rpartition(":")
        return _from_file(what, Path(path), attribute)
    if name not in registry:
        raise UnknownName.of(what, name, registry, "Your own is named by path, like ./mine.py:name.")
    return load(registry[name])


def own(name: str) -> bool:
    """Whether a name is a path into a user's own file."""
    return ".py:" in name


@contextmanager
def theirs(what: str, name: str) -> Iterator[None]:
    """What a user's own part raises within is Refused; what ours raises stays what it is."""
    try:
        yield
    except LabError:
        raise
    except (Exception, SystemExit) as error:
        if not own(name):
            raise
        path = Path(name.rpartition(":")[0])
        raise Refused(f"{what} file {path}: {said(error, path)}; mend that file.") from error


def said(error: BaseException, path: Path) -> str:
    """`line 3: ValueError: …`, the last line of the user's own file that led to it."""
    steps = traceback.extract_tb(error.__traceback__)
    mine = str(path.resolve())
    line = getattr(error, "lineno", None) or next(
        (step.lineno or 0 for step in reversed(steps) if str(Path(step.filename).resolve()) == mine), 0
    )
    return f"line {line}: {type(error).__name__}: {error}"


def _from_file(what: str, path: Path, attribute: str) -> Any:
    spec = None
    if path.is_file():
        unique = f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
        spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise UnknownName(f"{what} file {str(path)!r} does not exist; give the path of a Python file.")
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up what their annotations mean
    with theirs(what, f"{path}:{attribute}"):
        spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        raise UnknownName(f"{what} {attribute!r} is not in {path}; name something that file defines.")
    return getattr(module, attribute)
