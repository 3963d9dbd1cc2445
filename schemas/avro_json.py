"""JSON values in and out of any Avro schema: what producers write by schemas of their own, and results as Avro.

What JSON cannot say is text: dates and times in ISO 8601, decimals and UUIDs as written, bytes in base64. A string whose
`contentMediaType` is `application/json` holds JSON text. A field that is null, and null by default, is left out: that is how Avro says "not given".
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

JSON_TEXT: Mapping[str, Any] = {"type": "string", "contentMediaType": "application/json"}
"""A string that holds JSON text, said in JSON Schema's own words; who does not know them sees a string."""
MORE = "_additional"
"""The field of a record for what its JSON Schema allows and does not name."""
_LONGS = {"int": 31, "long": 63}


class Misfit(ValueError):
    """A value that the schema cannot hold; the message says where and why."""


# ---- from Avro ------------------------------------------------------------------------------------------------------


def to_json(schema: Any, value: Any, names: Mapping[str, Any]) -> Any:
    """Return a value as fastavro reads it as JSON; `names` are the named types of the schema."""
    schema = names.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        rest = [branch for branch in schema if branch != "null"]
        return to_json(rest[0], value, names) if value is not None and len(rest) == 1 else _plain(value)
    match schema:
        case {"type": "record"} if isinstance(value, dict):
            return _object(schema, value, names)
        case {"type": "array", "items": items}:
            return [to_json(items, item, names) for item in value]
        case {"type": "map", "values": values}:
            return {key: to_json(values, item, names) for key, item in value.items()}
        case {"type": "string", "contentMediaType": "application/json"}:
            return orjson.loads(value)
        case {"type": dict() | list() as inner}:
            return to_json(inner, value, names)
    return _plain(value)


def _object(schema: Mapping[str, Any], value: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in schema["fields"]:
        name, held = field["name"], value[field["name"]]
        if held is None and field.get("default", ...) is None:
            continue
        made = to_json(field["type"], held, names)
        found |= made if name == MORE else {name: made}
    return found


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal() | UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case float() if not math.isfinite(value):
            raise Misfit(f"{value} is no number that JSON knows")
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
    return value


# ---- to Avro --------------------------------------------------------------------------------------------------------


def to_avro(schema: Any, value: Any, names: Mapping[str, Any], path: str = "") -> Any:
    """Return a JSON value as fastavro writes it; `Misfit` says where it does not fit."""
    schema = names.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        return _branch(schema, value, names, path)
    kind = schema if isinstance(schema, str) else schema["type"]
    logical = None if isinstance(schema, str) else schema.get("logicalType")
    match kind:
        case "record":
            return _record(schema, value, names, path)
        case "array" if isinstance(value, Sequence) and not isinstance(value, str):
            return [to_avro(schema["items"], item, names, f"{path}[{at}]") for at, item in enumerate(value)]
        case "map" if isinstance(value, Mapping):
            return {key: to_avro(schema["values"], item, names, _under(path, key)) for key, item in value.items()}
        case "string" if schema == JSON_TEXT:
            return orjson.dumps(value).decode()
        case dict() | list():
            return to_avro(kind, value, names, path)
    if logical is not None and isinstance(value, str):
        return _logical(logical, kind, value, path)
    return _scalar(kind, schema, value, path)


def _record(schema: Mapping[str, Any], value: Any, names: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Misfit(f"{_at(path)}: not an object")
    fields = {field["name"]: field for field in schema["fields"]}
    more = {key: item for key, item in value.items() if key not in fields or key == MORE}
    if more and MORE not in fields:
        raise Misfit(f"{_at(path)}: the Avro schema has no field {min(more)!r}")
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if name == MORE:
            made[name] = {key: orjson.dumps(item).decode() for key, item in more.items()}
        elif name in value:
            made[name] = to_avro(field["type"], value[name], names, _under(path, name))
        elif "default" not in field:
            raise Misfit(f"{_under(path, name)}: missing")
    return made


def _branch(union: Sequence[Any], value: Any, names: Mapping[str, Any], path: str) -> Any:
    if value is None and "null" in union:
        return None
    why: Misfit | None = None
    for branch in union:
        if branch == "null":
            continue
        try:
            return to_avro(branch, value, names, path)
        except Misfit as error:
            why = why or error
    raise why or Misfit(f"{_at(path)}: null, and nothing else, fits")


def _scalar(kind: str, schema: Any, value: Any, path: str) -> Any:
    match kind:
        case "null" if value is None:
            return None
        case "boolean" if isinstance(value, bool):
            return value
        case "int" | "long":
            return _whole(kind, value, path)
        case "float" | "double" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "string" if isinstance(value, str):
            return value
        case "enum" if value in schema["symbols"]:
            return value
        case "bytes" | "fixed" if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise Misfit(f"{_at(path)}: bytes are written in base64: {error}") from None
    raise Misfit(f"{_at(path)}: {_said(value)} is no Avro {kind}")


def _whole(kind: str, value: Any, path: str) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(whole, int) or isinstance(whole, bool):
        raise Misfit(f"{_at(path)}: {_said(value)} is no Avro {kind}")
    bound = 1 << _LONGS[kind]
    if not -bound <= whole < bound:
        raise Misfit(f"{_at(path)}: {_said(value)} is beyond an Avro {kind}")
    return whole


def _logical(logical: str, kind: str, text: str, path: str) -> Any:
    try:
        match logical:
            case "decimal":
                return Decimal(text)
            case "date":
                return date.fromisoformat(text)
            case "time-millis" | "time-micros":
                return time.fromisoformat(text)
            case _ if "timestamp" in logical:
                return datetime.fromisoformat(text)
    except (ValueError, InvalidOperation):
        raise Misfit(f"{_at(path)}: {_said(text)} is no {logical}") from None
    return _scalar(kind, {}, text, path)


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(path: str) -> str:
    return path or "(root)"


def _said(value: Any) -> str:
    text = orjson.dumps(value, default=repr).decode() if not isinstance(value, int) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
