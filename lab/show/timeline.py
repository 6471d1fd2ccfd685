"""A run's load as a line of time: its phases, and below them when each fault is in force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

LONGEST_LABEL = 22

Stretch = tuple[float, float]


def drawn(
    phases: Sequence[tuple[str, float]], faults: Sequence[tuple[str, Sequence[Stretch]]], width: int
) -> list[str]:
    """Lines of at most `width` letters. phases: (name, how long in s), from 0 on; faults: (label,
    (begin, end) in s of each time it is in force). Every stretch is at least one letter long."""
    labels = [label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…" for label, _ in faults]
    margin = max((len(label) for label in labels), default=0)
    total_s = sum(seconds for _, seconds in phases)
    room = width - margin - 2
    marks_s = [0.0]
    for _, seconds in phases:
        marks_s.append(marks_s[-1] + seconds)

    def column(at_s: float) -> int:
        return round(at_s / total_s * room)

    marks = [column(at_s) for at_s in marks_s]
    lines = [_ticks(marks_s, marks, room), _phases([name for name, _ in phases], marks)]
    lines += [_bars([(column(begin), column(end)) for begin, end in stretches], marks) for _, stretches in faults]
    return [f"{label:>{margin}} {line}".rstrip() for label, line in zip(["", "", *labels], lines, strict=True)]


def _ticks(marks_s: Sequence[float], marks: Sequence[int], room: int) -> str:
    """Seconds above their marks; one that would touch its neighbour is left out, the last never is."""
    last = f"{marks_s[-1]:g} s"
    line = ""
    for at_s, mark in zip(marks_s[:-1], marks[:-1], strict=True):
        text = f"{at_s:g}"
        if mark > len(line) - (not line) and mark + len(text) < room + 1 - len(last):
            line = line.ljust(mark) + text
    return line.ljust(room + 1 - len(last)) + last


def _phases(names: Sequence[str], marks: Sequence[int]) -> str:
    """`|-steady-|--- fault ---|`; a name that does not fit between its marks is left out."""
    line = "|"
    for name, (begin, end) in zip(names, pairwise(marks), strict=True):
        inside = max(0, end - begin - 1)
        line += (name if len(name) <= inside else "").center(inside, "-") + "|"
    return line


def _bars(stretches: Sequence[tuple[int, int]], marks: Sequence[int]) -> str:
    line = [" "] * (marks[-1] + 1)
    for begin, end in stretches:
        for place in range(begin, max(begin + 1, end)):
            line[min(place, marks[-1])] = "#"
    return "".join(line)
