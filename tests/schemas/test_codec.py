"""The wire format: every record comes back as it was, and no bytes raise anything but `CodecError`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import struct
import typing
from importlib import resources
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import records
from schemas.codec import CodecError, decode, dumps, encode, loads
from schemas.records import OwnerMarker, Record
from tests import golden_records
from tests.strategies import records as any_of

CLASSES = [cls for cls in typing.get_args(Record) if isinstance(cls, type)]
FOLDER = resources.files("schemas") / "avro"
INDEX: dict[str, str] = json.loads((FOLDER / "index.json").read_text())


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.avsc").read_text())
    return found


NEWEST = {schema(name)["name"]: (int(number), name) for number, name in sorted(INDEX.items())}
"""Of each class the schema it is written with: ids are of one length, so the last is the newest."""


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_round_trip(cls: type, data: st.DataObject) -> None:
    record = data.draw(any_of(cls))
    assert decode(encode(record)) == record


def test_every_record_class_has_a_schema() -> None:
    assert {cls.__name__ for cls in CLASSES} == {schema(name)["name"] for name in INDEX.values()}


def test_ids_begin_at_a_million_and_are_contiguous() -> None:
    """So that they cannot be mistaken for a registry's."""
    assert sorted(map(int, INDEX)) == list(range(1_000_000, 1_000_000 + len(INDEX)))


def test_every_schema_file_is_in_the_index_once() -> None:
    files = sorted(entry.name.removesuffix(".avsc") for entry in FOLDER.iterdir() if entry.name.endswith(".avsc"))
    assert sorted(INDEX.values()) == files


@pytest.mark.parametrize("name", golden_records.ALL)
def test_a_record_starts_with_magic_and_its_newest_schema_s_id(name: str) -> None:
    record = golden_records.ALL[name]
    assert encode(record)[:5] == struct.pack(">bI", 0, NEWEST[type(record).__name__][0])


@pytest.mark.parametrize("name", INDEX.values())
def test_what_an_older_schema_lacks_has_the_class_s_default(name: str) -> None:
    """Else an old record would come back as one that nobody wrote."""
    newest = schema(NEWEST[schema(name)["name"]][1])
    cls = getattr(records, newest["name"])
    older = [field["name"] for field in schema(name)["fields"]]
    assert older == [field["name"] for field in newest["fields"]][: len(older)]
    defaults = {field.name: _default(field) for field in dataclasses.fields(cls)}
    for added in newest["fields"][len(older) :]:
        default = added["default"]
        assert defaults[added["name"]] == (tuple(default) if isinstance(default, list) else default), added["name"]


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def check(cls: type, avro: dict[str, Any], path: str) -> None:
    """Compare a dataclass' fields with a schema's, and those of what is nested in it."""
    fields = [field.name for field in dataclasses.fields(cls)]
    assert fields == [field["name"] for field in avro["fields"]], path
    hints = typing.get_type_hints(cls)
    for field in avro["fields"]:
        for nested in _records_in(field["type"]):
            assert nested["name"] in str(hints[field["name"]]), f"{path}.{field['name']}"
            check(getattr(records, nested["name"]), nested, f"{path}.{field['name']}")
        optional = isinstance(field["type"], list) and "null" in field["type"]
        assert optional is (type(None) in typing.get_args(hints[field["name"]])), f"{path}.{field['name']}"


def _records_in(kind: Any) -> list[dict[str, Any]]:
    if isinstance(kind, list):
        return [nested for arm in kind for nested in _records_in(arm)]
    if not isinstance(kind, dict):
        return []
    return [kind] if kind["type"] == "record" else _records_in(kind.get("values", kind.get("items", "null")))


@pytest.mark.parametrize("name", [name for _, name in NEWEST.values()])
def test_fields_and_schema_agree(name: str) -> None:
    avro = schema(name)
    assert avro["namespace"] == "penstock"
    check(getattr(records, avro["name"]), avro, avro["name"])


@pytest.mark.parametrize(
    "value",
    [b"", b"\0", b"{}", b"\0\0\0\0\1", b"\0\0\x0fB", b"\1" + encode(OwnerMarker(1, "me"))[1:], b"\0\0\x1e\x84\x80rest"],
)
def test_what_is_no_record(value: bytes) -> None:
    with pytest.raises(CodecError):
        decode(value)


def test_an_unknown_id_says_so() -> None:
    with pytest.raises(CodecError, match=r"schema id 999999 .*newer version"):
        decode(struct.pack(">bI", 0, 999_999) + b"body")


@given(st.binary(max_size=64))
def test_any_bytes_raise_codec_error_or_nothing(value: bytes) -> None:
    with contextlib.suppress(CodecError):
        decode(value)


@given(schema_id=st.sampled_from(sorted(map(int, INDEX))), body=st.binary(max_size=64))
def test_any_body_raises_codec_error_or_nothing(schema_id: int, body: bytes) -> None:
    with contextlib.suppress(CodecError):
        decode(struct.pack(">bI", 0, schema_id) + body)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_a_truncated_body_is_an_error(cls: type, data: st.DataObject) -> None:
    value = encode(data.draw(any_of(cls)))
    with pytest.raises(CodecError):
        decode(value[: data.draw(st.integers(0, len(value) - 1))])


@pytest.mark.parametrize("name", INDEX.values())
def test_no_beginning_of_a_golden_record_is_one(name: str) -> None:
    value = golden_records.path_of(name).read_bytes()
    for length in range(len(value)):
        with pytest.raises(CodecError):
            decode(value[:length])


def test_the_schemas_are_avro() -> None:
    for name in INDEX.values():
        fastavro.parse_schema(schema(name))


def test_json_text() -> None:
    assert dumps({"a": [1, None, "é"]}) == '{"a":[1,null,"é"]}'
    assert loads(b'{"a": 1}') == {"a": 1}
    for text in ("", "{", "NaN", b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the library calls it, it is one
            loads(text)
