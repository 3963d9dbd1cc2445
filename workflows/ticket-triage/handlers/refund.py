"""Pay a refund: here it is only written down, with the key that a payment service would get."""

from typing import Any

from penstock import HandlerContext, NonRetryable

HIGHEST_ORDER = 1_000_000


def handle(inputs: dict[str, Any], context: HandlerContext) -> dict[str, Any]:
    """Return what was paid. The key makes a second call for the same order the same refund."""
    order = inputs["input"]["order"]
    if order > HIGHEST_ORDER:
        raise NonRetryable(f"there is no order {order}")
    context.logger.info("refund", order=order)
    return {"order": order, "payment": context.idempotency_key}
