"""The words of YAML's and pydantic's errors that no file of `test_wrong_files` brings forth."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Literal, get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from lab import mistakes
from lab.topology import RegionName

YAMLS = [
    # text, line, sentence
    ("a: @b\n", 1, "expected a value, found '@', which can't begin one; put the text in quotes."),
    ("a: `b`\n", 1, "expected a value, found '`', which can't begin one; put the text in quotes."),
    ("a: *b\n", 1, "expected &b before *b, found none; put the text in quotes if the star belongs to it."),
    ("a: 1\n---\nb: 2\n", 2, "expected one document, found a second one behind `---`; keep one of them."),
    ("a: [b\n", 1, "expected ']' to close the '[' of this line, found the end of the file; close it, and"),
    ("a: [b, 'c\n", 1, "expected a quote that closes the one of this line, found the end of the file; add it."),
    ("a: - b\n", 1, "expected a line indented like its neighbours, found another indentation; align it with them."),
    ("a: !<x\n", 1, "expected YAML, found a mistake in it ("),
    ('a: "\\q"\n', 1, "expected YAML, found a mistake in it ("),
]


@pytest.mark.parametrize(("text", "line", "sentence"), YAMLS, ids=[row[0].strip() for row in YAMLS])
def test_yaml(text: str, line: int, sentence: str) -> None:
    with pytest.raises(MarkedYAMLError) as error:
        YAML(typ="rt").load(text)
    found = mistakes.in_yaml(error.value)
    assert found[0] == line
    assert found[1].startswith(sentence)


VALUES: list[tuple[Any, Any, str]] = [
    (bool, "maybe", "expected true or false, found 'maybe'."),
    (int, 1.5, "expected a whole number, found 1.5."),
    (float, None, "expected a number, found nothing; write it behind the colon, or below it."),
    (str, date(2023, 3, 1), "expected text, found the date 2023-03-01; put it in quotes."),
    (list[int], 3, "expected a list, found 3; begin each entry's line with `- `."),
    (
        dict[str, int],
        [1],
        "expected a mapping of keys, found a list; write `key: value`, a line each, indented below it.",
    ),
    (Literal["home", "any"], "hom", "expected 'home' or 'any', found 'hom' (did you mean 'home'?)."),
    (Literal["home", "any"], {}, "expected 'home' or 'any', found an empty mapping."),
    (int, "far too " * 50, "expected a whole number, found 'far too far too "),
]


@pytest.mark.parametrize(("kind", "value", "sentence"), VALUES, ids=[row[2] for row in VALUES])
def test_values(kind: Any, value: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(kind).validate_python(value)
    said = mistakes.in_value(error.value.errors()[0])  # type: ignore[arg-type]
    assert said.startswith(sentence[:-1])
    assert len(said) < 200
    assert not re.search("Input|dictionary|string|integer|None", said)


def test_the_form_of_a_regions_name_is_said_in_words() -> None:
    """Else a reader would be shown a regular expression."""
    [constraint] = [one for one in get_args(RegionName) if hasattr(one, "pattern")]
    assert constraint.pattern in mistakes.PATTERNS
