"""How numbers over several runs are said: `28.6 [28.2–29.0]`, `us in 3 of 3`. Text, not looks."""

from __future__ import annotations

import math
from collections.abc import Callable

from lab.repeats.model import Repeats, Spread
from lab.report.words import CUT_LABELS, NOT_MEASURED, percent

Say = Callable[[float], str]
Saying = Callable[[Spread], Say]
ALONE = "a number alone is alike in all runs, to the digits shown."
LEGEND = f"mean [its 95 % interval over seeds, from three on] (least–most); {ALONE}"
SHORT_LEGEND = f"mean [its 95 % interval over seeds]; of two runs, which have none, mean (least–most); {ALONE}"


def short(spread: Spread | None, of: int, say: Saying | None = None) -> str:
    """`28.6 [28.2–29.0]`; of two runs `28.6 (28.5–28.8)`; `1.9 in 1 of 3` where only some have it."""
    return _said(spread, of, say or amount, extremes=False)


def full(spread: Spread | None, of: int, say: Saying | None = None, unit: str = "") -> str:
    """The same with its unit and always the extremes: `28.6 s [28.2–29.0] (28.5–28.8)`."""
    return _said(spread, of, say or amount, extremes=True, unit=unit)


def signed(spread: Spread | None, of: int, say: Saying | None = None) -> str:
    """A difference: `+28.6 [+28.2 to +29.0]`; nothing has no sign."""
    number = say or amount

    def with_sign(held: Spread) -> Say:
        return lambda value: _sign(value, number(held)(abs(value)))

    return _said(spread, of, with_sign, extremes=False, to=" to ")


def _sign(value: float, text: str) -> str:
    return text if not text.strip("0.") else f"{'+' if value > 0 else '−'}{text}"


def _said(
    spread: Spread | None,
    of: int,
    say: Saying,
    *,
    extremes: bool,
    unit: str = "",
    to: str = "–",
) -> str:
    if spread is None:
        return NOT_MEASURED
    number = say(spread)
    mean, least, most = number(spread.mean), number(spread.least), number(spread.most)
    parts = [f"{mean} {unit}".rstrip()]
    if not mean == least == most:
        if spread.interval:
            parts.append(f"[{number(spread.interval[0])}{to}{number(spread.interval[1])}]")
        if extremes or not spread.interval:
            parts.append(f"({least}{to}{most})")
    if spread.count < of:
        parts.append(f"in {spread.count} of {of}")
    return " ".join(parts)


def amount(spread: Spread) -> Say:
    """Three digits of the largest number, the same decimals for all: `1,432`, `28.6`, `0.083`."""
    largest = max(abs(spread.mean), abs(spread.most), abs(spread.least))
    decimals = 0 if largest == 0 else min(3, max(0, 2 - math.floor(math.log10(largest))))

    def say(value: float) -> str:
        text = f"{value:,.{decimals}f}".replace("-", "−")
        return text if spread.least != spread.most or "." not in text else text.rstrip("0").rstrip(".")

    return say


def share(spread: Spread) -> Say:
    """In %, without the sign; never rounded up to 100."""

    def say(value: float) -> str:
        text = percent(value).removesuffix(" %")
        return text if spread.least == spread.most or value == 1 or "." in text else f"{text}.0"

    return say


def runs_said(found: Repeats) -> str:
    """`3 runs, seeds 1, 2, 3: 3 × invalid, all as expected.`"""
    total = sum(found.verdicts.values())
    seeds = sorted([*found.seeds, *(one.seed for one in found.unknown)])
    words = ", ".join(f"{count} × {word}" for word, count in found.verdicts.items())
    expected = "all" if found.as_expected == total else f"{found.as_expected} of {total}"
    many = "runs, seeds" if total > 1 else "run, seed"
    return f"{total} {many} {seeds_said(seeds)}: {words}; {expected} as expected."


def seeds_said(seeds: list[int]) -> str:
    """`1–5` of five or more in a row, else `1, 2, 4`."""
    in_a_row = len(seeds) > 4 and seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    return f"{seeds[0]}–{seeds[-1]}" if in_a_row else ", ".join(map(str, seeds))


def left_out_said(found: Repeats) -> list[str]:
    """A sentence on the runs that no number is made of; runs that say the same share one."""
    seeds: dict[str, list[int]] = {}
    for one in found.unknown:
        more = f" (and {len(one.why) - 1} more)" if len(one.why) > 1 else ""
        why = f"{(one.why or ['no checker said why'])[0].rstrip('.')}{more}"
        seeds.setdefault(why, []).append(one.seed)
    return [
        f"Left out of every number: seed{'s' if len(own) > 1 else ''} {seeds_said(own)}, unknown: {why}."
        for why, own in seeds.items()
    ]


def blast_said(found: Repeats) -> str:
    """`us in 3 of 3 (put 3, watch 1)`: in how many runs a region fell, by operation kind."""
    if not found.seeds:
        return NOT_MEASURED
    of = len(found.seeds)
    regions = [
        f"{region} in {fell.runs} of {of} ({', '.join(f'{CUT_LABELS[kind]} {n}' for kind, n in fell.kinds.items())})"
        for region, fell in found.blast_radius.items()
    ]
    return "; ".join(regions) or "empty"


def together_said(found: Repeats) -> str:
    """One line: blast radius, collateral, second wave."""
    of = len(found.seeds)
    parts = [f"Blast radius: {blast_said(found)}"]
    if found.collateral_region_seconds:
        parts.append(f"collateral {full(found.collateral_region_seconds, of, unit='region-seconds')}")
    if found.second_wave:
        waves = ", ".join(f"{region} in {n} of {of}" for region, n in found.second_wave.items())
        parts.append(f"second wave after the heal: {waves}")
    return " · ".join(parts) + "."
