"""Make a value that a JSON Schema allows, the same one for the same draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.provider.chance import Draws
from benchmarks.provider.pattern_text import text_for_pattern

_WORDS = [
    "alpha",
    "bravo",
    "carbon",
    "delta",
    "ember",
    "falcon",
    "granite",
    "harbor",
    "indigo",
    "juniper",
    "kernel",
    "lumen",
    "meadow",
    "nectar",
    "onyx",
    "prism",
]
_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T10:30:00Z",
    "time": "10:30:00Z",
    "email": "someone@example.org",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "uri": "https://example.org/",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "duration": "P1D",
}
_DEEP = 12
"""Below this depth optional properties and items are left out, so that a recursive schema ends."""


def value_for(schema: Mapping[str, Any], draws: Draws, confidence: float | None = None) -> Any:
    """Return a value valid for `schema`; a number called `confidence` becomes `confidence` (default 0.9 to 1)."""
    return _Maker(schema, draws, confidence).make(schema, "", 0)


class _Maker:
    def __init__(self, root: Mapping[str, Any], draws: Draws, confidence: float | None) -> None:
        self._root = root
        self._draws = draws
        self._confidence = confidence

    def make(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return None
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self._draws.below(len(schema["enum"]))]
        kind = self._kind(schema, depth)
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._number(schema, name, whole=kind == "integer")
            case "boolean":
                return self._draws.uniform() < 0.5
            case _:
                return None

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        """Follow `$ref` within the document, then merge `allOf` and one branch of `anyOf`/`oneOf` into the schema."""
        for _ in range(32):
            if "$ref" in schema:
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = {**self._pointed(schema["$ref"]), **rest}
            elif branches := schema.get("anyOf") or schema.get("oneOf"):
                rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
                schema = _merged(rest, self._branch(branches, depth))
            elif parts := schema.get("allOf"):
                rest = {key: value for key, value in schema.items() if key != "allOf"}
                for part in parts:
                    rest = _merged(rest, self._resolved(part, depth))
                schema = rest
            else:
                return schema
        return {"type": "null"}

    def _branch(self, branches: list[Any], depth: int) -> Any:
        if depth >= _DEEP:
            return min(branches, key=lambda branch: branch.get("type") != "null" if isinstance(branch, dict) else True)
        return branches[self._draws.below(len(branches))]

    def _pointed(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found  # type: ignore[no-any-return]

    def _kind(self, schema: Mapping[str, Any], depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            return "null" if depth >= _DEEP and "null" in kind else str(kind[self._draws.below(len(kind))])
        if kind is None:
            return "object" if "properties" in schema else "array" if "items" in schema else "string"
        return str(kind)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        names = [name for name in properties if name in required or depth < _DEEP]
        made = {name: self.make(properties[name], name, depth + 1) for name in names}
        rest = schema.get("additionalProperties")
        for name in required:
            if name not in made:
                made[name] = self.make(rest, name, depth + 1) if isinstance(rest, Mapping) else name
        return made

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, 3))
        count = least if depth >= _DEEP else least + self._draws.below(most - least + 1)
        made: list[Any] = []
        for _ in range(count * 8 if schema.get("uniqueItems") else count):
            value = self.make(schema.get("items", {}), name, depth + 1)
            if len(made) < count and not (schema.get("uniqueItems") and value in made):
                made.append(value)
        return made

    def _string(self, schema: Mapping[str, Any]) -> str:
        if "pattern" in schema:
            return text_for_pattern(schema["pattern"], self._draws)
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        least, most = schema.get("minLength", 1), schema.get("maxLength", 4096)
        words = [_WORDS[self._draws.below(len(_WORDS))] for _ in range(1 + self._draws.below(4))]
        text = " ".join(words)
        while len(text) < least:
            text += " " + _WORDS[self._draws.below(len(_WORDS))]
        return text[: max(least, min(most, len(text)))][:most]

    def _number(self, schema: Mapping[str, Any], name: str, *, whole: bool) -> float | int:
        low, high = _bounds(schema, whole=whole)
        if name == "confidence" and not whole:
            wanted = 0.9 + 0.1 * self._draws.uniform() if self._confidence is None else self._confidence
            return round(min(max(wanted, low), high), 3)
        step = schema.get("multipleOf") or (1 if whole else None)
        if step is None:
            return round(low + (high - low) * self._draws.uniform(), 3)
        first, last = math.ceil(low / step), math.floor(high / step)
        value = (first + self._draws.below(max(1, last - first + 1))) * step
        return int(value) if whole else value


def _bounds(schema: Mapping[str, Any], *, whole: bool) -> tuple[float, float]:
    gap = 1 if whole else 1e-3
    low = schema.get("minimum")
    if "exclusiveMinimum" in schema:
        low = max(schema["exclusiveMinimum"] + gap, low if low is not None else -math.inf)
    high = schema.get("maximum")
    if "exclusiveMaximum" in schema:
        high = min(schema["exclusiveMaximum"] - gap, high if high is not None else math.inf)
    if low is None:
        low = 0 if high is None or high >= 0 else high - 1000
    return low, low + 1000 if high is None else high


def _merged(one: Mapping[str, Any], other: Any) -> dict[str, Any]:
    if not isinstance(other, Mapping):
        return dict(one)
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        both["required"] = [*one["required"], *other["required"]]
    return both
