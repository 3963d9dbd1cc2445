"""The last node: what the task found out, in one object."""

from collections.abc import Mapping
from typing import Any

STEPS = ("classify", "parties", "amounts", "risk", "decide", "report")


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Gather the answers; a router's says who decided (`by`), too, which is no part of the answer."""
    found = {step: dict(inputs[step]) for step in STEPS}
    found["decide"].pop("by", None)
    return found
