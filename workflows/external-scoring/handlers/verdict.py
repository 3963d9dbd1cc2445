"""What a score means."""

from collections.abc import Mapping
from typing import Any


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the verdict on a text."""
    score = inputs["score"]["score"]
    return {"score": score, "verdict": "long" if score > 40 else "short"}
