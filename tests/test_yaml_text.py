"""What is refused before it is built, and what is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab import files
from lab.errors import FileRefused
from lab.yaml_text import MOST_DEPTH, MOST_KIB, MOST_VALUES

ALIASES = "a: &a [1, 2, 3]\n" + "".join(f"b{n}: *a\n" for n in range(100))
FINE = {
    "aliases of a little": ALIASES,
    "a merge key": "a: &a {x: 1}\nb: {<<: *a, y: 2}\n",
    "as many levels as there may be": "[" * MOST_DEPTH + "]" * MOST_DEPTH,
    "brackets in text": f"a: '{'[' * 20}'\nb: '{']' * 20}'\nc: '{'[' * 20}'\n",
    "a byte order mark": "\ufeffa: 1\n",
    "the lines of another system": "a: 1\r\nb: 2\r\n",
    "a long text": f"a: {'x' * 60_000}\n",
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(text.encode())
    files.read(path)


DEEP = f"expected at most {MOST_DEPTH} levels, found more; close brackets, and indent less."
GROWN = f"expected at most {MOST_VALUES:,} values, found more once aliases are written out; use fewer of them."
BOMB = "a: &a [1,1]\nb0: &b0 [*a,*a]\n" + "".join(f"b{n}: &b{n} [*b{n - 1},*b{n - 1}]\n" for n in range(1, 60))
REFUSED = {
    "brackets": ("a: 1\n" + "[" * (MOST_DEPTH + 1), 2, DEEP),
    "lists of lists": ("- " * 40 + "1\n", 1, DEEP),
    "thousands of brackets": ("[" * 30_000 + "]" * 30_000, 1, DEEP),
    "indentation": ("".join(f"{' ' * n}a:\n" for n in range(60)), MOST_DEPTH + 1, DEEP),
    "aliases of aliases": (BOMB, 14, GROWN),
    "too many of a large one": (f"a: &a [{'1,' * 9_000}1]\n" + "".join(f"b{n}: *a\n" for n in range(9)), 6, GROWN),
    "a character of no text": (
        "a: 1\nb: \x07\n",
        2,
        "expected text, found the character #x0007; save the file as UTF-8 text.",
    ),
    "too large": (
        "#" * (MOST_KIB * 1024 + 1),
        1,
        f"expected at most {MOST_KIB} KiB, found {MOST_KIB + 1} KiB; give a file that people wrote.",
    ),
}


@pytest.mark.parametrize(("text", "line", "sentence"), REFUSED.values(), ids=REFUSED)
def test_is_refused_quickly(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(text.encode())
    begun_s = time.monotonic()
    with pytest.raises(FileRefused) as refusal:
        files.read(path)
    assert time.monotonic() - begun_s < 5
    assert str(refusal.value) == f"{path}:{line}: {sentence}"
