"""Inputs and results in Avro, end to end: producers and consumers that know Confluent's format and nothing of ours."""

import asyncio
import io
import json
import struct
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import pytest

from schemas.headers import header
from tests.cli.conftest import start_provider
from tests.kafka_tools import publish, read_until
from tests.registry.conftest import PREFIX, PlainConsumer, RegistryCli, ask

pytestmark = pytest.mark.kafka

WORKFLOW = """workflow:
  id: {id}
  version: 1.0.0
  input_schema: input.json
  input_format: avro
  output_format: avro
  nodes:
    - id: count
      type: function
      handler: nodes.py:count
    - id: extract
      type: llm
      model: m
      prompt_template: prompt.j2
      output_schema: extract.json
"""
HANDLERS = """
def count(inputs, context):
    return {"letters": len(inputs["input"]["text"])}
"""
INPUT = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "page": {"type": "integer"}},
    "required": ["text"],
}
EXTRACT = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "total": {"type": "number"}, "lines": {"type": "integer"}},
    "required": ["label", "total"],
    "additionalProperties": False,
}


@pytest.fixture
def avro(tmp_path: Path) -> tuple[str, Path]:
    """Return a workflow in Avro, one of whose sinks has a schema."""
    name = f"avro-{uuid4().hex[:8]}"
    (tmp_path / "nodes.py").write_text(HANDLERS)
    (tmp_path / "prompt.j2").write_text("Say what this is: {{ input.text }}")
    (tmp_path / "input.json").write_text(json.dumps(INPUT))
    (tmp_path / "extract.json").write_text(json.dumps(EXTRACT))
    file = tmp_path / f"{name}.yaml"
    file.write_text(WORKFLOW.format(id=name))
    return name, file


def register(cli: RegistryCli, subject: str, schema: Any) -> int:
    """Register a schema, as a producer does."""
    return int(ask(f"{cli.registry}/subjects/{subject}/versions", {"schema": json.dumps(schema)})["id"])


def encoded(schema_id: int, schema: Any, value: Any) -> bytes:
    """Return a value as Confluent's serializer writes it."""
    out = io.BytesIO(struct.pack(">bI", 0, schema_id))
    out.seek(5)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def test_avro_in_and_avro_out(cli: RegistryCli, avro: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    name, file = avro
    start_provider(cli, monkeypatch, "fixed:5")
    cli.worker(file)
    topic = f"{PREFIX}{name}"
    # A producer with a schema of its own, which the workflow's input_schema accepts once it is decoded.
    own = {
        "type": "record",
        "name": "Letter",
        "fields": [
            {"name": "text", "type": "string"},
            {"name": "page", "type": ["null", "int"], "default": None},
            {"name": "sent", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        ],
    }
    theirs = register(cli, f"{name}-theirs", own)
    good = encoded(theirs, own, {"text": "hello", "page": None, "sent": 1_700_000_000_000})
    narrow = {"type": "record", "name": "Other", "fields": [{"name": "page", "type": "long"}]}
    misfit = encoded(register(cli, f"{name}-narrow", narrow), narrow, {"page": 1})
    bad = [struct.pack(">bI", 0, 909_090) + b"x", good[:-3], b'{"text": "json"}', misfit]
    assert cli.bootstrap is not None
    keys = ["good", "no-such-id", "cut", "json", "misfit"]
    asyncio.run(publish(cli.bootstrap, f"{topic}.input", [good, *bad], keys))
    told = cli("publish", name, "--input", '{"text": "from the command line"}', "--run-id", "cli", "--json")
    assert told.code == 0, told.err
    refused = cli("publish", name, "--input", '{"text": 5}')
    assert refused.code == 2
    assert "text: 5 is no Avro string" in refused.err

    ended = {
        result["run_id"]: result for result in cli("consume", name, "--max", "2", "--timeout", "40", "--json").json
    }
    assert ended.keys() == {"good", "cli"}
    assert ended["good"]["outputs"]["count"] == {"letters": 5}
    extract = ended["good"]["outputs"]["extract"]
    assert isinstance(extract["label"], str)
    plain = PlainConsumer(cli.registry)
    results = {result["run_id"]: result for result in map(plain.decode, cli.values(f"{topic}.output"))}
    read = results["good"]
    assert read["status"] == "success"
    assert read["outputs"]["extract"][1]["label"] == extract["label"]
    assert json.loads(read["outputs"]["count"]) == {"letters": 5}
    assert read["nodes"]["extract"]["attempts"] == 1

    letters = asyncio.run(read_until(cli.bootstrap, f"{topic}.dead-letter", lambda found: len(found) == 4))
    assert {letter.key.decode(): letter.value for letter in letters} == dict(zip(keys[1:], bad, strict=True))
    kinds = {letter.key.decode(): header(letter.headers, "penstock.error.kind") for letter in letters}
    assert kinds == {"no-such-id": "undecodable", "cut": "undecodable", "json": "undecodable", "misfit": "input_schema"}
    shown = cli("dead-letter", "show", name, "--kind", "input_schema", "--json")
    assert shown.object["value"] == {"page": 1}, shown.out
    cli.assert_clean(name)

    again = cli("replay", name, "--from", "0", "--where", 'input.text == "hello"', "--dry-run", "--json")
    assert again.code == 0, again.err
    assert again.json[-1]["runs"] == 1, again.out


def test_a_breaking_change_of_an_output_schema_is_refused_before_the_worker_starts(
    cli: RegistryCli, avro: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, file = avro
    start_provider(cli, monkeypatch, "fixed:5")
    assert cli("registry", "register", file).code == 0
    before = ask(f"{cli.registry}/subjects/{PREFIX}{name}.output-value/versions")
    total = dict(EXTRACT["properties"])  # type: ignore[call-overload]
    changes = {
        "outputs.extract.total": {"properties": total | {"total": {"type": "string"}}},  # another type
        "outputs.extract.label": {"properties": {"total": {"type": "number"}}, "required": ["total"]},  # gone
        "outputs.extract.date": {
            "properties": total | {"date": {"type": "string"}},
            "required": ["label", "total", "date"],
        },
    }
    for field, change in changes.items():
        (tmp_path / "extract.json").write_text(json.dumps(EXTRACT | change))
        told = cli("worker", file)
        assert told.code == 2, told.err
        assert f"'{PREFIX}{name}.output'" in told.err
        assert f"{PREFIX}{name}.output-value" in told.err
        assert f"{field}: " in told.err
    assert ask(f"{cli.registry}/subjects/{PREFIX}{name}.output-value/versions") == before
    (tmp_path / "extract.json").write_text(json.dumps(EXTRACT | {"properties": total | {"note": {"type": "string"}}}))
    assert cli("registry", "register", file).code == 0  # a field that need not be there breaks nobody


def test_avro_without_a_registry_is_refused_with_what_to_do(
    cli: RegistryCli, avro: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, file = avro
    start_provider(cli, monkeypatch, "fixed:5")
    cli.registry = ""
    told = cli("worker", file)
    assert told.code == 2
    assert f"workflow {name!r}" in told.err
    assert "PENSTOCK_SCHEMA_REGISTRY_URL" in told.err
    assert cli("check", file).code == 0
