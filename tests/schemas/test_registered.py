"""Records in a registry's format: a union of a topic's records, read by any Avro library, and the same body as without one."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import avro.schema
import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import registered, unions
from schemas.codec import CodecError, decode, encode
from schemas.unions import branches, union_of
from tests.schemas.test_avro_python import plain
from tests.schemas.test_codec import CLASSES
from tests.strategies import records as any_of
from topology.contents import BY_PURPOSE, JOURNAL

GOLDEN = Path(__file__).parents[1] / "golden" / "records"
BY_NAME = {cls.__name__: cls for cls in CLASSES}
GROUPS = [*dict.fromkeys(BY_PURPOSE.values()), *((name, "OwnerMarker") for name in BY_NAME if name.endswith("Row"))]


@pytest.fixture(autouse=True)
def nothing_learned() -> Any:
    yield
    registered.forget()


@pytest.mark.parametrize("names", GROUPS, ids="+".join)
def test_a_union_is_whole_and_each_branch_is_the_schema_that_is_checked_in(names: tuple[str, ...]) -> None:
    union = json.loads(json.dumps(union_of(names)))
    avro.schema.parse(json.dumps(union))  # the Apache library, which refuses a default of a wrong type
    fastavro.parse_schema(json.loads(json.dumps(union)))
    found = [unions.by_form()[unions.canonical(branch)] for branch in branches(union)]
    assert found == [unions.newest()[name] for name in names]


def test_every_schema_that_was_ever_written_is_known_by_its_form() -> None:
    for number, schema in unions.files().items():
        same = unions.by_form()[unions.canonical(schema)]
        assert unions.files()[same]["name"] == schema["name"], number


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_avro_library_reads_what_goes_out_and_we_read_it_back(data: st.DataObject) -> None:
    names = data.draw(st.sampled_from(GROUPS))
    record = data.draw(any_of(BY_NAME[data.draw(st.sampled_from(names))]))
    schema = union_of(names)
    registered.learn(7, json.dumps(schema))
    heads = registered.heads_of(names, 7)
    inside = encode(record)
    outside = heads[inside[:5]] + inside[5:]
    read = fastavro.schemaless_reader(
        BytesIO(outside[5:]), fastavro.parse_schema(schema), None, return_record_name=True
    )
    assert outside[:5] == b"\0\0\0\0\7"
    assert read[0] == f"penstock.{type(record).__name__}"
    assert set(read[1]) == set(plain(record))
    assert registered.local(outside) == inside
    assert registered.local(inside) == inside
    assert decode(registered.local(outside)) == record


def test_records_of_former_schemas_are_read_by_the_union_they_were_written_with() -> None:
    old, new = unions.files()[1000003], unions.newest()["Succeeded"]  # Succeeded as it was at first
    assert old["name"] == "Succeeded"
    assert new != 1000003
    registered.learn(8, json.dumps([old]))
    inside = encode(decode(_golden("succeeded")))
    outside = b"\0\0\0\0\x08\0" + _golden("succeeded")[5:]
    assert registered.local(outside) == _golden("succeeded")
    assert encode(decode(registered.local(outside))) == inside


def _golden(name: str) -> bytes:
    return (GOLDEN / name / "v1.bin").read_bytes()


def test_a_type_that_is_not_known_yet_is_left_as_it_is_and_not_read() -> None:
    newer = {"type": "record", "name": "Invented", "namespace": "penstock", "fields": [{"name": "x", "type": "long"}]}
    registered.learn(9, json.dumps([*union_of(JOURNAL), newer]))
    value = b"\0\0\0\0\x09" + bytes([len(JOURNAL) << 1]) + b"\2"
    assert registered.local(value) == value
    with pytest.raises(CodecError, match="schema id 9 is not in"):
        decode(registered.local(value))


def test_only_ids_that_nobody_asked_for_are_asked_for() -> None:
    inside = encode(BY_NAME["OwnerMarker"](1, "me"))
    assert registered.unknown(None) is None
    assert registered.unknown(b'{"json": true}') is None
    assert registered.unknown(b"\0\0\0") is None
    assert registered.unknown(inside) is None
    assert registered.unknown(b"\0\0\0\0\5x") == 5
    registered.learn(5, None)
    assert registered.unknown(b"\0\0\0\0\5x") is None
    with pytest.raises(CodecError, match="5 is not in the schema registry"):
        registered.json_of(b"\0\0\0\0\5x")


def test_a_schema_that_is_no_avro_is_said_to_be_none() -> None:
    registered.learn(6, '{"type": "object"}')
    with pytest.raises(CodecError, match="schema 6 of the schema registry is no Avro"):
        registered.json_of(b"\0\0\0\0\6x")


@given(st.binary(max_size=40))
def test_any_body_is_a_value_or_an_error_of_ours(body: bytes) -> None:
    schema = {
        "type": "record",
        "name": "Order",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "lines", "type": {"type": "array", "items": {"type": "map", "values": "double"}}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "next", "type": ["null", "Order"], "default": None},
        ],
    }
    registered.learn(11, json.dumps(schema))
    try:
        value = registered.json_of(b"\0\0\0\0\x0b" + body)
    except CodecError:
        return
    json.dumps(value, allow_nan=False)
