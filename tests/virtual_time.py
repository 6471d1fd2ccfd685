"""An event loop whose clock jumps to the next timer: a minute's run in a second, always the same.

For runs on the `memory` runtime only, where nothing but timers makes anything happen.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any
from unittest import mock


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits while a timer is due some day: the time until then has passed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # nothing but another thread can make something happen
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def now_ns(self) -> int:
        return round(self._jumping.now_s * 1e9)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """asyncio.run in virtual time; `clock.now_ns` is the loop's, wherever it was imported."""
    loop = VirtualLoop()
    with mock.patch("time.monotonic_ns", loop.now_ns), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
