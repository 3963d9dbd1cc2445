"""The ledger: a call is made only if what it may use at most still fits, whatever else is in flight (PROTOCOL.md 9).

Invariant, at every moment: spent + reserved <= limit. A reservation stands from before the launch until what the call used is
read from the node's journal: a call nobody hears of again is charged in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from schemas.quick import quick, replace
from schemas.records import AttemptDeferred, AttemptFailed, CallLost, DayRow, LedgerRow, Reservation, Spent, Succeeded
from topology.plan import Budget

Limit = TypeVar("Limit", int, float)

DAY = "day/"
"""Prefix of a day's key in the ledger's table: no run id holds a slash."""

EPSILON_USD = 1e-9
"""Ten calls of 0.1 are more than 1.0 in floating point."""


@quick
@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens and US dollars, known or at most."""

    tokens: int = 0
    cost_usd: float = 0.0

    def plus(self, other: Cost) -> Cost:
        """Return both together."""
        return Cost(self.tokens + other.tokens, self.cost_usd + other.cost_usd)


def taken(row: object) -> Cost:
    """Return what a day's row takes of the day's budget, spent and reserved; nothing if it is no such row."""
    if not isinstance(row, DayRow):
        return Cost()
    return Cost(row.spent_tokens + row.reserved_tokens, row.spent_cost_usd + row.reserved_cost_usd)


@quick
@dataclass(frozen=True, slots=True)
class Ledger:
    """What a decision knows of the budgets of one run: its row, its partition's days, and what other partitions spent today.

    What other workers have in flight is not known here: a day's budget may be overshot by it.
    """

    run_id: str
    today: str
    budget: Budget | None
    daily_budget: Budget | None
    run: LedgerRow
    days: Mapping[str, DayRow] = field(default_factory=dict)
    elsewhere: Cost = Cost()

    def reserve(self, key: str, most: Cost) -> Ledger | str:
        """Return the ledger with `most` reserved for the launch `key`, or why it does not fit.

        A crash can leave a reservation without its node's row: it is replaced when the launch is decided again.
        """
        free = self.settle(key, Cost())
        refusal = free._refusal(most)  # noqa: SLF001 - its own kind
        if refusal is not None:
            return refusal
        # No day counts what is reserved while there is no daily budget; should there be one later, none may be given it back.
        counted = "" if self.daily_budget is None else self.today
        reserved = {**free.run.reserved, key: Reservation(most.tokens, most.cost_usd, counted)}
        day = free._day(self.today)  # noqa: SLF001
        day = replace(
            day,
            reserved_tokens=day.reserved_tokens + most.tokens,
            reserved_cost_usd=day.reserved_cost_usd + most.cost_usd,
        )
        return free._with(replace(free.run, reserved=reserved), day)  # noqa: SLF001

    def settle(self, key: str, used: Cost | None) -> Ledger:
        """Return the ledger with the launch `key` charged `used` (None: all that was reserved); a second time changes nothing."""
        held = self.run.reserved.get(key)
        if held is None:
            return self
        charged = used or Cost(held.tokens, held.cost_usd)
        run = replace(
            self.run,
            reserved={name: other for name, other in self.run.reserved.items() if name != key},
            spent_tokens=self.run.spent_tokens + charged.tokens,
            spent_cost_usd=self.run.spent_cost_usd + charged.cost_usd,
        )
        if not held.day:
            return replace(self, run=run)
        day = self._day(held.day)
        day = replace(
            day,
            spent_tokens=day.spent_tokens + charged.tokens,
            spent_cost_usd=day.spent_cost_usd + charged.cost_usd,
            reserved_tokens=max(0, day.reserved_tokens - held.tokens),
            reserved_cost_usd=max(0.0, day.reserved_cost_usd - held.cost_usd),
        )
        return self._with(run, day)

    def reserved(self, key: str) -> Spent | None:
        """Return what a launch has reserved, as the record of its loss charges it; None if it has nothing (any more)."""
        held = self.run.reserved.get(key)
        return None if held is None else Spent(held.tokens, 0, held.cost_usd)

    def _refusal(self, most: Cost) -> str | None:
        held = self.run.reserved.values()
        run = Cost(
            self.run.spent_tokens + sum(one.tokens for one in held),
            self.run.spent_cost_usd + sum(one.cost_usd for one in held),
        )
        all_day = self.elsewhere.plus(taken(self._day(self.today)))
        return _refusal("budget", self.budget, run, most) or _refusal("daily_budget", self.daily_budget, all_day, most)

    def _day(self, day: str) -> DayRow:
        return self.days.get(day) or DayRow(day)

    def _with(self, run: LedgerRow, day: DayRow) -> Ledger:
        days = self.days if self.daily_budget is None else {**self.days, day.day: day}
        return replace(self, run=run, days=days)


def with_limit(row: LedgerRow, budget: Budget | None) -> LedgerRow:
    """Return the row with the highest limit that ever held for its run: a redrive may come with a new version's budget."""
    if budget is None:
        return row
    fresh = not row.reserved and not row.spent_tokens and not row.spent_cost_usd
    return replace(
        row,
        max_tokens=_higher(row.max_tokens, budget.max_tokens, fresh),
        max_cost_usd=_higher(row.max_cost_usd, budget.max_cost_usd, fresh),
    )


def _higher(old: Limit | None, new: Limit | None, fresh: bool) -> Limit | None:
    if fresh:
        return new
    return None if old is None or new is None else max(old, new)


def launch_key(node: str, epoch: int, seq: int, launch: int) -> str:
    """Return the key of one launch in the ledger."""
    return f"{node}/{epoch}/{seq}/{launch}"


def day_of(now: int) -> str:
    """Return the UTC date of epoch milliseconds, as in 2026-11-24."""
    return datetime.fromtimestamp(now / 1000, UTC).date().isoformat()


def settled(ledger: Ledger, record: Succeeded | AttemptFailed | AttemptDeferred | CallLost) -> Ledger:
    """Return the ledger after a launch's end as its journal has it, stale and losing ends too: their calls were made all the same.

    An end that nobody metered settles nothing: a `CallLost` follows it, so that the sum of the journals is what was spent.
    """
    if isinstance(record, Succeeded | AttemptFailed) and not record.metered:
        return ledger
    return ledger.settle(launch_key(record.node, record.epoch, record.seq, record.launch), _used(ledger, record))


def _used(ledger: Ledger, record: Succeeded | AttemptFailed | AttemptDeferred | CallLost) -> Cost | None:
    match record:
        case AttemptDeferred():
            return Cost()
        case CallLost():
            return None
    spent = record.spent
    cost = spent.cost_usd
    if cost is None:  # nobody knows the price of the model that answered: what was reserved for it
        held = ledger.run.reserved.get(launch_key(record.node, record.epoch, record.seq, record.launch))
        cost = held.cost_usd if held else 0.0
    return Cost(spent.prompt_tokens + spent.completion_tokens, cost)


def _refusal(name: str, limit: Budget | None, taken: Cost, most: Cost) -> str | None:
    if limit is None:
        return None
    if limit.max_tokens is not None and taken.tokens + most.tokens > limit.max_tokens:
        return (
            f"{name}: the call may use {most.tokens} tokens, {max(0, limit.max_tokens - taken.tokens)} of "
            f"max_tokens {limit.max_tokens} are left"
        )
    if limit.max_cost_usd is not None and taken.cost_usd + most.cost_usd > limit.max_cost_usd + EPSILON_USD:
        return (
            f"{name}: the call may cost {most.cost_usd:.6f} dollars, {max(0.0, limit.max_cost_usd - taken.cost_usd):.6f} of "
            f"max_cost_usd {limit.max_cost_usd} are left"
        )
    return None
