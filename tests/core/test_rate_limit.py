"""The rate limit holds, and whoever was told a time goes at that time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.rate_limit import MINUTE_MS, RateLimit

RATES = st.one_of(st.integers(1, 120), st.integers(1, 2_000_000)).map(float)


def capacity(per_minute: float) -> float:
    return max(1.0, per_minute / 60)


def most_in_a_minute(taken: list[tuple[int, float]]) -> float:
    return max(
        (sum(units for at, units in taken[n:] if at <= begin + MINUTE_MS) for n, (begin, _) in enumerate(taken)),
        default=0.0,
    )


def played(limit: RateLimit, attempts: Iterable[tuple[int, float, bool]]) -> list[tuple[int, float]]:
    """Make calls, each so many ms after the one before, and return those that were let through."""
    now, taken = 1_000_000, []
    for wait, units, returning in attempts:
        now += wait
        if limit.take(units, now, returning=returning) is None:
            taken.append((now, units))
    return taken


ATTEMPTS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 30), st.integers(0, 20_000)), st.floats(0, 1), st.booleans()),
    max_size=80,
)


@given(RATES, ATTEMPTS)
def test_no_minute_has_more_than_the_limit_and_what_the_bucket_holds(
    per_minute: float, attempts: list[tuple[int, float, bool]]
) -> None:
    holds = capacity(per_minute)
    taken = played(RateLimit(per_minute), ((wait, share * holds, back) for wait, share, back in attempts))
    assert most_in_a_minute(taken) <= (per_minute + holds) * (1 + 1e-9)


@given(RATES, ATTEMPTS, st.floats(1, 100))
def test_calls_dearer_than_the_bucket_overshoot_by_one_of_them_at_most(
    per_minute: float, attempts: list[tuple[int, float, bool]], times: float
) -> None:
    dearest = capacity(per_minute) * times
    taken = played(RateLimit(per_minute), ((wait, share * dearest, back) for wait, share, back in attempts))
    assert most_in_a_minute(taken) <= (per_minute + dearest) * (1 + 1e-9)


@given(st.integers(1, 100_000), st.integers(1, 60), st.floats(0.1, 3))
def test_booked_times_advance_at_the_refill_rate(per_minute: int, crowd: int, share: float) -> None:
    limit, units = RateLimit(per_minute), capacity(per_minute) * share
    assert limit.take(units, 0, returning=False) is None
    told = [limit.take(units, 0, returning=False) for _ in range(crowd)]
    waiting = [at for at in told if at is not None]
    each = units / limit.rate
    assert waiting == told[crowd - len(waiting) :]
    assert all(abs((at - waiting[0]) - n * each) <= 1 + 1e-6 * n * each for n, at in enumerate(waiting))


def test_a_returning_call_goes_before_newcomers() -> None:
    limit = RateLimit(60)
    assert limit.take(1, 0, returning=False) is None
    first, second = limit.take(1, 0, returning=False), limit.take(1, 0, returning=False)
    assert (first, second) == (1_001, 2_001)
    assert limit.take(1, 1_001, returning=False) == 3_001  # there is one, but it is promised
    assert limit.take(1, 1_001, returning=True) is None


def test_a_newcomer_goes_once_nobody_is_promised_anything() -> None:
    limit = RateLimit(60)
    assert limit.take(1, 0, returning=False) is None
    assert limit.take(1, 0, returning=False) == 1_001
    assert limit.take(1, 1_001, returning=True) is None
    assert limit.take(1, 2_001, returning=False) is None


def test_a_call_dearer_than_the_bucket_goes_when_it_is_full_and_leaves_it_in_debt() -> None:
    limit = RateLimit(600)
    assert limit.take(1_000, 0, returning=False) is None
    assert limit.take(1, 90_000, returning=True) is not None
    assert limit.take(1_000, 101_000, returning=True) is None


def test_the_bucket_begins_full_and_holds_a_second() -> None:
    limit = RateLimit(600)
    assert len(played(limit, [(0, 1, False)] * 30)) == 10


def test_what_was_estimated_too_much_is_given_back() -> None:
    limit = RateLimit(600)
    assert limit.take(10, 0, returning=False) is None
    limit.correct(-9)
    assert limit.take(9, 0, returning=False) is None
    limit.correct(-1_000)
    assert limit.level == 10  # no more than it holds


def test_what_was_estimated_too_little_is_taken() -> None:
    limit = RateLimit(600)
    assert limit.take(1, 0, returning=False) is None
    limit.correct(10)
    assert limit.take(1, 0, returning=False) == 201


def test_what_was_used_before_the_first_call_is_nothing() -> None:
    limit = RateLimit(600)
    limit.correct(5)
    assert len(played(limit, [(0, 1, False)] * 30)) == 10


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    limit = RateLimit(60)
    assert limit.take(1, 5_000, returning=False) is None
    assert limit.take(1, 0, returning=False) is not None
    assert limit.take(1, 5_000, returning=False) is not None


def order_of(limit: RateLimit, units: list[float], late: dict[int, int]) -> list[int]:
    """Let calls come at 0 and come back when they are told, each `late` by its ms, and return the order they are made in."""
    return made_of(limit, units, late)[0]


def made_of(
    limit: RateLimit, units: list[float], late: dict[int, int], *, returning: bool = False
) -> tuple[list[int], int]:
    """Return the order, too, of calls that were `returning` from the start, and how often one was told to come back."""
    waiting, made, told_to = [(0, number, returning) for number in range(len(units))], list[int](), 0
    while waiting:
        now, number, back = heapq.heappop(waiting)
        told = limit.take(units[number], now, returning=back)
        if told is None:
            made.append(number)
        else:
            told_to += 1
            heapq.heappush(waiting, (told + late.get(number, 0), number, True))
    return made, told_to


@pytest.mark.parametrize("per_minute", [10, 50, 60, 600, 60_000])
def test_calls_that_come_when_told_are_made_in_the_order_they_came(per_minute: int) -> None:
    units = [capacity(per_minute)] * 10
    assert order_of(RateLimit(per_minute), units, {}) == list(range(10))


def test_rounding_costs_nobody_its_place() -> None:
    assert order_of(RateLimit(7), [1.0] * 10, {}) == list(range(10))


@pytest.mark.parametrize(("per_minute", "units"), [(60, 1.0), (60_000, 2_000.0)])
def test_a_call_that_comes_late_does_not_cost_the_next_its_place(per_minute: int, units: float) -> None:
    assert order_of(RateLimit(per_minute), [units] * 10, {1: 20}) == list(range(10))


def test_a_large_call_behind_small_ones_keeps_its_place() -> None:
    assert order_of(RateLimit(60_000), [1_000.0, 100.0, 1_000.0, 100.0, 100.0], {}) == list(range(5))


@pytest.mark.parametrize("late", [0, 20])
@pytest.mark.parametrize("crowd", [10, 200])
def test_a_call_that_waits_its_turn_is_told_a_time_about_once(crowd: int, late: int) -> None:
    _, told = made_of(RateLimit(600), [1.0] * crowd, {n: late * (n % 2) for n in range(crowd)})
    assert told <= 2 * crowd


@pytest.mark.parametrize("per_minute", [60, 600])
def test_a_crowd_that_returns_from_an_outage_is_told_a_time_about_once_each(per_minute: int) -> None:
    _, told = made_of(RateLimit(per_minute), [1.0] * 200, {}, returning=True)
    assert told <= 2 * 200
