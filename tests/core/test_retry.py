"""When the next attempt is due (DESIGN.md 5): `backoff_ms`, twice that, and so on, plus jitter; Retry-After wins if longer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ErrorInfo
from streams.core.retry import JITTER_SHARE, MAX_WAIT_MS, next_due
from topology.plan import RetryPolicy

POLICY = RetryPolicy(max_retries=3, backoff_ms=800)


def error(retryable: bool = True, retry_after_ms: int | None = None) -> ErrorInfo:
    return ErrorInfo("handler", "boom", retryable, retry_after_ms)


@pytest.mark.parametrize(("attempt", "wait"), [(1, 800), (2, 1600), (3, 3200), (4, None)])
def test_backoff_doubles_and_ends(attempt: int, wait: int | None) -> None:
    """`max_retries: 3` is at most 4 attempts."""
    assert next_due(POLICY, attempt, error(), 1000, 0.0) == (None if wait is None else 1000 + wait)


def test_no_retries_is_one_attempt() -> None:
    assert next_due(RetryPolicy(0, 800), 1, error(), 0, 0.0) is None


def test_not_retryable_is_never_tried_again() -> None:
    assert next_due(POLICY, 1, error(retryable=False, retry_after_ms=5), 0, 0.0) is None


@pytest.mark.parametrize(("asked", "wait"), [(None, 800), (10, 800), (0, 800), (5000, 5000)])
def test_retry_after_wins_if_longer(asked: int | None, wait: int) -> None:
    assert next_due(POLICY, 1, error(retry_after_ms=asked), 0, 0.0) == wait


@given(attempt=st.integers(1, 10_000), backoff=st.integers(0, 10**9), jitter=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_its_backoff_plus_at_most_its_share_of_jitter(attempt: int, backoff: int, jitter: float) -> None:
    due = next_due(RetryPolicy(10_000, backoff), attempt, error(), 0, jitter)
    plain = min(backoff * 2 ** (attempt - 1), MAX_WAIT_MS)
    assert due is not None
    assert plain <= due <= min(plain * (1 + JITTER_SHARE), MAX_WAIT_MS)
