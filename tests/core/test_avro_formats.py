"""Inputs and results in Avro as decisions: what intake makes of bytes, and what a run's end writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
import pytest

from schemas import registered
from schemas.claims import claim_of, text_of
from schemas.codec import dumps
from schemas.headers import header
from schemas.records import Json, NodeOutcome, Started
from streams.core.compiled import compile_workflow
from streams.core.intake import admit
from streams.core.result import result_of, result_record
from tests.core.examples import MOMENT, inbound
from tests.core.test_dead_letter_and_result import ROW
from tests.plans import plan_of
from topology.plan import LlmPlan
from topology.result_schema import result_avro

ORDER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    ],
}
PLAN = plan_of({"a": ()}, input_format="avro", input_schema={"type": "object", "required": ["n"]})
WF = compile_workflow(PLAN)


@pytest.fixture(autouse=True)
def learned() -> Iterator[None]:
    registered.learn(7, json.dumps(ORDER))
    registered.learn(8, '{"type": "record", "name": "Other", "fields": []}')
    registered.learn(9, '"double"')
    yield
    registered.forget()


def encoded(value: Any, schema: Any = ORDER, schema_id: int = 7) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return b"\0" + schema_id.to_bytes(4, "big") + out.getvalue()


def test_an_input_is_read_by_the_schema_that_it_names() -> None:
    send = admit(WF, inbound(encoded({"n": 1, "note": None, "price": Decimal("1.50")})), MOMENT)
    assert isinstance(send.value, Started)
    assert json.loads(send.value.input) == {"n": 1, "price": "1.50"}


def test_an_input_in_json_is_the_same_run_as_one_in_avro() -> None:
    in_json = compile_workflow(replace(PLAN, input_format="json"))
    one = admit(in_json, inbound(b'{"price": "1.50", "n": 1}'), MOMENT).value
    other = admit(WF, inbound(encoded({"n": 1, "note": None, "price": Decimal("1.50")})), MOMENT).value
    assert isinstance(one, Started)
    assert isinstance(other, Started)
    assert one.input_hash == other.input_hash


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (None, "null_input", "no value"),
        (b"", "undecodable", "not in Confluent wire format"),
        (b'{"n": 1}', "undecodable", "not in Confluent wire format"),
        (b"\0\0\0\0\x63x", "undecodable", "schema id 99 is not known"),
        (b"\0\0\0\0\7", "undecodable", "breaks schema 7"),
        (encoded({"n": 1, "note": None, "price": Decimal("1.50")}) + b"x", "undecodable", "bytes are left over"),
        (encoded({}, {"type": "record", "name": "Other", "fields": []}, 8), "input_schema", "n"),
        (encoded(float("nan"), "double", 9), "undecodable", "no number that JSON knows"),
    ],
)
def test_what_cannot_be_used_is_buried_with_its_bytes(value: bytes | None, kind: str, said: str) -> None:
    send = admit(WF, inbound(value), MOMENT)
    assert send.topic == PLAN.topic("dead-letter")
    assert send.value == value
    assert header(send.headers, "penstock.error.kind") == kind
    assert said in (header(send.headers, "penstock.error.message") or "")


OUTPUT = {
    "type": "object",
    "properties": {"total": {"type": "integer"}, "note": {"type": "string"}},
    "required": ["total"],
    "additionalProperties": False,
}
LLM = LlmPlan(("m",), "", "", OUTPUT, 1, None, {})
SINKS = plan_of({"a": (), "b": ("a",), "c": ("a",)}, nodes={"b": {"kind": "llm", "llm": LLM}}, output_format="avro")


def written(outputs: dict[str, str]) -> Any:
    """Return a result as any reader of Avro sees it."""
    nodes = {name: NodeOutcome("success", output=Json(text)) for name, text in outputs.items()}
    row = replace(ROW, nodes={**ROW.nodes, **nodes})
    send = result_record(SINKS, row)
    assert isinstance(send.value, bytes)
    assert header(send.headers, "content-type") == "application/avro"
    read = fastavro.schemaless_reader(BytesIO(send.value[5:]), fastavro.parse_schema(result_avro(SINKS)), None)
    registered.learn(5, json.dumps(result_avro(SINKS)))
    back = registered.json_of(b"\0\0\0\0\5" + send.value[5:])
    back["outputs"] |= back.pop("outputs_as_json")
    assert back == json.loads(dumps(result_of(SINKS, row)))
    return read


def test_a_sink_with_a_schema_has_a_type_and_one_without_is_text() -> None:
    read = written({"b": '{"total": 3}', "c": '{"any": [1, null]}'})
    assert read["outputs"] == {"b": {"total": 3, "note": None}, "c": '{"any":[1,null]}'}
    assert read["outputs_as_json"] == {}


def test_a_claim_is_none_of_its_type() -> None:
    claim = claim_of("file:///claims/x", 20, "ab" * 32)
    read = written({"b": text_of(claim), "c": text_of(claim)})
    assert read["outputs"] == {"b": None, "c": None}
    assert {name: json.loads(text) for name, text in read["outputs_as_json"].items()} == {"b": claim, "c": claim}


def test_an_output_that_avro_cannot_hold_is_not_lost() -> None:
    read = written({"b": '{"total": 9223372036854775808}', "c": "{}"})
    assert read["outputs"] == {"b": None, "c": "{}"}
    assert {name: json.loads(text) for name, text in read["outputs_as_json"].items()} == {"b": {"total": 2**63}}
