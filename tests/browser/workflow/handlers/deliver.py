"""The end."""

from collections.abc import Mapping
from typing import Any


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return what was approved, and by whom."""
    signed = inputs["sign"]
    return {"score": signed["output"]["score"], "signed_by": signed["reviewer"]}
