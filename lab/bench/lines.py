"""One line of the table: what was measured, of whom, what it had to be, and whether it was.

Owns the bars' arithmetic and the words for numbers; knows nothing of how a number was had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from lab.bench.spread import Spread, ratios


@dataclass(frozen=True)
class Line:
    """Texts as they are shown; numbers: what they were made of, for JSON. met None: there is no bar, or
    nothing was measured."""

    row: int
    what: str
    syncstore: str = ""
    jetstream: str = ""
    ratio: str = ""
    bar: str = ""
    met: bool | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return _finite(asdict(self))  # type: ignore[no-any-return]


def beside(
    row: int,
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    lower_by: float | None = None,
) -> Line:
    """Both stores, pair by pair. The ratio is ours ÷ theirs; for `lower_by`, how many times lower ours is."""
    found = ratios(theirs, ours) if lower_by is not None else ratios(ours, theirs)
    of = Spread.of(found)
    bar, met = "", None
    if at_least is not None:
        bar, met = f"≥ {at_least:g} ×", of.median >= at_least
    elif at_most is not None:
        bar, met = f"≤ {at_most:g} ×", of.median <= at_most
    elif lower_by is not None:
        bar, met = f"≥ {lower_by:g} × lower", of.median >= lower_by
    numbers = {"unit": unit, "syncstore": list(ours), "jetstream": list(theirs), "ratios": found, "ratio": asdict(of)}
    return Line(row, what, middle(ours, unit), middle(theirs, unit), times(of), bar, met, numbers)


def against(
    row: int, what: str, harmed: Sequence[float], steady: Sequence[float], *, within: float, or_ms: float, name: str
) -> Line:
    """SyncStore against itself, pair by pair, in ms: met where it is slower by no more than either limit.

    within: a share, such as 0.1; name: what the other one of a pair is called.
    """
    found = ratios(harmed, steady)
    added = [one - other for one, other in zip(harmed, steady, strict=True)]
    of, more = Spread.of(found), Spread.of(added)
    met = of.median <= 1 + within or more.median <= or_ms
    numbers = {
        "unit": "ms", "syncstore": list(harmed), name: list(steady),
        "ratios": found, "ratio": asdict(of), "added_ms": added,
    }  # fmt: skip
    bar = f"+{within:.0%} or +{or_ms:g} ms"
    return Line(row, f"{what} ({name} {middle(steady, 'ms')})", middle(harmed, "ms"), "", times(of), bar, met, numbers)


def alone(row: int, what: str, value: float, unit: str, *, at_most: float | None = None, **numbers: Any) -> Line:
    """A number that is compared with a limit only."""
    bar = "" if at_most is None else f"≤ {at_most:.4g} {unit}"
    met = None if at_most is None else value <= at_most
    return Line(row, what, worded(value, unit), bar=bar, met=met, numbers={"unit": unit, "value": value, **numbers})


def middle(values: Sequence[float], unit: str) -> str:
    return worded(median(values), unit)


def times(of: Spread) -> str:
    """`1.31 × (1.22–1.40)`."""
    return f"{_digits(of.median)} × ({_digits(of.least)}–{_digits(of.most)})"


def worded(value: float, unit: str) -> str:
    """`12,345/s`, `0.42 ms`."""
    if not math.isfinite(value):
        return "none"
    text = f"{value:,}" if isinstance(value, int) else _digits(value)  # an int is a count
    return f"{text}{'' if unit.startswith('/') else ' '}{unit}"


def _digits(value: float) -> str:
    """Three of them, and more only before the point."""
    if not math.isfinite(value):
        return "∞"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def _finite(value: Any) -> Any:
    """JSON knows no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
