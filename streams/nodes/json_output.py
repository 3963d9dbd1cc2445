"""Check that what a handler returned is a JSON object, and make it one that nobody else holds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson


@dataclasses.dataclass(frozen=True, slots=True)
class NotJson:
    """Why a value is no JSON object, to be read after "returned"."""

    reason: str


def json_object(returned: Any) -> dict[str, Any] | NotJson:
    """Return `returned` as plain JSON values (dates become texts, tuples lists), or say what is wrong with it."""
    if not isinstance(returned, dict):
        return NotJson(f"{shown(returned)}, not a JSON object (a dict)")
    try:
        encoded = orjson.dumps(returned)
        decoded: dict[str, Any] = orjson.loads(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        return NotJson(f"a dict that is not JSON: {error}")
    if b"null" in encoded and (place := next(_not_finite(returned, "output"), None)) is not None:
        return NotJson(f"a dict that is not JSON: {place} is NaN or infinite")
    return decoded


def _not_finite(value: Any, place: str) -> Iterator[str]:
    """Find what orjson quietly turns into null."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _not_finite(inner, f"{place}[{index}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for entry in dataclasses.fields(value):
            yield from _not_finite(getattr(value, entry.name), f"{place}.{entry.name}")


def shown(value: Any) -> str:
    """Return a value's type and the beginning of its repr."""
    if value is None:
        return "None"
    try:
        text = repr(value)
    except Exception:
        text = "a value without a repr"
    return f"{type(value).__name__} {text if len(text) <= 200 else text[:200] + '...'}"
