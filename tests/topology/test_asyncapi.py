"""The AsyncAPI document: valid by AsyncAPI's own schema, whole, and true: what it says of commands is what intake takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from schemas.claims import claim_of
from schemas.codec import dumps
from streams.core import intake
from streams.core.compiled import compile_workflow
from streams.core.inbound import Inbound
from streams.core.transition import Moment
from topology.asyncapi import document
from topology.load import load_workflow
from topology.plan import ClaimCheck, WorkflowPlan

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent.name for path in ROOT.glob("workflows/*/workflow.yaml"))
SCHEMA = json.loads((ROOT / "tests/interop/asyncapi-3.0.0.json").read_text())
VALIDATOR = jsonschema_rs.validator_for(SCHEMA, offline=True)

EVERYTHING = """workflow:
  id: every-thing
  input_schema: input.json
  {formats}
  budget: {{max_tokens: 100000}}
  nodes:
    - {{id: chat, type: llm, model: m, prompt_template: p.j2, stream: true, output_schema: out.json}}
    - {{id: sort, type: router, routes: [a, b], rules: [{{when: "true", route: a}}], default_route: b, dependencies: [chat]}}
    - {{id: ask, type: review, dependencies: [sort]}}
    - {{id: each, type: external, for_each: input.items, dependencies: [ask], idempotency_key: "${{item.id}}"}}
    - {{id: last_one, type: external, dependencies: [each]}}
"""


@pytest.fixture(params=["", "input_format: avro\n  output_format: avro"], ids=["json", "avro"])
def everything(request: pytest.FixtureRequest, tmp_path: Path) -> WorkflowPlan:
    """Return a workflow that has all kinds of topics."""
    (tmp_path / "w.yaml").write_text(EVERYTHING.format(formats=request.param))
    items = {"type": "array", "items": {"$ref": "#/$defs/item"}}
    item = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    (tmp_path / "input.json").write_text(
        json.dumps({"type": "object", "properties": {"items": items}, "required": ["items"], "$defs": {"item": item}})
    )
    (tmp_path / "out.json").write_text('{"type": "object", "properties": {"text": {"type": "string"}}}')
    (tmp_path / "p.j2").write_text("{{ input }}")
    return load_workflow(tmp_path / "w.yaml").require_plan()


def problems(found: Any) -> list[str]:
    """Return what is wrong with a document."""
    return [f"{list(error.instance_path)}: {error.message[-200:]}" for error in VALIDATOR.iter_errors(found)]


def references(part: Any) -> list[str]:
    """Return every reference in a document."""
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


def at(found: Any, reference: str) -> Any:
    """Return what a reference leads to."""
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_valid(name: str) -> None:
    plan = load_workflow(ROOT / "workflows" / name / "workflow.yaml").require_plan()
    assert problems(document(plan)) == []


def test_a_workflow_with_all_there_is_is_valid_and_whole(everything: WorkflowPlan) -> None:
    found = document(everything)
    assert problems(found) == []
    for reference in references(found):
        assert at(found, reference) is not None
    addresses = {channel["address"] for channel in found["channels"].values()}
    assert addresses == {topic.name for topic in everything.topics} | {table.changelog for table in everything.tables}
    assert found["channels"]["tokens"]["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] == 900_000
    assert found["operations"]["receive.input"]["bindings"]["kafka"]["groupId"]["const"] == "penstock.every-thing"
    assert set(found["channels"]["control"]["messages"]) == {"Cancel", "Redrive", "Replay", "Review", "ExternalResult"}


def test_a_claim_check_shows_in_what_a_message_may_be(everything: WorkflowPlan) -> None:
    plan = replace(everything, claim_check=ClaimCheck("file:///claims", 100_000))
    found = document(plan)
    assert problems(found) == []
    for reference in references(found):
        assert at(found, reference) is not None
    assert set(found["channels"]["input"]["messages"]) == {"Input", "InputClaim"}
    messages, claim = found["components"]["messages"], dict(claim_of("file:///claims/x", 20, "ab" * 32))
    assert "penstock.claim" in messages["InputClaim"]["headers"]["required"]
    assert "penstock.claim" not in messages["Input"]["headers"]["properties"]
    schemas = {"components": found["components"]}
    assert jsonschema_rs.is_valid({**messages["InputClaim"]["payload"], **schemas}, claim)
    assert not jsonschema_rs.is_valid({**messages["InputClaim"]["payload"], **schemas}, {"items": []})
    seen = messages["request.last_one"]["payload"]["properties"]["inputs"]
    for value, fits in (({"items": [{"id": "a"}]}, True), (claim, True), ({"items": [{}]}, False)):
        assert jsonschema_rs.is_valid({**seen, **schemas}, {"input": value, "each": claim}) == fits
    said = {"type": "result", "run_id": "r", "node": "last_one", "epoch": 0, "attempt": 1, "output": claim}
    answered = {**messages["ExternalResultClaim"]["payload"], **schemas}
    assert jsonschema_rs.is_valid(answered, said)
    assert not jsonschema_rs.is_valid(answered, {**said, "output": {}})
    outputs = found["components"]["schemas"]["Result"]["properties"]["outputs"]
    assert jsonschema_rs.is_valid({**outputs, **schemas}, {"last_one": claim})


def test_the_schema_sees_what_is_wrong() -> None:
    plan = load_workflow(ROOT / "workflows" / EXAMPLES[0] / "workflow.yaml").require_plan()
    found = document(plan)
    found["operations"]["receive.input"]["action"] = "take"
    assert problems(found)


COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("Cancel", {"type": "cancel", "run_id": "r"}),
    ("Redrive", {"type": "redrive", "run_id": "r", "node": "chat", "edit": {"input": {}}}),
    ("Replay", {"type": "replay", "run_id": "r", "replay": "p", "reuse": True}),
    ("Review", {"type": "review", "run_id": "r", "node": "ask", "decision": "approve", "reviewer": "me"}),
    ("ExternalResult", {"type": "result", "run_id": "r", "node": "each[3]", "epoch": 0, "attempt": 1, "output": {}}),
    ("ExternalResult", {"type": "result", "run_id": "r", "node": "last_one", "epoch": 0, "attempt": 2, "error": "no"}),
]
NONE_OF_IT: list[tuple[str, dict[str, Any]]] = [
    ("Cancel", {"type": "cancel"}),
    ("Redrive", {"type": "redrive", "run_id": "r", "node": "nobody"}),
    ("Review", {"type": "review", "run_id": "r", "node": "ask", "decision": "perhaps", "reviewer": "me"}),
    ("Review", {"type": "review", "run_id": "r", "node": "ask", "decision": "approve"}),
    ("ExternalResult", {"type": "result", "run_id": "r", "node": "each", "epoch": 0, "attempt": 0, "output": {}}),
    ("ExternalResult", {"type": "result", "run_id": "r", "node": "each", "epoch": 0, "attempt": 1}),
    (
        "ExternalResult",
        {"type": "result", "run_id": "r", "node": "last_one[1]", "epoch": 0, "attempt": 1, "output": {}},
    ),
]


@pytest.mark.parametrize(("name", "command"), [*COMMANDS, *NONE_OF_IT])
def test_what_it_says_of_commands_is_what_intake_takes(
    everything: WorkflowPlan, name: str, command: dict[str, Any]
) -> None:
    schema = document(everything)["components"]["messages"][name]["payload"]
    record = Inbound("every-thing.control", 0, 0, 0, b"r", dumps(command).encode(), ())
    sends = intake.command(compile_workflow(everything), record, Moment(0, 0.0, "w"))
    taken = all(send.topic != everything.topic("dead-letter") for send in sends)
    assert jsonschema_rs.is_valid(schema, command) == taken == ((name, command) in COMMANDS)
