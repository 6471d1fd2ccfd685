"""How the report says numbers, lists, kinds and harm; None is "–", never 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NOT_MEASURED = "–"
CUT_WORDS = {"put": "put", "get_own": "get own", "get_others": "get others'", "watch": "watch"}
CUT_LABELS = {"overall": "all", **CUT_WORDS, "own_keys": "own keys", "others_keys": "others' keys"}


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def percent(value: float | None) -> str:
    """A share as %, never rounded up to 100."""
    if value is None:
        return NOT_MEASURED
    shown = f"{value * 100:.1f}"
    return "99.9+ %" if shown == "100.0" and value < 1 else f"{shown.removesuffix('.0')} %"


def seconds(value: float | None) -> str:
    """`29 s`, `1.4 s`, `50 ms`."""
    if value is None:
        return NOT_MEASURED
    if abs(value) >= 9.95 or value == int(value):
        return f"{value:.0f} s"
    return f"{value:.1f} s" if abs(value) >= 0.1 else f"{value * 1000:.0f} ms"


def milliseconds(value: float | None) -> str:
    """`0.8 ms`, `85 ms`, `1,980 ms`."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f} ms" if abs(value) >= 9.95 else f"{value:.1f} ms"


def count(value: int | None) -> str:
    """`12,345`."""
    return NOT_MEASURED if value is None else f"{value:,}"


def spread(values: Sequence[float]) -> str:
    """`+1025…+1980 ms`, or one number when all are alike."""
    low, high = min(values), max(values)
    return f"{low:+.0f} ms" if round(low) == round(high) else f"{low:+.0f}…{high:+.0f} ms"


def harm_words(harm: dict[str, Any]) -> str:
    """What one link suffers, in words: `+1,432 ms`, `cut (stall)`, `≤ 64 KB/s`."""
    words = [f"{key} {value}" for key, value in harm.items() if key not in ("latency_ms", "cut", "rate_kbps")]
    if "rate_kbps" in harm:
        words.insert(0, f"≤ {harm['rate_kbps']:g} KB/s")
    if "cut" in harm:
        words.insert(0, f"cut ({harm['cut']})")
    if "latency_ms" in harm:
        words.insert(0, f"+{harm['latency_ms']:,.0f} ms")
    return ", ".join(words)
