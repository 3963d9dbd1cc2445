"""JSON Schema as Avro: what is a type of its own, what is JSON text, and that every value that fits comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import avro.schema
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import registered
from schemas.avro_json import JSON_TEXT, Misfit
from schemas.registered import Codec
from topology.avro_schema import avro_of, record_of

TEXT = {"type": "string"}


def closed(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """Return an object's schema."""
    return {"type": "object", "properties": properties, "required": required or [], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "avro"),
    [
        (TEXT, "string"),
        ({"type": "integer", "minimum": 0}, "long"),
        ({"type": "number"}, "double"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "null"}, "null"),
        ({"type": ["string", "null"]}, ["null", "string"]),
        ({"type": ["integer", "number"]}, "double"),
        ({"type": ["integer", "string"]}, JSON_TEXT),
        ({"anyOf": [TEXT, {"type": "null"}]}, ["null", "string"]),
        ({"oneOf": [TEXT, {"type": "integer"}]}, JSON_TEXT),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": ["a", None]}, ["null", "string"]),
        ({"enum": [1, 2.5]}, "double"),
        ({"enum": ["a", 1]}, JSON_TEXT),
        ({"const": True}, "boolean"),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": "string"}),
        ({"type": "array"}, JSON_TEXT),
        ({"type": "array", "prefixItems": [TEXT], "items": TEXT}, JSON_TEXT),
        ({"type": "object"}, JSON_TEXT),
        ({"type": "object", "additionalProperties": TEXT}, {"type": "map", "values": "string"}),
        (closed(**{"first-name": TEXT}), JSON_TEXT),
        (True, JSON_TEXT),
        ({}, JSON_TEXT),
    ],
)
def test_each_kind_of_schema(schema: Any, avro: Any) -> None:
    assert avro_of(schema, "X") == avro


def test_a_record_has_what_is_required_and_defaults_for_the_rest() -> None:
    schema = closed(["id"], id=TEXT, n={"type": "integer", "description": "How many."})
    assert avro_of(schema, "X") == {
        "type": "record",
        "name": "X",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "n", "type": ["null", "long"], "default": None, "doc": "How many."},
        ],
    }


def test_references_are_followed_and_one_without_an_end_is_text() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}, "additionalProperties": False}
    made = avro_of({"$ref": "#/$defs/tree", "$defs": {"tree": tree}}, "X")
    assert made["fields"] == [{"name": "left", "type": ["null", JSON_TEXT], "default": None}]


def test_types_of_one_shape_in_two_places_have_names_of_their_own() -> None:
    inner = closed(["x"], x=TEXT)
    made = record_of(closed(["a", "b_a"], a=inner, b_a=inner, b=closed(a=inner)), "R", "penstock.w")
    avro.schema.parse(json.dumps(made))


def _object(properties: dict[str, Any], required: set[str], is_closed: bool) -> dict[str, Any]:
    more = {"additionalProperties": False} if is_closed else {}
    return {"type": "object", "properties": properties, "required": sorted(required & set(properties)), **more}


SIMPLE = st.sampled_from(
    [TEXT, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": ["string", "null"]}, {}]
)
SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda values: {"type": "object", "additionalProperties": values}, inner),
        st.builds(
            _object, st.dictionaries(st.sampled_from("abc"), inner), st.sets(st.sampled_from("abc")), st.booleans()
        ),
    ),
    max_leaves=6,
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Return values that fit."""
    match schema:
        case {"type": "array", "items": items}:
            return st.lists(values_of(items), max_size=3)
        case {"type": "object", "properties": properties}:
            required = {key: values_of(part) for key, part in properties.items() if key in schema["required"]}
            rest = {key: values_of(part) for key, part in properties.items() if key not in schema["required"]}
            known = st.fixed_dictionaries(required, optional=rest)
            if "additionalProperties" in schema:
                return known
            more = st.dictionaries(st.sampled_from(["x", "_additional", "first-name"]), JSON_VALUES, max_size=2)
            return st.builds(lambda some, other: {**other, **some}, known, more)
        case {"type": "object", "additionalProperties": values}:
            return st.dictionaries(st.text(max_size=3), values_of(values), max_size=3)
        case {"type": ["string", "null"]}:
            return st.none() | st.text()
        case {"type": kind}:
            kinds = {"string": st.text(), "integer": st.integers(-(2**63), 2**63 - 1), "boolean": st.booleans()}
            return kinds.get(kind, st.floats(allow_nan=False, allow_infinity=False))
    return JSON_VALUES


def without_nulls_by_default(schema: Any, value: Any) -> Any:
    """Return a value without what is null though it need not be there: Avro does not tell that from "not given"."""
    match schema:
        case {"type": "array", "items": items}:
            return [without_nulls_by_default(items, item) for item in value]
        case {"type": "object", "properties": dict(properties)} if properties:
            return {
                key: without_nulls_by_default(properties.get(key, {}), item)
                for key, item in value.items()
                if item is not None or key not in properties or key in schema["required"]
            }
        case {"type": "object", "additionalProperties": dict(values)}:
            return {key: without_nulls_by_default(values, item) for key, item in value.items()}
    return value


@given(st.data())
def test_whatever_fits_the_json_schema_fits_its_avro_and_comes_back(data: st.DataObject) -> None:
    schema = closed(["it"], it=data.draw(SCHEMAS))
    value = {"it": data.draw(values_of(schema["properties"]["it"]))}
    assert jsonschema_rs.is_valid(schema, value)
    made = record_of(schema, "R", "penstock.w")
    avro.schema.parse(json.dumps(made))
    registered.learn(3, json.dumps(made))
    try:
        read = registered.json_of(Codec(made).encode(value, 3))
    finally:
        registered.forget()
    assert read == without_nulls_by_default(schema, value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"n": 2**63}, "n: 9223372036854775808 is beyond an Avro long"),
        ({"n": "1"}, 'n: "1" is no Avro long'),
        ({}, "n: missing"),
        ({"n": 1, "m": 2}, "(root): the Avro schema has no field 'm'"),
        ([], "(root): not an object"),
    ],
)
def test_a_value_that_does_not_fit_is_named(value: Any, said: str) -> None:
    codec = Codec(record_of(closed(["n"], n={"type": "integer"}), "R", "penstock.w"))
    with pytest.raises(Misfit) as error:
        codec.encode(value, 1)
    assert str(error.value) == said
