"""Where the answer goes."""

from collections.abc import Mapping
from typing import Any

from penstock import NonRetryable


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the address, unless the city does not exist."""
    city = inputs["input"]["city"]
    if city == "Nowhere":
        raise NonRetryable("there is no city called 'Nowhere'")
    return {"to": f"customer in {city}"}
