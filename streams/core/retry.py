"""When the next attempt is due, if there is one."""

from __future__ import annotations

from schemas.records import ErrorInfo
from topology.plan import RetryPolicy

JITTER_SHARE = 0.25
"""A wait grows by up to this share of itself, so that runs which failed together do not come back together."""

MAX_WAIT_MS = 24 * 3600 * 1000


def next_due(policy: RetryPolicy, attempt: int, error: ErrorInfo, now: int, jitter: float) -> int | None:
    """Return when the attempt after `attempt` (they count from 1) is due in epoch ms, None if there is none."""
    if not error.retryable or attempt > policy.max_retries:
        return None
    backoff = policy.backoff_ms << min(attempt - 1, 40)
    wait = min(backoff + int(backoff * JITTER_SHARE * jitter), MAX_WAIT_MS)
    return now + max(wait, error.retry_after_ms or 0)
