"""YAML 1.2 with line marks, and pydantic's refusals told as `file:line: sentence`.

YAML 1.1 would read a region called `no` as False; ruamel.yaml speaks 1.2 and keeps the lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from lab import mistakes, yaml_text
from lab.errors import FileRefused, Refused, UnknownName, unknown_name

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")


def find(what: str, name: str, folder: Path, listed: Callable[[Path], bool] = lambda _: True) -> Path:
    """The file meant by `name`: a path as it is, else `folder/name.yaml`. Raises UnknownName.

    listed: which files of the folder are named as known when there is none of that name.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UnknownName(f"{what} file {name!r} does not exist; give an existing file or a name.")
        return path
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise UnknownName.of(what, name, (p.stem for p in folder.glob("*.yaml") if listed(p)))
    return path


def load(path: Path, model: type[Model]) -> Model:
    """Read and validate one file; its name fills an empty `name`. Raises FileRefused."""
    data = read(path)
    if not isinstance(data, Mapping):
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        raise FileRefused(f"{path}:1: {mistakes.no_mapping(data, required)}")
    try:
        value = model.model_validate(_plain(data))
    except ValidationError as error:
        raise FileRefused(_sentence(path, data, model, error)) from None
    if "name" in model.model_fields and not getattr(value, "name", None):
        value = value.model_copy(update={"name": path.stem})
    return value


def read(path: Path) -> Any:
    """A YAML file as ruamel's round-trip data. Raises FileRefused with the line of the mistake."""
    text = yaml_text.text_of(path)
    try:
        yaml_text.check(path, text)
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line, sentence = mistakes.in_yaml(error)
        raise FileRefused(f"{path}:{line}: {sentence}") from None


@contextmanager
def placed(path: Path | None, *loc: int | str) -> Iterator[None]:
    """What is refused within is told with the file and the line of what lies at `loc`; None: as it is."""
    try:
        yield
    except Refused as refused:
        if path is None:
            raise
        raise type(refused)(f"{path}:{line_of(path, *loc)}: {refused}") from None


def line_of(path: Path, *loc: int | str) -> int:
    """The line, from 1, of what lies at `loc` in a YAML file."""
    return _walk(read(path), loc)[1]


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
        # by way of JSON: a list may be a tuple there, while '50' and true are still no numbers
        return TypeAdapter(kind).validate_json(json.dumps(dict(settings), default=str), strict=True)
    except ValidationError as error:
        raise FileRefused(f"{what}: {_of_settings(settings, error.errors())}") from None


def _of_settings(settings: Mapping[str, Any], errors: Sequence[Any]) -> str:
    """The first mistake; of a setting that may be of several kinds, every kind."""
    first = errors[0]
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return mistakes.missing(str(first["loc"][0]), "setting")
    held = _held(settings, first["loc"])
    same = [error for error in errors if _held(settings, error["loc"])[:1] == held[:1]]
    deepest = max((_held(settings, error["loc"]) for error in same), key=len)
    said = mistakes.in_values([error for error in same if _held(settings, error["loc"]) == deepest])
    return f"{'.'.join(deepest)}: {said}" if deepest else said


def _sentence(path: Path, data: Any, model: type[BaseModel], error: ValidationError) -> str:
    first = _first(data, error)
    loc = (*first["loc"], *getattr((first.get("ctx") or {}).get("error"), "steps", ()))
    held, line = _walk(data, loc)
    if first["type"] == "extra_forbidden":
        return f"{path}:{line}: {unknown_name('key', str(loc[-1]), _keys(model, loc[:-1]))}"
    where = ".".join(held)
    if first["type"] == "missing":
        about = _keys(model, loc[:-1]).get(str(loc[-1]), "")
        said = mistakes.missing(str(loc[-1]), about=about)
    else:
        said = mistakes.in_value(first)
    return f"{path}:{line}: {where}: {said}" if where else f"{path}:{line}: {said}"


def _first(data: Any, error: ValidationError) -> Any:
    """The first mistake; of a union's branches the one that got deepest into the file."""
    errors = error.errors()
    top, _ = _walk(data, errors[0]["loc"])
    same = [e for e in errors if _walk(data, e["loc"])[0][: len(top)] == top]
    return max(same, key=lambda e: len(_walk(data, e["loc"])[0]))


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


def _held(data: Any, loc: tuple[int | str, ...]) -> list[str]:
    """The steps of `loc` that plain data really holds; others are the model's own."""
    held = []
    for step in loc:
        known: Any = data if isinstance(data, Mapping) else range(len(data)) if isinstance(data, list) else ()
        if step in known:
            held.append(str(step))
            data = data[step]
    return held


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> dict[str, str]:
    """The keys known at `loc` with what they mean, walking the model's annotations."""
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
    return {name: field.description or "" for name, field in kind.model_fields.items()}


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
