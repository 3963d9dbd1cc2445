"""Generated objects are valid, for schemas of every shape people write."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.provider.chance import Draws
from benchmarks.provider.pattern_text import text_for_pattern
from benchmarks.provider.schema_values import value_for
from topology.json_schema import compile_schema


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


SCHEMAS: list[dict[str, Any]] = [
    of(),
    of(a={"type": "string"}, b={"type": "integer"}, c={"type": "number"}, d={"type": "boolean"}, e={"type": "null"}),
    of(a={"enum": ["x", None, 3]}, b={"const": {"k": [1]}}),
    of(a={"type": ["string", "null"]}, b={"type": ["integer", "boolean"]}),
    of(
        a={"type": "string", "minLength": 50},
        b={"type": "string", "maxLength": 2},
        c={"type": "string", "maxLength": 0},
    ),
    of(a={"type": "string", "pattern": r"^INV-\d{4}$"}, b={"type": "string", "pattern": "^(EUR|USD)$"}),
    of(
        **{
            name.replace("-", "_"): {"type": "string", "format": name}
            for name in ("date", "date-time", "email", "uuid")
        }
    ),
    of(a={"type": "integer", "minimum": 5, "maximum": 7}, b={"type": "integer", "exclusiveMinimum": 5, "maximum": 6}),
    of(a={"type": "number", "exclusiveMaximum": 0}, b={"type": "integer", "multipleOf": 5, "minimum": 3}),
    of(a={"type": "number", "minimum": 1, "maximum": 1}, confidence={"type": "number", "minimum": 0, "maximum": 0.5}),
    of(a={"type": "array", "items": of(x={"type": "integer"})}, b={"type": "array", "minItems": 2, "maxItems": 4}),
    of(a={"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True, "minItems": 3, "maxItems": 3}),
    of(
        a={"anyOf": [{"type": "string"}, of(y={"type": "number"})]},
        b={"oneOf": [{"type": "null"}, {"type": "integer"}]},
    ),
    {"allOf": [of(a={"type": "string"})], "type": "object"},
    {
        "$ref": "#/$defs/node",
        "$defs": {"node": of(v={"type": "integer"}, next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})},
    },
    {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}, "n": {"type": "string"}},
        "required": ["n"],
    },
    {"type": "object", "required": ["free"], "additionalProperties": {"type": "integer"}},
    of(a={"properties": {"x": {"type": "string"}}}, b={"items": {"type": "string"}}, c={}),
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_values_are_valid(schema: dict[str, Any]) -> None:
    compiled = compile_schema(schema, "s")
    for seed in range(30):
        value = value_for(schema, Draws(seed))
        assert compiled.validate(value) == [], value
        assert value == value_for(schema, Draws(seed))


PATTERNS = [
    r"^[A-Z]{2}\d+$",
    r"^(a|bc)*x?$",
    r"^[^0-9]{3}$",
    r"^\w+@\w+\.(com|org)$",
    r"^.{5}$",
    r"^\S+ \d{1,3}$",
    "^#[0-9a-f]{6}$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_texts_match_their_pattern(pattern: str) -> None:
    for seed in range(30):
        assert re.search(pattern, text_for_pattern(pattern, Draws(seed)))
