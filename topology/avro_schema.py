"""JSON Schema as Avro. What Avro cannot say is a string that holds JSON, so every schema has one, and nothing is lost.

Objects become records: a property that is not required is null by default, and what the schema allows without naming it goes to a map
(`_additional`) of JSON texts. Enums are strings: Avro's own could not grow without breaking readers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from schemas.avro_json import JSON_TEXT, MORE

SIMPLE = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean", "null": "null"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
MAX_DOC = 500


def namespace_of(workflow: str) -> str:
    """Return the namespace of a workflow's own types."""
    return f"penstock.{legal(workflow)}"


def legal(text: str) -> str:
    """Return `text` as a name that Avro allows."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return name if name and not name[0].isdigit() else f"_{name}"


def avro_of(schema: Any, name: str, names: set[str] | None = None) -> Any:
    """Return the Avro type of what a JSON Schema describes; its records are called `name` and after it, and none as in `names`."""
    return _Translation(schema, set() if names is None else names).of(schema, name, ())


def record_of(schema: Any, name: str, namespace: str) -> dict[str, Any] | None:
    """Return the Avro record of what a JSON Schema describes, None if it is no object with properties."""
    made = avro_of(schema, name)
    return {**made, "namespace": namespace} if isinstance(made, dict) and made.get("type") == "record" else None


def nullable(kind: Any) -> Any:
    """Return the union of null and a type."""
    if isinstance(kind, list):
        return ["null", *(branch for branch in kind if branch != "null")]
    return kind if kind == "null" else ["null", kind]


class _Translation:
    def __init__(self, root: Any, names: set[str]) -> None:
        self._root = root
        self._names = names

    def of(self, schema: Any, name: str, within: tuple[str, ...]) -> Any:
        """Return the type; `within` are the references on the way here: one that comes again has no end."""
        while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            reference = schema["$ref"]
            if reference in within:
                return JSON_TEXT
            within, schema = (*within, reference), self._target(reference)
        if not isinstance(schema, Mapping):
            return JSON_TEXT
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema and "properties" not in schema:
                return self._one_or_null(schema[keyword], name, within)
        if "const" in schema or "enum" in schema:
            return _of_values([schema["const"]] if "const" in schema else schema["enum"])
        kinds = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kinds, list):
            rest = [kind for kind in kinds if kind != "null"]
            rest = ["number"] if set(rest) == {"integer", "number"} else rest
            one = self._kind(rest[0], schema, name, within) if len(rest) == 1 else JSON_TEXT
            return nullable(one) if "null" in kinds and one != JSON_TEXT else one
        return self._kind(kinds, schema, name, within)

    def _target(self, reference: str) -> Any:
        found = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if key:
                found = found.get(key) if isinstance(found, Mapping) else None
        return found

    def _one_or_null(self, branches: Any, name: str, within: tuple[str, ...]) -> Any:
        rest = [b for b in branches if not (isinstance(b, Mapping) and b.get("type") == "null")]
        if len(rest) != 1:
            return JSON_TEXT
        one = self.of(rest[0], name, within)
        return one if len(rest) == len(branches) or one == JSON_TEXT else nullable(one)

    def _kind(self, kind: Any, schema: Mapping[str, Any], name: str, within: tuple[str, ...]) -> Any:
        if kind == "object":
            return self._object(schema, name, within)
        if kind == "array":
            items = schema.get("items")
            if not isinstance(items, Mapping) or "prefixItems" in schema:
                return JSON_TEXT
            return {"type": "array", "items": self.of(items, f"{name}_item", within)}
        return SIMPLE.get(kind, JSON_TEXT) if isinstance(kind, str) else JSON_TEXT

    def _object(self, schema: Mapping[str, Any], name: str, within: tuple[str, ...]) -> Any:
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties", True)
        if not properties:
            mapped = isinstance(more, Mapping) and "patternProperties" not in schema
            return {"type": "map", "values": self.of(more, f"{name}_value", within)} if mapped else JSON_TEXT
        if any(not _NAME.match(key) or key == MORE for key in properties):
            return JSON_TEXT
        name = self._unique(name)
        required = schema.get("required", ())
        fields = [self._field(key, part, key in required, name, within) for key, part in properties.items()]
        if more is not False or "patternProperties" in schema:
            doc = "What else the object has: JSON text by name."
            fields.append({"name": MORE, "type": {"type": "map", "values": JSON_TEXT}, "default": {}, "doc": doc})
        return {"type": "record", "name": name, "fields": fields, **_doc(schema)}

    def _field(self, key: str, schema: Any, required: bool, name: str, within: tuple[str, ...]) -> dict[str, Any]:
        kind = self.of(schema, f"{name}_{key}", within)
        if required:
            return {"name": key, "type": kind, **_doc(schema)}
        return {"name": key, "type": nullable(kind), "default": None, **_doc(schema)}

    def _unique(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name


def _of_values(values: list[Any]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    by_type: dict[type, str] = {str: "string", bool: "boolean", int: "long", float: "double"}
    kind = "double" if kinds == {int, float} else by_type.get(kinds.pop()) if len(kinds) == 1 else None
    if kind is None:
        return JSON_TEXT
    return nullable(kind) if None in values else kind


def _doc(schema: Any) -> dict[str, str]:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return {"doc": text[:MAX_DOC]} if isinstance(text, str) and text else {}
