"""The ledger: spent + reserved <= limit after any sequence; a launch is settled once."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import AttemptDeferred, CallLost, DayRow, LedgerRow, Spent
from streams.core.ledger import Cost, Ledger, day_of, launch_key, settled, with_limit
from tests.core.examples import RUN, attempt_failed, succeeded
from topology.plan import Budget

DAY = "2026-11-24"
KEY = launch_key("n", 0, 1, 0)


def ledger(budget: Budget | None = None, daily: Budget | None = None, elsewhere: Cost | None = None) -> Ledger:
    limit = budget or Budget(None, None)
    row = LedgerRow(RUN, limit.max_tokens, limit.max_cost_usd)
    return Ledger(RUN, DAY, budget, daily, row, {}, elsewhere or Cost())


def reserved(of: Ledger, key: str, most: Cost) -> Ledger:
    found = of.reserve(key, most)
    assert isinstance(found, Ledger), found
    return found


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 60), st.floats(0, 0.6)), min_size=1, max_size=40
)


@given(STEPS)
def test_no_sequence_goes_over_the_limit(steps: list[tuple[str, bool, int, float]]) -> None:
    of = ledger(Budget(100, 1.0), Budget(300, 3.0))
    for key, reserve, tokens, dollars in steps:
        if reserve:
            found = of.reserve(key, Cost(tokens, dollars))
            of = found if isinstance(found, Ledger) else of
        elif (held := of.run.reserved.get(key)) is not None:
            of = of.settle(key, Cost(min(tokens, held.tokens), min(dollars, held.cost_usd)))
        assert of.run.spent_tokens + sum(one.tokens for one in of.run.reserved.values()) <= 100
        assert of.run.spent_cost_usd + sum(one.cost_usd for one in of.run.reserved.values()) <= 1.0 + 1e-6
        day = of.days.get(DAY, DayRow(DAY))
        assert day.spent_tokens == of.run.spent_tokens
        assert day.reserved_tokens == sum(one.tokens for one in of.run.reserved.values())


def test_what_does_not_fit_says_what_is_left() -> None:
    of = reserved(ledger(Budget(100, None)), KEY, Cost(60))
    assert of.reserve("other", Cost(41)) == "budget: the call may use 41 tokens, 40 of max_tokens 100 are left"
    assert isinstance(of.reserve("other", Cost(40)), Ledger)


def test_a_reservation_that_a_crash_left_is_replaced() -> None:
    of = reserved(reserved(ledger(Budget(100, None)), KEY, Cost(60)), KEY, Cost(70))
    assert [held.tokens for held in of.run.reserved.values()] == [70]


def test_the_day_counts_what_others_spent() -> None:
    of = ledger(daily=Budget(100, None), elsewhere=Cost(80))
    assert of.reserve(KEY, Cost(21)) == "daily_budget: the call may use 21 tokens, 20 of max_tokens 100 are left"
    assert isinstance(of.reserve(KEY, Cost(20)), Ledger)


def test_ends_settle_once_by_what_they_used() -> None:
    of = reserved(ledger(Budget(100, 1.0)), KEY, Cost(60, 0.6))
    done = settled(of, replace(succeeded(), spent=Spent(3, 5, 0.25)))
    assert (done.run.spent_tokens, done.run.spent_cost_usd, dict(done.run.reserved)) == (8, 0.25, {})
    assert settled(done, replace(succeeded(), spent=Spent(3, 5, 0.25))) == done
    assert settled(done, CallLost(RUN, "n", 0, 1, 0, Spent(60, 0, 0.6), 1)) == done


def test_a_price_nobody_knows_is_charged_as_reserved() -> None:
    of = reserved(ledger(Budget(100, 1.0)), KEY, Cost(60, 0.6))
    assert settled(of, replace(attempt_failed(), spent=Spent(3, 5, None))).run.spent_cost_usd == 0.6


def test_a_call_nobody_metered_stays_reserved_until_its_loss_is_read() -> None:
    of = reserved(ledger(Budget(100, 1.0)), KEY, Cost(60, 0.6))
    assert settled(of, replace(attempt_failed(), metered=False)) is of
    lost = settled(of, CallLost(RUN, "n", 0, 1, 0, Spent(60, 0, 0.6), 1))
    assert (lost.run.spent_tokens, lost.run.spent_cost_usd) == (60, 0.6)


def test_a_call_that_was_put_off_costs_nothing() -> None:
    of = reserved(ledger(Budget(100, None)), KEY, Cost(60))
    after = settled(of, AttemptDeferred(RUN, "n", 0, 1, 1, 0, "breaker_open", "", None, 5, 1))
    assert (after.run.spent_tokens, dict(after.run.reserved)) == (0, {})


def test_a_new_version_may_raise_the_limit_of_a_run_but_not_lower_it() -> None:
    row = LedgerRow(RUN, 100, None, spent_tokens=90)
    assert with_limit(row, Budget(200, None)).max_tokens == 200
    assert with_limit(row, Budget(50, None)).max_tokens == 100


def test_days_are_utc() -> None:
    assert day_of(1_795_564_799_999) == "2026-11-24"
    assert day_of(1_795_564_800_000) == "2026-11-25"
