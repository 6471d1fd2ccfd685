"""A YAML file's text, refused before it is built into anything when it can't be one of ours.

Whoever writes an experiment means a page of text. So a file of megabytes, one that is no UTF-8, one
nested hundreds deep, and one that grows a thousandfold through its own aliases are mistakes, and are
told quickly. Knows nothing of what the file should say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent
from ruamel.yaml.reader import ReaderError

from lab.errors import FileRefused

MOST_KIB = 128
MOST_DEPTH = 32
MOST_VALUES = 50_000  # aliases counted as what they stand for
TOO_DEEP = f"expected at most {MOST_DEPTH} levels, found more; close brackets, and indent less."


def text_of(path: Path) -> str:
    """The text of a file. Raises FileRefused with the line of the first byte that is no text."""
    try:
        size = path.stat().st_size
        if size > MOST_KIB * 1024:
            found_kib = -(-size // 1024)
            raise FileRefused(
                f"{path}:1: expected at most {MOST_KIB} KiB, found {found_kib:,} KiB; give a file that people wrote."
            )
        data = path.read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02x}, which is none"
        raise FileRefused(f"{path}:{line}: expected UTF-8 text, found {found}; save the file as UTF-8.") from None
    except OSError as error:
        raise FileRefused(
            f"{path}:1: expected a file that can be read, found: {error.strerror}; give a file, and leave to read it."
        ) from None


def check(path: Path, text: str) -> None:
    """Raises FileRefused for what would take for ever to build, or be read as YAML 1.1.

    Mistakes of syntax pass as ruamel's own MarkedYAMLError.
    """
    deep_at = _too_deep(text)
    if deep_at:
        raise FileRefused(f"{path}:{deep_at}: {TOO_DEEP}")
    grown = _Grown()
    try:
        for event in YAML(typ="rt").parse(text):
            said = grown.take(event)
            if said:
                raise FileRefused(f"{path}:{event.start_mark.line + 1}: {said}")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = f"the character #x{error.character:04x}" if isinstance(error.character, int) else "another character"
        raise FileRefused(f"{path}:{line}: expected text, found {found}; save the file as UTF-8 text.") from None


def _too_deep(text: str) -> int:
    """The line of the first bracket too many, 0 without one. Counted in the raw text: of thousands in a
    row the parser itself reads each one ahead from each, which takes it many seconds."""
    depth = 0
    for index, character in enumerate(text):
        if character in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                return text.count("\n", 0, index) + 1
        elif character in "]}":
            depth -= 1
    return 0


class _Grown:
    """What a stream of YAML events comes to when it is built."""

    def __init__(self) -> None:
        self._open: list[tuple[str | None, int]] = []  # (anchor, values so far) of every collection we are in
        self._sizes: dict[str, int] = {}  # anchor → values it stands for
        self._values = 0

    def take(self, event: Any) -> str:
        """Count one event in; a sentence when that is one too many, else ""."""
        if isinstance(event, DocumentStartEvent) and event.version and tuple(event.version) != (1, 2):
            return (
                "expected YAML 1.2, found a directive that asks for another version "
                "(in 1.1, `no` is false and 1:30 is 90); remove the line."
            )
        if isinstance(event, AliasEvent):
            if any(anchor == event.anchor for anchor, _ in self._open):
                return f"expected *{event.anchor} behind what it stands for, found it inside; write the value out."
            self._values += self._sizes.get(event.anchor, 1)
        elif isinstance(event, ScalarEvent):
            self._values += 1
            self._name(event.anchor, 1)
        elif isinstance(event, CollectionStartEvent):
            self._values += 1
            self._open.append((event.anchor, self._values))
        elif isinstance(event, CollectionEndEvent):
            anchor, before = self._open.pop()
            self._name(anchor, self._values - before + 1)
        if len(self._open) > MOST_DEPTH:
            return TOO_DEEP
        if self._values > MOST_VALUES:
            return (
                f"expected at most {MOST_VALUES:,} values, found more once aliases are written out; use fewer of them."
            )
        return ""

    def _name(self, anchor: str | None, values: int) -> None:
        if anchor:
            self._sizes[anchor] = values
