"""(e): what a run has spent and reserved, against its limit; of one row, as it is read."""

from __future__ import annotations

from schemas.records import LedgerRow

DAY = "day/"
"""Keys of the ledger that are no run's."""

EPSILON_USD = 1e-6


def over_limit(row: LedgerRow) -> str | None:
    """Return how a row is over its limit, None if it is not: it must not be at any moment."""
    tokens = row.spent_tokens + sum(held.tokens for held in row.reserved.values())
    if row.max_tokens is not None and tokens > row.max_tokens:
        return f"{tokens} tokens spent and reserved, {row.max_tokens} are allowed"
    dollars = row.spent_cost_usd + sum(held.cost_usd for held in row.reserved.values())
    if row.max_cost_usd is not None and dollars > row.max_cost_usd + EPSILON_USD:
        return f"{dollars:.6f} dollars spent and reserved, {row.max_cost_usd} are allowed"
    return None
