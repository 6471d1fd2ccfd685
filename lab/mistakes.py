"""Mistakes in files, told to whoever wrote them: what was expected, what was found, what to do.

YAML's parser and pydantic speak to programmers; here their errors become sentences without a word
of theirs. Knows no file: where a mistake stands is for `files`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

from ruamel.yaml.error import MarkedYAMLError


class Below(ValueError):
    """What a validator says of something below the field it checks; `steps` lead there."""

    def __init__(self, sentence: str, *steps: int | str) -> None:
        super().__init__(sentence)
        self.steps = steps


MOST_SHOWN = 80  # characters of what was found
PATTERNS = {"^[a-z][a-z0-9]{0,11}$": "a small letter and up to 11 small letters or digits"}

# -- YAML -----------------------------------------------------------------------------------------


def in_yaml(error: MarkedYAMLError) -> tuple[int, str]:
    """(line from 1, sentence) of what is no YAML."""
    problem, context = str(error.problem or ""), str(error.context or "")
    found_at = error.problem_mark.line + 1 if error.problem_mark else 1
    began_at = error.context_mark.line + 1 if error.context_mark else found_at
    for pattern, at_begin, say in _YAML:
        match = re.search(pattern, f"{context}: {problem}", re.DOTALL)
        if match:
            line = began_at if at_begin else found_at
            elsewhere = f" in line {found_at}" if found_at != line else ""
            return line, say(match, elsewhere)
    return found_at, (
        f"expected YAML, found a mistake in it ({problem or context}); "
        "look at the indentation, quotes, colons and brackets of this line and the one above."
    )


def _unclosed(match: re.Match[str], elsewhere: str) -> str:
    opening, closing = ("[", "]") if match["what"] == "sequence" else ("{", "}")
    found = _TOKENS.get(match["token"], "something else")
    found += "" if match["token"] == "<stream end>" else elsewhere
    return (
        f"expected {closing!r} to close the {opening!r} of this line, found {found}; "
        f"close it, and put a comma between entries."
    )


_TOKENS = {
    "<stream end>": "the end of the file",
    "<document end>": "the end of the file",
    "<scalar>": "more text",
    ":": "another `key:`",
    "?": "another `key:`",
}

# pattern of `context: problem`; whether the line is where it began; the sentence
_YAML: Sequence[tuple[str, bool, Callable[[re.Match[str], str], str]]] = (
    (
        r"found character '\\t'",
        False,
        lambda m, _: "expected spaces, found a tab; indent and separate with spaces only.",
    ),
    (
        r"found character '(.*)' that cannot start",
        False,
        lambda m, _: f"expected a value, found {m[1]!r}, which can't begin one; put the text in quotes.",
    ),
    (
        r'found duplicate key "([^"]*)"',
        False,
        lambda m, _: f"expected each key once, found {m[1]!r} again; remove one of the two, or join what they hold.",
    ),
    (
        r"flow (?P<what>sequence|mapping): expected ',' or '.', but got '(?P<token>[^']*)'",
        True,
        _unclosed,
    ),
    (
        r"quoted scalar: found unexpected (end of stream|document separator)",
        True,
        lambda m, _: "expected a quote that closes the one of this line, found the end of the file; add it.",
    ),
    (
        r"could not find expected ':'",
        True,
        lambda m, _: "expected `key: value`, found no colon with a blank behind it; write one after the key.",
    ),
    (
        r"mapping values are not allowed",
        False,
        lambda m, _: (
            "expected `key: value`, found another colon behind it, or a line indented unlike its neighbours; "
            "put text that holds a colon in quotes, or mend the indentation."
        ),
    ),
    (
        r"expected <block end>, but found '<scalar>'",
        False,
        lambda m, _: "expected the value's end, found more text behind its closing quote; write a quote in '…' twice.",
    ),
    (
        r"expected <block end>, but found|sequence entries are not allowed",
        False,
        lambda m, _: "expected a line indented like its neighbours, found another indentation; align it with them.",
    ),
    (
        r"expected the node content, but found '<stream end>'",
        True,
        lambda m, _: "expected a value, found the end of the file; write one, and close what was opened.",
    ),
    (
        r"found undefined alias '(.*)'",
        False,
        lambda m, _: f"expected &{m[1]} before *{m[1]}, found none; put the text in quotes if the star belongs to it.",
    ),
    (
        r"but found another document",
        False,
        lambda m, _: "expected one document, found a second one behind `---`; keep one of them.",
    ),
)

# -- values ---------------------------------------------------------------------------------------


def in_value(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors about a value that is there, as a sentence with its full stop."""
    return in_values([error])


def in_values(errors: Sequence[Mapping[str, Any]]) -> str:
    """Errors about one value that may be of several kinds, as one sentence."""
    first = errors[0]
    kind, found = str(first["type"]), first.get("input")
    if kind in ("value_error", "assertion_error"):  # our own words
        words = str(first["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
        return f"{words}{_found_by(found)}."
    kinds = dict.fromkeys(_expected(str(one["type"]), one.get("ctx") or {}, str(one["msg"])) for one in errors)
    expected = " or ".join(kinds)
    return f"expected {expected}, found {_shown(first, expected)}{_advice(kind, found)}."


def missing(key: str, what: str = "key", about: str = "") -> str:
    """A key that has to be there."""
    meaning = f" ({about.rstrip('.')})" if about else ""
    return f"expected the {what} {key!r}, found none; add `{key}: …`{meaning}."


def no_mapping(found: Any, required: Sequence[str]) -> str:
    """A whole file that holds no keys."""
    least = " and ".join(f"`{key}: …`" for key in required) or "`key: …`"
    return f"expected a mapping of keys (`key: value`), found {said(found)}; write at least {least}."


def said(found: Any) -> str:
    """What was found, as its writer would call it."""
    if found is None:
        return "nothing"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, Mapping):
        return "a mapping" if found else "an empty mapping"
    if isinstance(found, (list, tuple)):
        return "a list" if found else "an empty list"
    if isinstance(found, (int, float)):
        return repr(found)
    if isinstance(found, date):
        return f"the date {found.isoformat()}"
    if isinstance(found, str):
        return repr(found if len(found) <= MOST_SHOWN else f"{found[:MOST_SHOWN]} …")
    return "a tag or another thing that is no plain value"


_NUMBERS = ("int_type", "int_parsing", "int_from_float", "float_type", "float_parsing")
_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "dataclass_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    match kind:
        case "greater_than_equal":
            return f"{context['ge']:g} or more"
        case "greater_than":
            return f"more than {context['gt']:g}"
        case "less_than_equal":
            return f"{context['le']:g} or less"
        case "less_than":
            return f"less than {context['lt']:g}"
        case "literal_error" | "enum":
            return str(context["expected"])
        case "too_short":
            return f"at least {context['min_length']} entries"
        case "too_long":
            return f"at most {context['max_length']} entries"
        case "string_pattern_mismatch":
            return PATTERNS.get(str(context["pattern"]), f"text of the form {context['pattern']}")
    return _KINDS.get(kind) or message.removeprefix("Input should be ").removeprefix("a valid ").rstrip(".")


def _shown(error: Mapping[str, Any], expected: str) -> str:
    found = error.get("input")
    if error["type"] in ("too_short", "too_long"):
        return str((error.get("ctx") or {}).get("actual_length", said(found)))
    near = get_close_matches(found, re.findall(r"'([^']*)'", expected), n=1) if isinstance(found, str) else []
    return said(found) + (f" (did you mean {near[0]!r}?)" if near else "")


def _found_by(found: Any) -> str:
    """Our own sentences about a whole mapping or list say themselves what they found."""
    return "" if isinstance(found, (Mapping, list)) else f", found {said(found)}"


def _advice(kind: str, found: Any) -> str:
    if found is None:
        return "; write it behind the colon, or below it"
    if kind in _NUMBERS and isinstance(found, str):
        return "; write digits alone, as in 90: no quotes, unit or colon"
    if kind == "string_type":
        return "; put it in quotes" if not isinstance(found, (Mapping, list)) else ""
    if kind in ("list_type", "tuple_type"):
        return "; begin each entry's line with `- `"
    if _KINDS.get(kind) == "a mapping of keys":
        return "; write `key: value`, a line each, indented below it"
    return ""
