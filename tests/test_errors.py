"""The exception tree is what its drawing says."""

from __future__ import annotations

import re

import pytest

from lab import errors
from lab.errors import LabError, OperationError, UnknownName, unknown_name


def drawn() -> dict[str, str]:
    """Class → its parent, as the docstring draws them."""
    parents: dict[str, str] = {}
    open_at: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)([A-Z]\w+Error|[A-Z][A-Za-z]+)  ", line):
            depth = len(match[1]) // 4
            parents[match[2]] = open_at.get(depth - 1, "Exception")
            open_at[depth] = match[2]
    return parents


def test_the_drawing_shows_every_class_below_its_parent() -> None:
    classes = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert drawn() == classes
    assert len(classes) == 12


def test_the_drawing_shows_the_exit_codes() -> None:
    shown = {match[1]: int(match[2]) for match in re.finditer(r"(\w+) {2,}.*exit (\d+)", errors.__doc__ or "")}
    assert shown == {"Refused": 12, "RunBroken": 11}


EXIT_CODES = {
    "LabError": 1, "Refused": 12, "FileRefused": 12, "UnknownName": 12, "DoesNotFit": 12, "BinaryMissing": 12,
    "RunBroken": 11, "NodeNotReady": 11, "NetworkBroken": 11,
}  # fmt: skip


@pytest.mark.parametrize("name", EXIT_CODES)
def test_exit_code(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, LabError) and kind.exit_code == EXIT_CODES[name]


def test_outcomes_are_data_and_carry_a_code() -> None:
    assert not issubclass(OperationError, LabError)
    assert errors.OperationFailed("no_responders").code == "no_responders"


NAMES = {
    "near": ("sgg", ["us", "sg"], "unknown region 'sgg' (did you mean 'sg'?); known: sg, us."),
    "far": ("tokyo", ["us", "sg"], "unknown region 'tokyo'; known: sg, us."),
    "none known": ("us", [], "unknown region 'us'; known: none."),
}


@pytest.mark.parametrize("case", NAMES)
def test_unknown_name(case: str) -> None:
    name, known, sentence = NAMES[case]
    assert unknown_name("region", name, known) == sentence
    assert str(UnknownName.of("region", name, known)) == sentence
    assert str(UnknownName.of("region", name, known, "See there.")) == f"{sentence} See there."
