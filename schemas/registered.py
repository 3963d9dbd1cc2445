"""Schemas of a registry that were learned, by their ids there: bytes of ours in and out of its wire format, and anybody's as JSON.

Inside the program records have the ids of `avro/index.json`; they are changed at the clients, where records come in and go out
(`streams/engine/wire.py`). The two forms have the same body: a registry's union puts one byte before it, the type's place.
Nothing here asks a registry: who does hands in what it said (`learn`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro
import orjson

from schemas import unions
from schemas.avro_json import Misfit, to_avro, to_json
from schemas.codec import MAGIC, CodecError, loads

HEAD = struct.Struct(">bI")
OUTPUT_ID = 1_999_999
"""Begins a result in Avro inside the program: the registry's id takes its place before it goes out."""


class Codec:
    """Values of one schema, whoever wrote it."""

    def __init__(self, schema: Any) -> None:
        self._names: dict[str, Any] = {}
        self.schema = fastavro.parse_schema(schema, named_schemas=self._names)

    def encode(self, value: Any, schema_id: int) -> bytes:
        """Return a JSON value in wire format; `Misfit` says where it does not fit."""
        out = BytesIO()
        out.write(HEAD.pack(MAGIC, schema_id))
        try:
            fastavro.schemaless_writer(out, self.schema, to_avro(self.schema, value, self._names))
        except Misfit:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise Misfit(str(error)) from error
        return out.getvalue()

    def decode(self, value: bytes) -> Any:
        """Return the JSON value of a record in wire format; `CodecError` for a body that breaks the schema."""
        body = BytesIO(value[HEAD.size :])
        try:
            read = fastavro.schemaless_reader(body, self.schema, None)
            if body.read(1):
                raise CodecError(f"a body that breaks schema {id_of(value)}: bytes are left over")
            return to_json(self.schema, read, self._names)
        except CodecError:
            raise
        except Exception as error:  # fastavro raises what a body of random bytes makes it stumble over
            raise CodecError(f"a body that breaks schema {id_of(value)}: {type(error).__name__}: {error}") from error


_ours: dict[bytes, tuple[bytes | None, ...]] = {}
"""By the head of a record in the registry's format: our head, for each branch of the union that we know."""
_foreign: dict[int, Codec] = {}
_bad: dict[int, str] = {}


def learn(schema_id: int, text: str | None) -> None:
    """Note what the registry has under an id: the schema's text, None if there is none that is Avro."""
    if text is None:
        _bad[schema_id] = f"schema id {schema_id} is not in the schema registry"
        return
    _bad.pop(schema_id, None)
    try:
        schema = orjson.loads(text) if text.lstrip()[:1] in ("{", "[", '"') else text
        heads = _heads(schema)
        if any(heads):
            _ours[HEAD.pack(MAGIC, schema_id)] = heads
        else:
            _foreign[schema_id] = Codec(schema)
    except Exception as error:  # whatever somebody registered
        _bad[schema_id] = f"schema {schema_id} of the schema registry is no Avro: {type(error).__name__}: {error}"


def _heads(schema: Any) -> tuple[bytes | None, ...]:
    if not isinstance(schema, list):
        return ()
    known = unions.by_form()
    ids = [known.get(unions.canonical(part)) for part in unions.branches(schema)]
    return tuple(None if number is None else HEAD.pack(MAGIC, number) for number in ids)


def forget() -> None:
    """Forget everything that was learned: another registry has other ids."""
    _ours.clear()
    _foreign.clear()
    _bad.clear()


def id_of(value: bytes | None) -> int | None:
    """Return the schema id of bytes that look like the wire format, None of others."""
    return None if value is None or len(value) < HEAD.size or value[0] != MAGIC else int(HEAD.unpack_from(value)[1])


def unknown(value: bytes | None) -> int | None:
    """Return the id in `value` that a registry must be asked for, None if there is none or it was asked for."""
    found = id_of(value)
    if found is None or found in _foreign or found in _bad or found in unions.files():
        return None
    return None if value is not None and value[: HEAD.size] in _ours else found


def local(value: bytes) -> bytes:
    """Return a record of ours as the program has it; other bytes as they are."""
    heads = _ours.get(value[: HEAD.size])
    if heads is None or len(value) <= HEAD.size or value[HEAD.size] & 1:
        return value
    place = value[HEAD.size] >> 1
    head = heads[place] if place < len(heads) else None
    return value if head is None else head + value[HEAD.size + 1 :]


def heads_of(names: tuple[str, ...], schema_id: int) -> Mapping[bytes, bytes]:
    """Return what takes the place of our heads in records of the types `names`, whose union has `schema_id`."""
    head, ours = HEAD.pack(MAGIC, schema_id), unions.newest()
    return {HEAD.pack(MAGIC, ours[name]): head + bytes([place << 1]) for place, name in enumerate(names)}


def input_of(value: bytes | None) -> Any:
    """Return what an input holds, in JSON or in Avro by a schema that was learned; ValueError (or `CodecError`) for neither."""
    found = b"" if value is None else value
    return loads(found) if id_of(found) is None else json_of(found)


def json_of(value: bytes) -> Any:
    """Return the JSON value of bytes in wire format whose schema is somebody else's.

    Raises:
        CodecError: no such schema was learned, or the body breaks it.
    """
    found = id_of(value)
    codec = None if found is None else _foreign.get(found)
    if found is None or codec is None:
        said = "not in Confluent wire format: magic byte 0, a schema id of 4 bytes, then the body"
        raise CodecError(said if found is None else _bad.get(found, f"schema id {found} is not known"))
    return codec.decode(value)
