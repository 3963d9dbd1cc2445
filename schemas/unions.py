"""What a topic's records are in one Avro schema: a union of records, self-contained, as a registry holds it for `{topic}-value`.

A journal has many types of record and one subject, so the subject's schema is their union: any Avro consumer reads it by the id
in the record, and the registry can check what changes (docs/adr/0022).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from fastavro.schema import to_parsing_canonical_form

NAMESPACE = "penstock"


@cache
def files() -> Mapping[int, Any]:
    """Return every schema that was ever written, by its id in `avro/index.json`."""
    folder = resources.files("schemas") / "avro"
    index = json.loads((folder / "index.json").read_text())
    return {int(number): json.loads((folder / f"{name}.avsc").read_text()) for number, name in index.items()}


@cache
def newest() -> Mapping[str, int]:
    """Return the id that each type of record is written with."""
    return {schema["name"]: number for number, schema in sorted(files().items())}


@cache
def by_form() -> Mapping[str, int]:
    """Return ids by the canonical form of their schemas, which is all that bytes depend on; the newest of one form."""
    return {canonical(schema): number for number, schema in sorted(files().items())}


def canonical(schema: Any) -> str:
    """Return the schema's parsing canonical form: what its bytes depend on, and nothing else."""
    return str(to_parsing_canonical_form(schema))


def union_of(names: Iterable[str]) -> list[Any]:
    """Return the union of records, in the order of `names`; what several of them hold is defined where it stands first."""
    found = [files()[newest()[name]] for name in names]
    known: dict[str, Any] = {}
    for schema in found:
        _collect(schema, known)
    defined: set[str] = set()
    return [_once(schema, known, defined) for schema in found]


def branches(schema: Any) -> list[Any]:
    """Return the branches of a union, each self-contained again; of a schema that is none, itself."""
    known: dict[str, Any] = {}
    parts = schema if isinstance(schema, list) else [schema]
    for part in parts:
        _collect(part, known)
    return [_once(part, known, set()) for part in parts]


def self_contained(schema: Any, others: Iterable[Any]) -> Any:
    """Return a schema with the types that it names from `others` defined in it."""
    known: dict[str, Any] = {}
    for part in (*others, schema):
        _collect(part, known, "")
    return _once(schema, known, set(), "")


def full_name(schema: Mapping[str, Any], space: str = NAMESPACE) -> str:
    """Return the full name of a named type; `space` is the namespace around it."""
    name = str(schema["name"])
    inner = schema.get("namespace", space)
    return name if "." in name or not inner else f"{inner}.{name}"


NAMED = ("record", "enum", "fixed")


def _collect(schema: Any, known: dict[str, Any], space: str = NAMESPACE) -> None:
    """Note the named types in a schema; of two that differ in defaults, the one that has them serves both."""
    if isinstance(schema, list):
        for part in schema:
            _collect(part, known, space)
    elif isinstance(schema, dict):
        if schema.get("type") in NAMED:
            name = full_name(schema, space)
            if name not in known or _defaults(schema) > _defaults(known[name]):
                known[name] = schema
            space = name.rpartition(".")[0]
        for part in _parts(schema):
            _collect(part, known, space)


def _parts(schema: Mapping[str, Any]) -> Iterable[Any]:
    yield from (field["type"] for field in schema.get("fields", ()))
    yield from (schema[key] for key in ("items", "values") if key in schema)
    if isinstance(schema.get("type"), dict | list):
        yield schema["type"]


def _defaults(schema: Mapping[str, Any]) -> int:
    return sum("default" in field for field in schema.get("fields", ()))


def _once(schema: Any, known: Mapping[str, Any], defined: set[str], space: str = NAMESPACE) -> Any:
    """Return a schema in which every named type is defined at its first place and named at the others."""
    if isinstance(schema, list):
        return [_once(part, known, defined, space) for part in schema]
    if isinstance(schema, str):
        name = schema if "." in schema or schema not in _local(known, space) else f"{space}.{schema}"
        return _once(known[name], known, defined, space) if name in known else schema
    if schema.get("type") not in NAMED:
        return {
            key: _once(part, known, defined, space) if key in ("type", "items", "values") else part
            for key, part in schema.items()
        }
    name = full_name(schema, space)
    if name in defined:
        return name
    defined.add(name)
    schema, inner = known[name], name.rpartition(".")[0]
    made = {**schema, "name": name.rpartition(".")[2], "namespace": inner}
    if "fields" in made:
        made["fields"] = [_field(field, known, defined, inner) for field in schema["fields"]]
    return made


def _local(known: Mapping[str, Any], space: str) -> set[str]:
    return {name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == space}


def _field(field: Mapping[str, Any], known: Mapping[str, Any], defined: set[str], space: str) -> dict[str, Any]:
    """Return a field without a default that older Avro libraries refuse: it must be of the union's first type."""
    made = {**field, "type": _once(field["type"], known, defined, space)}
    first = made["type"][0] if isinstance(made["type"], list) else None
    if first == "null" and made.get("default") is not None:
        del made["default"]
    return made
