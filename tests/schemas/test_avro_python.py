"""The functions made from schemas write the bytes that fastavro writes, and read what it reads."""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.avro_python import Compiler, long_at, long_bytes
from schemas.codec import CodecError, decode, encode
from tests.schemas.test_codec import CLASSES, NEWEST, schema
from tests.strategies import LONGS
from tests.strategies import records as any_of

HEAD = 5
PARSED = {name: fastavro.parse_schema(schema(file)) for name, (_, file) in NEWEST.items()}


def plain(value: Any) -> Any:
    """Return what fastavro takes for a record: dicts and lists."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple) else value


def as_fastavro(record: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, PARSED[type(record).__name__], plain(record))
    return out.getvalue()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_bytes_are_those_of_fastavro(cls: type, data: st.DataObject) -> None:
    record = data.draw(any_of(cls))
    assert encode(record)[HEAD:] == as_fastavro(record)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_fastavro_wrote_is_read(cls: type, data: st.DataObject) -> None:
    record = data.draw(any_of(cls))
    assert decode(encode(record)[:HEAD] + as_fastavro(record)) == record


@given(LONGS)
@example(2**63 - 1)
@example(-(2**63))
def test_longs(value: int) -> None:
    assert long_at(long_bytes(value), 0) == (value, len(long_bytes(value)))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_a_number_that_is_no_long_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        long_bytes(value)


BLOCKS = {
    "type": "record",
    "name": "Blocks",
    "fields": [
        {"name": "numbers", "type": {"type": "array", "items": "long"}},
        {"name": "names", "type": {"type": "map", "values": "boolean"}},
    ],
}


@dataclasses.dataclass
class Blocks:
    numbers: tuple[int, ...]
    names: Mapping[str, bool]


def test_several_blocks_and_blocks_with_their_size_are_read() -> None:
    """We write one block; Avro allows others more."""
    _, read = Compiler({"Blocks": Blocks}).functions(BLOCKS)
    numbers = long_bytes(2) + long_bytes(7) + long_bytes(8) + long_bytes(-1) + long_bytes(1) + long_bytes(9) + b"\0"
    names = long_bytes(-1) + long_bytes(3) + b"\2a\1" + long_bytes(1) + b"\2b\0" + b"\0"
    assert read(numbers + names, 0) == (Blocks((7, 8, 9), {"a": True, "b": False}), len(numbers + names))


def test_a_type_of_no_schema_of_ours_is_refused() -> None:
    fixed = {"type": "record", "name": "Blocks", "fields": [{"name": "numbers", "type": "float"}]}
    with pytest.raises(TypeError, match="float"):
        Compiler({"Blocks": Blocks}).functions(fixed)


@given(st.binary(max_size=40), st.sampled_from(sorted(typing.cast(type, cls).__name__ for cls in CLASSES)))
def test_any_body_is_a_record_or_an_error(body: bytes, name: str) -> None:
    with contextlib.suppress(CodecError):
        decode(b"\0" + NEWEST[name][0].to_bytes(4, "big") + body)
