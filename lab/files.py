"""YAML 1.2 with line marks, and pydantic's refusals told as `file:line: sentence`.

YAML 1.1 would read a region called `no` as False; ruamel.yaml speaks 1.2 and keeps the lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lab.errors import FileRefused, UnknownName, unknown_name

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")


def find(what: str, name: str, folder: Path) -> Path:
    """The file meant by `name`: a path as it is, else `folder/name.yaml`. Raises UnknownName."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UnknownName(f"{what} file {name!r} does not exist; give an existing file or a name.")
        return path
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise UnknownName.of(what, name, (p.stem for p in folder.glob("*.yaml")))
    return path


def load(path: Path, model: type[Model]) -> Model:
    """Read and validate one file; its name fills an empty `name`. Raises FileRefused."""
    data = read(path)
    if not isinstance(data, Mapping):
        found = "a list" if isinstance(data, list) else "nothing" if data is None else repr(data)
        raise FileRefused(f"{path}:1: expected a mapping of keys, found {found}.")
    try:
        value = model.model_validate(_plain(data))
    except ValidationError as error:
        raise FileRefused(_sentence(path, data, model, error)) from None
    if "name" in model.model_fields and not getattr(value, "name", None):
        value = value.model_copy(update={"name": path.stem})
    return value


def read(path: Path) -> Any:
    """A YAML file as ruamel's round-trip data. Raises FileRefused with the line of the mistake."""
    try:
        return YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + 1
        raise FileRefused(f"{path}:{line}: not YAML: {error.problem or error.context}.") from None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise FileRefused(f"{path}:1: can't be read: {error}.") from None


def dump(value: BaseModel, path: Path) -> None:
    """Write a model as YAML, every default spelled out."""
    yaml = YAML()
    yaml.default_flow_style = False
    with path.open("w", encoding="utf-8") as out:
        yaml.dump(value.model_dump(mode="json"), out)


def validated(kind: type[T], settings: Mapping[str, Any], what: str) -> T:
    """Settings of a named part → its (frozen) dataclass. Raises FileRefused naming `what`."""
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise FileRefused(f"{what}: expected a (frozen) dataclass of its settings, found {kind!r}.")
    known = getattr(kind, "__dataclass_fields__", {})
    for key in settings:
        if key not in known:
            raise FileRefused(f"{what}: {unknown_name('setting', str(key), known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FileRefused(f"{what}: {where}: {_said(first)}") from None


def _sentence(path: Path, data: Any, model: type[BaseModel], error: ValidationError) -> str:
    first = _first(data, error)
    loc = first["loc"]
    held, line = _walk(data, loc)
    if first["type"] == "extra_forbidden":
        said = unknown_name("key", str(loc[-1]), _known_keys(model, loc[:-1]))
    else:
        where = ".".join([*held, str(loc[-1])] if first["type"] == "missing" else held)
        said = f"{where}: {_said(first)}" if where else _said(first)
    return f"{path}:{line}: {said}"


def _first(data: Any, error: ValidationError) -> Any:
    """The first mistake; of a union's branches the one that got deepest into the file."""
    errors = error.errors()
    top, _ = _walk(data, errors[0]["loc"])
    same = [e for e in errors if _walk(data, e["loc"])[0][: len(top)] == top]
    return max(same, key=lambda e: len(_walk(data, e["loc"])[0]))


def _said(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    found = error.get("input")
    shown = "" if isinstance(found, (Mapping, list)) or error["type"] == "missing" else f", found {found!r}"
    return f"{message}{shown}."


def _walk(data: Any, loc: tuple[int | str, ...]) -> tuple[list[str], int]:
    """The steps of `loc` that the file really holds, and the line (from 1) of the last of them.

    Others are the model's own, such as a union's branch, `settings` or `[key]`.
    """
    held, line = [], 1
    for step in loc:
        if not hasattr(data, "lc"):
            break
        marks = data.lc
        try:
            if isinstance(data, Mapping):
                step = next(key for key in data if str(key) == str(step))
                mark = marks.key(step)
            else:
                mark = marks.item(step)
            data = data[step]
        except (StopIteration, KeyError, IndexError, TypeError, AttributeError):
            continue
        held.append(str(step))
        line = mark[0] + 1
    return held, line


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys known at `loc`, walking the model's annotations."""
    kind: Any = model
    for step in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if step not in kind.model_fields:
                continue
            kind = kind.model_fields[str(step)].annotation
        else:
            inner = [arg for arg in get_args(kind) if isinstance(arg, type) and issubclass(arg, BaseModel)]
            kind = inner[0] if inner else kind
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        inner = [arg for arg in get_args(kind) if isinstance(arg, type) and issubclass(arg, BaseModel)]
        kind = inner[0] if inner else model
    return list(kind.model_fields)


def _plain(data: Any) -> Any:
    """ruamel's containers and scalars → Python's own."""
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    for kind in (bool, int, float, str):
        if isinstance(data, kind):
            return kind(data)
    return data
