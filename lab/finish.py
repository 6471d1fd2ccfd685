"""Steps that must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def to_the_end(step: Coroutine[Any, Any, None]) -> None:
    """Finish a step even when cancelled in the middle of it, however often: half a heal is a new fault.

    Then raises what the step raised or, when it was cancelled, CancelledError.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # seen: the cancellation is what counts
    raise cancelled
