"""Waiting for what nobody announces: a process that ends, a log that says something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

POLL_S = 0.1


async def until(reached: Callable[[], bool], seconds: float) -> bool:
    """Wait until `reached`, for `seconds` at most; say whether it is."""
    last = time.monotonic() + seconds
    while not (found := reached()) and time.monotonic() < last:  # noqa: ASYNC110 - other processes set no events of ours
        await asyncio.sleep(POLL_S)
    return found
