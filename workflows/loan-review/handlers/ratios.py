"""What an application means for the applicant's month."""

from collections.abc import Mapping
from typing import Any

YEARLY_INTEREST = 0.06


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, float]:
    """Return the monthly instalment (EUR) and the burden: the share of the income that debts and instalment take."""
    application = inputs["input"]
    monthly = instalment(application["amount_eur"], application["months"])
    burden = (application["debts_eur"] + monthly) / application["income_eur"]
    return {"instalment_eur": round(monthly, 2), "burden": round(burden, 4)}


def instalment(amount: float, months: int) -> float:
    """Return what an annuity loan of `amount` costs each month."""
    rate = YEARLY_INTEREST / 12
    return amount * rate / (1 - (1 + rate) ** -months)
