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
from functools import cache
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
_FOLDER = resources.files("schemas") / "avro"

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
    try:
        read = _READERS[schema_id]
    except KeyError:
        raise CodecError(
            f"schema id {schema_id} is not in schemas/avro/index.json; was this written by a newer version"
            f"{'' if schema_id >= FIRST_ID else ', or with a schema registry (schema_registry_url)'}?"
        ) from None
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


@cache
def _index() -> dict[int, str]:
    """Return the file of every id, the newest last."""
    index = json.loads((_FOLDER / "index.json").read_text())
    return {int(schema_id): index[schema_id] for schema_id in sorted(index, key=int)}


def _name_of(file: str) -> str:
    """Return the record of a file: `node_row_2` holds a former `NodeRow`."""
    return "".join(word.capitalize() for word in file.split("_") if not word.isdigit())


@cache
def _newest() -> dict[str, int]:
    return {_name_of(file): schema_id for schema_id, file in _index().items()}


@cache
def _schema(schema_id: int) -> Any:
    return fastavro.parse_schema(json.loads((_FOLDER / f"{_index()[schema_id]}.avsc").read_text()))


@cache
def _functions(schema_id: int) -> tuple[Encode, Decode]:
    return Compiler(vars(records)).functions(_schema(schema_id))


def _reader_of_old(written: Any, wanted: Any, lift: Convert) -> Callable[[bytes], Record]:
    """Return what reads a record of a schema that nobody writes any more."""

    def read(value: bytes) -> Record:
        return typing.cast(Record, lift(fastavro.schemaless_reader(BytesIO(value[_HEAD.size :]), written, wanted)))

    return read


def _reader_of(decode_body: Decode) -> Callable[[bytes], Record]:
    return lambda value: decode_body(value, _HEAD.size)[0]


class _Writers(dict[type, tuple[bytes, Encode]]):
    """What writes the records of a class, made when the first one is written: a command meets a few of the many."""

    def __missing__(self, cls: type) -> tuple[bytes, Encode]:
        schema_id = _newest()[cls.__name__]
        self[cls] = made = _HEAD.pack(MAGIC, schema_id), _functions(schema_id)[0]
        return made


class _Readers(dict[int, Callable[[bytes], Record]]):
    """What reads the records of a schema, made when the first one is read."""

    def __missing__(self, schema_id: int) -> Callable[[bytes], Record]:
        name = _name_of(_index()[schema_id])
        newest = _newest()[name]
        if schema_id == newest:
            made = _reader_of(_functions(schema_id)[1])
        else:
            made = _reader_of_old(_schema(schema_id), _schema(newest), _lift_class(getattr(records, name)))
        self[schema_id] = made
        return made


_WRITERS, _READERS = _Writers(), _Readers()
