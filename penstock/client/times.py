"""Where reading begins: `earliest`, `latest`, an ISO 8601 time, or a span back from now such as `-2h`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

Begin = Literal["earliest", "latest"] | int
"""An int is epoch milliseconds."""

_SPAN = re.compile(r"-(\d{1,9})([smhdw])\Z")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def begin_of(text: str, now_ms: int) -> Begin:
    """Return where `text` means to begin; ValueError says what it may be. A time without a zone is local."""
    if text == "earliest":
        return "earliest"
    if text == "latest":
        return "latest"
    span = _SPAN.match(text)
    if span:
        return max(0, now_ms - int(span[1]) * _UNIT_MS[span[2]])
    try:
        at = datetime.fromisoformat(text)
        return max(0, int(at.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is no time: earliest, latest, ISO 8601 (2026-05-01T12:00:00Z), or a span back such as -30m, -2h, -7d"
        ) from None
