"""What the shop keeps of a conversation."""

from collections.abc import Mapping
from typing import Any


def handle(inputs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Return the note, and whether somebody should call back."""
    rating = inputs["rate"]
    call_back = rating["mood"] == "angry" or not rating["helpful"]
    return {"customer": inputs["input"]["customer"], **rating, "call_back": call_back}
