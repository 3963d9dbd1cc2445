"""The rate limit: never more than it allows in any minute, and those told a time go before those that come new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.core.rate_limit import MINUTE_MS, RateLimit


@given(
    per_minute=st.integers(1, 6_000),
    calls=st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 50), st.booleans()), max_size=200),
)
def test_no_minute_has_more_than_the_limit_and_what_the_bucket_holds(
    per_minute: int, calls: list[tuple[int, int, bool]]
) -> None:
    limit, now, taken = RateLimit(per_minute), 0, []
    for wait, units, returning in calls:
        now += wait
        if limit.take(units, now, returning=returning) is None:
            taken.append((now, units))
    capacity, dearest = max(1.0, per_minute / 60), max((units for _, units in taken), default=0)
    for begin, _ in taken:
        within = sum(units for at, units in taken if begin <= at < begin + MINUTE_MS)
        assert within <= per_minute + capacity + dearest


def test_what_has_to_wait_is_told_when() -> None:
    limit = RateLimit(60)
    assert limit.take(1, 0, returning=False) is None
    assert [limit.take(1, 0, returning=False) for _ in range(3)] == [1_001, 2_001, 3_001]


def test_a_call_that_comes_back_goes_before_one_that_comes_new() -> None:
    limit = RateLimit(60)
    limit.take(1, 0, returning=False)
    due = limit.take(1, 0, returning=False)
    assert due == 1_001
    assert limit.take(1, due, returning=False) is not None, "there is room, but it is booked"
    assert limit.take(1, due, returning=True) is None


def test_a_call_dearer_than_the_bucket_goes_when_it_is_full() -> None:
    limit = RateLimit(600)
    assert limit.take(1_000, 0, returning=False) is None
    assert limit.take(1, 0, returning=True) is not None
    assert limit.take(1, 99_000, returning=True) is not None, "it is in debt for what it let through"
    assert limit.take(1, 101_000, returning=True) is None


def test_an_estimate_is_corrected() -> None:
    limit = RateLimit(600)
    assert limit.take(10, 0, returning=False) is None
    limit.correct(-9)
    assert limit.take(9, 0, returning=False) is None
