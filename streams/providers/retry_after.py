"""Read how long a provider wants to be left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_MS = 24 * 3600 * 1000
"""A wish for more than a day is a mistake or a trick; the run has a deadline of its own."""


def retry_after_ms(headers: Mapping[str, str], now: datetime) -> int | None:
    """Return the wait in milliseconds from `retry-after-ms` or `retry-after` (seconds or a date), else None."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is None:
        wish = headers.get("retry-after")
        seconds = _number(wish)
        if seconds is None:
            seconds = _seconds_until(wish, now)
        milliseconds = None if seconds is None else seconds * 1000
    if milliseconds is None:
        return None
    return math.ceil(min(max(milliseconds, 0.0), LONGEST_MS))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds_until(text: str | None, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
