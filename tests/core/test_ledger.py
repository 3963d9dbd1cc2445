"""The ledger: whatever is reserved, charged and heard of twice, no budget is ever exceeded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import AttemptDeferred, AttemptFailed, CallLost, DayRow, ErrorInfo, LedgerRow, Spent, Succeeded
from streams.core.ledger import EPSILON_USD, Cost, Ledger, day_of, launch_key, settled, taken, with_limit
from topology.plan import Budget

MONDAY, TUESDAY = "2026-11-23", "2026-11-24"
KEY = launch_key("classify", 0, 1, 1)


def ledger(budget: Budget | None = None, daily: Budget | None = None, run: str = "r1", **changes: object) -> Ledger:
    made = Ledger(run, MONDAY, budget, daily, LedgerRow(run, None, None))
    return replace(made, **changes)  # type: ignore[arg-type]


def reserved(of: Ledger, key: str, most: Cost) -> Ledger:
    after = of.reserve(key, most)
    assert isinstance(after, Ledger), after
    return after


def run_takes(of: Ledger) -> Cost:
    held = of.run.reserved.values()
    return Cost(
        of.run.spent_tokens + sum(one.tokens for one in held),
        of.run.spent_cost_usd + sum(one.cost_usd for one in held),
    )


# ---- any sequence ---------------------------------------------------------------------------------------------------

DOLLARS = st.integers(0, 40).map(lambda tenths: tenths / 10)
COSTS = st.builds(Cost, st.integers(0, 40), DOLLARS)
BUDGETS = st.builds(Budget, st.one_of(st.none(), st.integers(0, 100)), st.one_of(st.none(), DOLLARS))
RUNS = ("r1", "r2")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.sampled_from(RUNS), st.sampled_from("abc"), COSTS),
        st.tuples(
            st.just("settle"), st.sampled_from(RUNS), st.sampled_from("abc"), st.one_of(st.none(), st.floats(0, 1))
        ),
        st.tuples(st.just("midnight"), st.none(), st.none(), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(BUDGETS, BUDGETS, COSTS, STEPS)
def test_no_sequence_takes_more_than_a_budget_has(
    budget: Budget, daily: Budget, elsewhere: Cost, steps: list[tuple[str, str, str, Cost | float | None]]
) -> None:
    today, days = MONDAY, dict[str, DayRow]()
    runs = {run: ledger(budget, daily, run, elsewhere=elsewhere) for run in RUNS}
    for what, run, key, how in steps:
        if what == "midnight":
            today = TUESDAY
            continue
        now = replace(runs[run], today=today, days=days)
        if isinstance(how, Cost):
            after = now.reserve(key, how)
            now = after if isinstance(after, Ledger) else now
        else:
            now = now.settle(key, part_of(now, key, how))
        runs[run], days = now, dict(now.days)
        assert_within(budget, Cost(), run_takes(now))
        assert_within(daily, elsewhere, taken(days.get(today)))
        for day in (MONDAY, TUESDAY):
            held = [one for each in runs.values() for one in each.run.reserved.values() if one.day == day]
            row = days.get(day, DayRow(day))
            assert row.reserved_tokens == sum(one.tokens for one in held)
            assert row.reserved_cost_usd == pytest.approx(sum(one.cost_usd for one in held))


def part_of(of: Ledger, key: str, share: float | None) -> Cost | None:
    """A call never uses more than its bound, which is what was reserved."""
    held = of.run.reserved.get(key)
    return None if share is None or held is None else Cost(int(held.tokens * share), held.cost_usd * share)


def assert_within(limit: Budget, besides: Cost, used: Cost) -> None:
    """What others had taken before is not ours to undo: with it, no more than the limit if anything was added at all."""
    if limit.max_tokens is not None and used.tokens:
        assert besides.tokens + used.tokens <= limit.max_tokens
    if limit.max_cost_usd is not None and used.cost_usd > EPSILON_USD:
        assert besides.cost_usd + used.cost_usd <= limit.max_cost_usd + 10 * EPSILON_USD


# ---- one thing at a time --------------------------------------------------------------------------------------------


def test_ten_calls_of_a_tenth_fit_into_one_dollar() -> None:
    now = ledger(Budget(None, 1.0))
    for n in range(10):
        now = reserved(now, f"k{n}", Cost(1, 0.1))
    assert isinstance(now.reserve("one more", Cost(1, 0.1)), str)


@pytest.mark.parametrize(
    ("budget", "most", "told"),
    [
        (Budget(100, None), Cost(101, 0.0), "budget: the call may use 101 tokens, 100 of max_tokens 100 are left"),
        (
            Budget(None, 0.5),
            Cost(1, 0.75),
            "budget: the call may cost 0.750000 dollars, 0.500000 of max_cost_usd 0.5 are",
        ),
        (Budget(100, 0.5), Cost(100, 0.75), "budget: the call may cost"),
    ],
)
def test_a_refusal_says_what_is_left(budget: Budget, most: Cost, told: str) -> None:
    assert str(ledger(budget).reserve(KEY, most)).startswith(told)
    assert str(ledger(None, budget).reserve(KEY, most)).startswith("daily_" + told)


@pytest.mark.parametrize("used", [None, Cost(), Cost(30, 0.3)])
def test_settling_twice_changes_nothing(used: Cost | None) -> None:
    once = reserved(ledger(Budget(100, 1.0), Budget(100, 1.0)), KEY, Cost(50, 0.5)).settle(KEY, used)
    assert once.settle(KEY, used) == once
    assert once.settle(KEY, Cost(7, 0.7)) == once
    assert run_takes(once) == taken(once.days[MONDAY]) == (Cost(50, 0.5) if used is None else used)


def test_reserving_again_under_the_same_key_replaces() -> None:
    once = reserved(ledger(Budget(100, 1.0), Budget(100, 1.0)), KEY, Cost(90, 0.9))
    again = reserved(once, KEY, Cost(80, 0.8))
    assert run_takes(again) == Cost(80, 0.8)
    assert taken(again.days[MONDAY]).tokens == 80
    assert taken(again.days[MONDAY]).cost_usd == pytest.approx(0.8)
    assert isinstance(again.reserve("another", Cost(21, 0.1)), str)


def test_a_refused_reservation_leaves_the_old_one() -> None:
    once = reserved(ledger(Budget(100, 1.0)), KEY, Cost(90, 0.9))
    assert isinstance(once.reserve(KEY, Cost(101, 0.0)), str)
    assert run_takes(once) == Cost(90, 0.9)


def test_a_call_is_charged_to_the_day_it_was_launched_on() -> None:
    monday = reserved(ledger(None, Budget(100, None)), KEY, Cost(60, 0.0))
    tuesday = reserved(replace(monday, today=TUESDAY), "another", Cost(100, 0.0)).settle(KEY, Cost(40, 0.0))
    assert (taken(tuesday.days[MONDAY]).tokens, taken(tuesday.days[TUESDAY]).tokens) == (40, 100)


def test_what_others_took_of_the_day_counts_but_not_for_the_run() -> None:
    now = ledger(Budget(100, 1.0), Budget(100, 1.0), elsewhere=Cost(60, 0.6))
    assert isinstance(now.reserve(KEY, Cost(41, 0.0)), str)
    assert isinstance(now.reserve(KEY, Cost(0, 0.41)), str)
    assert run_takes(reserved(now, KEY, Cost(40, 0.4))) == Cost(40, 0.4)
    assert isinstance(replace(now, daily_budget=None).reserve(KEY, Cost(100, 1.0)), Ledger)


def test_without_a_daily_budget_no_day_is_kept() -> None:
    assert reserved(ledger(Budget(100, 1.0)), KEY, Cost(1, 0.1)).settle(KEY, None).days == {}


def test_a_daily_budget_that_is_new_does_not_count_calls_already_in_flight() -> None:
    before = reserved(ledger(), KEY, Cost(90, 0.9))
    assert replace(before, daily_budget=Budget(100, None)).settle(KEY, Cost(10, 0.1)).days == {}


def test_calls_that_the_day_never_counted_take_nothing_off_the_others() -> None:
    before = reserved(ledger(run="r1"), KEY, Cost(90, 0.9))  # there was no daily_budget yet
    other = reserved(ledger(None, Budget(100, 1.0), "r2"), KEY, Cost(60, 0.6))
    after = replace(before, daily_budget=Budget(100, 1.0), days=other.days).settle(KEY, Cost(10, 0.1))
    assert after.days[MONDAY].reserved_tokens == 60
    assert after.days[MONDAY].reserved_cost_usd == pytest.approx(0.6)


def test_a_new_version_may_raise_the_limit_of_a_run_but_not_lower_it() -> None:
    row = LedgerRow("r1", 100, None, spent_tokens=90)
    assert with_limit(row, Budget(200, None)).max_tokens == 200
    assert with_limit(row, Budget(50, None)).max_tokens == 100


# ---- by the journal -------------------------------------------------------------------------------------------------

SPENT = Spent(10, 20, 0.3)
FAILED = AttemptFailed("r1", "classify", 0, 1, 1, ErrorInfo("schema", "no", True), SPENT, "m", None, 0, 0, launch=1)
SUCCEEDED = Succeeded("r1", "classify", 0, 1, 1, {}, SPENT, "m", 0, 0, launch=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "charged"),
    [
        (SUCCEEDED, Cost(30, 0.3)),
        (FAILED, Cost(30, 0.3)),
        (replace(FAILED, spent=Spent(10, 20, None)), Cost(30, 0.9)),  # nobody knows the price
        (AttemptDeferred("r1", "classify", 0, 1, 1, 1, "breaker_open", "", "m", 0, 0), Cost()),
        (CallLost("r1", "classify", 0, 1, 1, Spent(90, 0, 0.9), 0), Cost(90, 0.9)),
    ],
)
def test_an_end_settles_its_launch_once(
    record: Succeeded | AttemptFailed | AttemptDeferred | CallLost, charged: Cost
) -> None:
    before = reserved(reserved(ledger(), KEY, Cost(90, 0.9)), launch_key("classify", 0, 1, 2), Cost(5, 0.5))
    after = settled(before, record)
    assert set(after.run.reserved) == {launch_key("classify", 0, 1, 2)}
    assert (after.run.spent_tokens, after.run.spent_cost_usd) == (charged.tokens, charged.cost_usd)
    assert settled(after, record) == after


@pytest.mark.parametrize("record", [replace(SUCCEEDED, metered=False), replace(FAILED, metered=False)])
def test_an_end_that_nobody_metered_waits_for_its_loss(record: Succeeded | AttemptFailed) -> None:
    before = reserved(ledger(), KEY, Cost(90, 0.9))
    assert settled(before, record) == before
    assert before.reserved(KEY) == Spent(90, 0, 0.9)
    assert settled(before, CallLost("r1", "classify", 0, 1, 1, Spent(90, 0, 0.9), 0)).reserved(KEY) is None


def test_a_day_is_a_day_in_utc() -> None:
    assert [day_of(1_795_478_399_999), day_of(1_795_478_400_000)] == ["2026-11-23", "2026-11-24"]
