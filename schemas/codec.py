"""Bytes on the wire and records in the program: Avro in Confluent wire format (magic 0, 4-byte schema id, body).

Ids come from `avro/index.json`. An id, once used, keeps its schema for ever: a changed record gets a new file and id, and
the old ones stay readable (`tests/golden/records`).
"""

from __future__ import annotations

import dataclasses
import json
import struct
import types
import typing
from collections.abc import Callable, Mapping
from importlib import resources
from io import BytesIO
from typing import Any

import fastavro
import orjson

from schemas import records
from schemas.avro_python import Compiler, Decode, Encode
from schemas.records import Json, Record
from schemas.sealed import is_sealed, key_id_of

MAGIC = 0
FIRST_ID = 1_000_000
"""Ids of a schema registry (`schema_registry_url`) are lower."""
_HEAD = struct.Struct(">bI")

Convert = Callable[[Any], Any]


class CodecError(ValueError):
    """Bytes that are not a record of ours: not the wire format, an unknown schema id, or a body that breaks its schema."""


def dumps(value: Any) -> Json:
    """Return `value` as JSON text."""
    return Json(orjson.dumps(value).decode())


def loads(text: str | bytes) -> Any:
    """Return the value of JSON text; ValueError if it is none."""
    return orjson.loads(text)


def encode(record: Record) -> bytes:
    """Return `record` in wire format."""
    head, write = _WRITERS[type(record)]
    pieces = [head]
    write(record, pieces.append)
    return b"".join(pieces)


def decode(value: bytes) -> Record:
    """Return the record in `value`; raise `CodecError` if there is none."""
    if len(value) < _HEAD.size or value[0] != MAGIC:
        if is_sealed(value):
            raise CodecError(
                f"encrypted with key {key_id_of(value)!r}: add it to encryption.keys in the settings; if it is there, the value "
                "was changed, or moved from another topic or key"
            )
        raise CodecError(f"not in Confluent wire format: starts with {value[:5].hex() or 'nothing'}")
    schema_id = _HEAD.unpack_from(value)[1]
    read = _READERS.get(schema_id)
    if read is None:
        raise CodecError(
            f"schema id {schema_id} is not in schemas/avro/index.json; was this written by a newer version"
            f"{'' if schema_id >= FIRST_ID else ', or with a schema registry (schema_registry_url)'}?"
        )
    try:
        return read(value)
    except (EOFError, ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise CodecError(f"a body that breaks schema {schema_id}: {type(error).__name__}: {error}") from error


# ---- records of former schemas: the dicts that fastavro resolves them to, as dataclasses of today ---------------------


def _plain(kind: Any) -> bool:
    return kind in (str, int, bool, float, bytes, Json) or typing.get_origin(kind) is typing.Literal


def _optional(kind: Any) -> Any | None:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return next(arm for arm in typing.get_args(kind) if arm is not type(None))
    return None


def _convert_of(kind: Any, of_class: Callable[[type], Convert]) -> Convert | None:
    """Return the converter of one field's value, None where the value serves as it is; `of_class` converts a dataclass."""
    if _plain(kind):
        return None
    inner = _optional(kind)
    if inner is not None:
        return _unless_none(_convert_of(inner, of_class))
    if typing.get_origin(kind) is Mapping:
        return _each(_convert_of(typing.get_args(kind)[1], of_class))
    if typing.get_origin(kind) is tuple:
        return _sequence(_convert_of(typing.get_args(kind)[0], of_class))
    return of_class(kind)


def _unless_none(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda value: None if value is None else convert(value)


def _each(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda value: {key: convert(item) for key, item in value.items()}


def _sequence(convert: Convert | None) -> Convert:
    """Tuples on both sides: fastavro writes them as arrays, and a row with a list in it would not be hashable data."""
    return tuple if convert is None else lambda values: tuple(convert(value) for value in values)


def _lift_class(cls: type) -> Convert:
    hints = typing.get_type_hints(cls)
    nested = [
        (f.name, convert) for f in dataclasses.fields(cls) if (convert := _convert_of(hints[f.name], _lift_class))
    ]

    def lift(body: dict[str, Any]) -> Any:
        for name, convert in nested:
            body[name] = convert(body[name])
        return cls(**body)

    return lift


def _schemas_by_id() -> dict[int, Any]:
    folder = resources.files("schemas") / "avro"
    index = json.loads((folder / "index.json").read_text())
    return {
        int(schema_id): fastavro.parse_schema(json.loads((folder / f"{name}.avsc").read_text()))
        for schema_id, name in index.items()
    }


def _reader_of_old(written: Any, wanted: Any, lift: Convert) -> Callable[[bytes], Record]:
    """Return what reads a record of a schema that nobody writes any more."""

    def read(value: bytes) -> Record:
        return typing.cast(Record, lift(fastavro.schemaless_reader(BytesIO(value[_HEAD.size :]), written, wanted)))

    return read


def _reader_of(decode_body: Decode) -> Callable[[bytes], Record]:
    return lambda value: decode_body(value, _HEAD.size)[0]


def _tables() -> tuple[dict[type, tuple[bytes, Encode]], dict[int, Callable[[bytes], Record]]]:
    by_id = _schemas_by_id()
    newest = {schema["name"].removeprefix("penstock."): schema_id for schema_id, schema in sorted(by_id.items())}
    classes = {name: cls for name, cls in vars(records).items() if isinstance(cls, type)}
    writers: dict[type, tuple[bytes, Encode]] = {}
    readers: dict[int, Callable[[bytes], Record]] = {}
    for schema_id, schema in by_id.items():
        name = schema["name"].removeprefix("penstock.")
        if newest[name] == schema_id:
            write, read = Compiler(classes).functions(schema)
            writers[classes[name]] = (_HEAD.pack(MAGIC, schema_id), write)
            readers[schema_id] = _reader_of(read)
        else:
            readers[schema_id] = _reader_of_old(schema, by_id[newest[name]], _lift_class(classes[name]))
    return writers, readers


_WRITERS, _READERS = _tables()
