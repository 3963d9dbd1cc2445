"""The decision as it goes out, and who made it."""

from collections.abc import Mapping
from typing import Any


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the decision on an application: by rule, or by the committee's approval with what it added."""
    application, route = inputs["input"], inputs["triage"]["route"]
    decision = {"application_id": application["application_id"], "amount_eur": application["amount_eur"]}
    if route != "committee":
        return {**decision, "decision": route, "by": inputs["triage"]["by"], "conditions": []}
    approval = inputs["committee"]
    if approval is None:  # rejected, or nobody answered in time
        return {**decision, "decision": "decline", "by": "committee", "conditions": []}
    edit = approval["edit"] or {}
    return {
        **decision,
        "amount_eur": edit.get("amount_eur", application["amount_eur"]),
        "decision": "approve",
        "by": approval["reviewer"] or "committee",
        "conditions": edit.get("conditions", []),
    }
