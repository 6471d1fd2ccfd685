"""Reads what people are told from where it stands: docstrings, dataclass fields and their annotations.

A setting's meaning is written `name: meaning` at the begin of a line or sentence of its class's docstring.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML

WORDS = {float: "number", int: "whole number", str: "text", bool: "true | false"}


@dataclass(frozen=True)
class Setting:
    """One field of a dataclass; `default` is "" where a value must be given."""

    name: str
    kind: str
    default: str
    meaning: str


def loaded(target: str) -> Any:
    """`module:name` → the thing."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def module(target: str) -> Any:
    """The module a registered thing stands in."""
    return import_module(target.partition(":")[0])


def paragraphs(thing: Any) -> list[str]:
    """The docstring's paragraphs, each on one line; lists keep their lines apart."""
    text = cleandoc(thing.__doc__ or "")
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        parts = re.split(r"\n(?=[-*] )", block)
        found += [" ".join(part.split()) for part in parts if part.strip()]
    return found


def about(kind: type) -> list[str]:
    """What a class's docstring says beside the meanings of its settings."""
    told, _ = _parted(kind)
    return told


def settings(kind: type) -> list[Setting]:
    """The settings of a dataclass, as a user may write them."""
    _, meanings = _parted(kind)
    hints = get_type_hints(kind)
    return [
        Setting(
            field.name,
            type_words(hints[field.name]),
            "" if field.default is MISSING and field.default_factory is MISSING else flow(_default(field)) or "empty",
            meanings.get(field.name, ""),
        )
        for field in fields(kind)
    ]


def type_words(hint: Any) -> str:
    """`number or [number, number]`, `stall | blackhole`, `list of text`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        return " or ".join(type_words(one) for one in inner if one is not NoneType)
    if origin in (tuple, list, Sequence):
        if origin is not tuple or inner[-1] is Ellipsis:
            return f"list of {type_words(inner[0])}"
        return f"[{', '.join(type_words(one) for one in inner)}]"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def flow(value: Any) -> str:
    """A value as YAML on one line, as people write it: `{region: sg, add_ms: [1000, 2000]}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]" if value else ""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return f"{value:.12g}"
    text = str(value)
    return text if not text or _is_plain(text) else f'"{text}"'


def _is_plain(text: str) -> bool:
    """Whether YAML reads these letters as this text."""
    return not re.search(r"[^\w./@+=-]", text) and YAML(typ="safe", pure=True).load(text) == text


def _default(field: Any) -> Any:
    return field.default if field.default is not MISSING else field.default_factory()


def _parted(kind: type) -> tuple[list[str], dict[str, str]]:
    """(paragraphs without them, setting → meaning)."""
    names = "|".join(field.name for field in fields(kind))
    told: list[str] = []
    meanings: dict[str, str] = {}
    for paragraph in paragraphs(kind):
        if not names:
            told.append(paragraph)
            continue
        first, *rest = re.split(rf"(?:^|(?<=[.:)] ))({names}): ", paragraph)
        if first.strip():
            told.append(first.strip())
        meanings.update({name: meaning.strip() for name, meaning in zip(rest[::2], rest[1::2], strict=True)})
    return told, meanings
