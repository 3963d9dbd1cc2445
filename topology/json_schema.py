"""The one place that knows the JSON Schema library. It never opens a file or a connection: every `$ref` is within the schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

MAX_FINDINGS = 10
MAX_FINDING = 300
"""A finding is shown to a model on its next attempt and kept in records, and it quotes the value: both need an end."""

JsonPath = tuple[str | int, ...]

_NOT_SCHEMAS = frozenset({"const", "default", "enum", "example", "examples"})


class SchemaError(ValueError):
    """A schema is no schema; `path` says where in it (empty: the whole)."""

    def __init__(self, message: str, path: JsonPath = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


@dataclass(frozen=True, slots=True)
class Schema:
    """A checked schema; `path` is the file it is from, for messages."""

    schema: dict[str, Any]
    path: str
    _validator: Any

    def validate(self, value: Any) -> list[str]:
        """Return what is wrong with `value`, each finding as `path: message`; an empty list is valid."""
        try:
            if self._validator.is_valid(value):
                return []
            return [_finding(error) for error in _first(self._validator.iter_errors(value))]
        except ValueError as error:  # a value no JSON text can hold, or one nested too deeply
            return [_cut(f"(root): {error}")]


def compile_schema(schema: Any, path: str) -> Schema:
    """Return `schema` checked against its metaschema, or raise `SchemaError`."""
    if not isinstance(schema, dict):
        raise SchemaError("a schema must be a JSON object")
    references = list(_references(schema, ()))
    for reference, where in references:
        if not reference.startswith("#"):
            raise SchemaError(f"$ref {reference[:200]!r} leads out of this file: copy what it names into $defs", where)
    try:
        # Not jsonschema_rs.meta: it fetches an unknown `$schema` over the network, whatever it is told.
        # Formats are checked: who writes `format: date` expects it, though the draft makes it a mere annotation.
        validator = jsonschema_rs.validator_for(schema, offline=True, validate_formats=True)
    except jsonschema_rs.ValidationError as error:
        named = [where for reference, where in references if f"'{reference[1:]}' does not exist" in error.message]
        raise SchemaError(_cut(error.message), named[0] if named else tuple(error.instance_path)) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(_cut(str(error))) from None
    return Schema(schema, path, validator)


def closed_properties(schema: dict[str, Any] | None) -> frozenset[str] | None:
    """Return the only fields the root object can have, or None when it can have others or the schema is not that plain."""
    if not schema or schema.get("additionalProperties") is not False:
        return None
    properties = schema.get("properties", {})
    if "patternProperties" in schema or not isinstance(properties, dict):
        return None
    return frozenset(properties)


def _references(schema: Any, where: JsonPath) -> Iterator[tuple[str, JsonPath]]:
    pending = [(schema, where)]
    while pending:
        part, at = pending.pop()
        if isinstance(part, dict):
            for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
                if isinstance(part.get(keyword), str):
                    yield part[keyword], (*at, keyword)
            pending += [(child, (*at, key)) for key, child in part.items() if key not in _NOT_SCHEMAS]
        elif isinstance(part, list):
            pending += [(child, (*at, index)) for index, child in enumerate(part)]


def _first(errors: Iterator[Any]) -> Iterator[Any]:
    for _, error in zip(range(MAX_FINDINGS), errors, strict=False):
        yield error


def _finding(error: Any) -> str:
    path = ""
    for part in error.instance_path:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return _cut(f"{path.lstrip('.') or '(root)'}: {error.message}")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_FINDING else text[: MAX_FINDING - 3] + "..."
