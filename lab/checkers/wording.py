"""Sentences: how checkers list names. Knows nothing of what they check."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str]) -> str:
    """`us`, `us and eu`, `us, eu and sg`; `nobody` for none."""
    *head, last = list(names) or ["nobody"]
    return f"{', '.join(head)} and {last}" if head else last


def were(names: Iterable[str]) -> str:
    """`us was`, `us and eu were`."""
    known = list(names)
    return f"{listed(known)} {'were' if len(known) > 1 else 'was'}"
