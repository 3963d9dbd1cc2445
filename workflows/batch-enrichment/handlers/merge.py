"""The enriched record."""

from collections.abc import Mapping
from typing import Any


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the record with whatever was found out."""
    known = inputs["lookup"] or {"sku": inputs["input"]["sku"], "category": None, "vat": None}
    return {**known, "tag": (inputs["tag"] or {}).get("tag")}
