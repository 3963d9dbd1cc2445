"""Read what a provider says of its rate limits: `x-ratelimit-remaining-*` and `x-ratelimit-reset-*`, as OpenAI sends them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.providers.retry_after import LONGEST_MS

_SCALE_MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def exhausted_for_ms(headers: Mapping[str, str]) -> int | None:
    """Return for how long nothing is left, by the longest of the limits that are used up; None if none is."""
    waits = []
    for what in ("requests", "tokens"):
        left = headers.get(f"x-ratelimit-remaining-{what}")
        reset = duration_ms(headers.get(f"x-ratelimit-reset-{what}", ""))
        if left is not None and left.strip() == "0" and reset is not None:
            waits.append(reset)
    return max(waits, default=None)


def duration_ms(text: str) -> int | None:
    """Return the milliseconds of `1s`, `6m0s`, `20ms` or `1.5s`; None for anything else."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return int(min(sum(float(number) * _SCALE_MS[unit] for number, unit in parts), LONGEST_MS))
