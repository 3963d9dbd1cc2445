from __future__ import annotations

from typing import Any

import pytest

from topology.json_schema import SchemaError, closed_properties, compile_schema

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "object", "required": ["n"]}},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "findings"),
    [
        ({"name": "a"}, []),
        ({"name": 1}, ['name: 1 is not of type "string"']),
        ({"name": "a", "tags": [{"n": 1}, {}]}, ['tags[1]: "n" is a required property']),
        ([], ['(root): [] is not of type "object"']),
    ],
)
def test_validates(value: object, findings: list[str]) -> None:
    assert compile_schema(PERSON, "s.json").validate(value) == findings


def test_findings_are_bounded() -> None:
    schema = compile_schema({"items": {"type": "integer"}}, "s.json")
    findings = schema.validate(["x" * 10_000] * 100)
    assert len(findings) == 10
    assert max(map(len, findings)) == 300


@pytest.mark.parametrize("value", [object(), {1: 2}, float("nan"), {"a": {1, 2}}])
def test_what_is_not_json_is_not_valid(value: object) -> None:
    assert compile_schema({"type": "object", "maxProperties": 0}, "s.json").validate(value) != []


def test_a_deep_value_is_no_crash() -> None:
    value: list[Any] = []
    for _ in range(900):
        value = [value]
    compile_schema({"items": {"$ref": "#"}}, "s.json").validate(value)


def test_formats_are_checked() -> None:
    assert compile_schema({"format": "date"}, "s.json").validate("2020-13-01") == [
        '(root): "2020-13-01" is not a "date"'
    ]


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ([], (), "a schema must be a JSON object"),
        (True, (), "a schema must be a JSON object"),
        ({"properties": {"a": {"type": "strin"}}}, ("properties", "a", "type"), '"strin" is not valid under any of'),
        ({"minLength": -1}, ("minLength",), "-1 is less than the minimum of 0"),
        ({"pattern": "(a"}, ("pattern",), '"(a" is not a "regex"'),
        ({"$ref": "#/$defs/no"}, ("$ref",), "Pointer '/$defs/no' does not exist"),
        ({"$schema": "http://127.0.0.1:9/x"}, (), "Unknown meta-schema"),
    ],
)
def test_what_is_no_schema_is_an_error(schema: Any, path: tuple[str, ...], message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(schema, "s.json")
    assert caught.value.path == path
    assert message in caught.value.message


@pytest.mark.parametrize(
    "reference",
    [
        "http://127.0.0.1:9/x.json",
        "https://example.com",
        "file:///etc/passwd",
        "/etc/passwd",
        "other.json",
        "../x.json",
    ],
)
@pytest.mark.parametrize("where", ["$ref", "$dynamicRef"])
def test_a_reference_that_leaves_the_schema_is_refused(reference: str, where: str) -> None:
    with pytest.raises(SchemaError, match="leads out of this file") as caught:
        compile_schema({"properties": {"a": {where: reference}}}, "s.json")
    assert caught.value.path == ("properties", "a", where)


def test_data_that_looks_like_a_reference_is_none() -> None:
    schema = compile_schema({"properties": {"$ref": {"const": {"$ref": "http://x"}}}}, "s.json")
    assert schema.validate({"$ref": {"$ref": "http://x"}}) == []


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"not": {"$ref": "#"}}])
def test_a_schema_that_is_itself_ends(schema: Any) -> None:
    compile_schema(schema, "s.json").validate({})


def test_a_local_reference_is_followed() -> None:
    schema = compile_schema({"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, "s.json")
    assert schema.validate({"a": "x"}) == ['a: "x" is not of type "integer"']


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        (PERSON, {"name", "tags"}),
        ({"type": "object", "properties": {"a": {}}}, None),
        ({"additionalProperties": False, "patternProperties": {"^x": {}}}, None),
        (None, None),
    ],
)
def test_closed_properties(schema: dict[str, Any] | None, fields: set[str] | None) -> None:
    assert closed_properties(schema) == fields
