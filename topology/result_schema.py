"""What a workflow's result looks like (DESIGN.md 6a), as Avro and as JSON Schema: its frame is fixed, its outputs are the sinks'."""

from __future__ import annotations

from typing import Any

from schemas.avro_json import JSON_TEXT
from topology.avro_schema import avro_of, legal, namespace_of, nullable
from topology.plan import NodePlan, WorkflowPlan

MISFITS = "outputs_as_json"
"""Outputs that their schema's Avro cannot hold (an integer beyond 64 bits): JSON texts by node. They are in `outputs` otherwise."""


def _field(name: str, kind: Any, doc: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **({"doc": doc} if doc else {}), **more}


def result_avro(plan: WorkflowPlan) -> dict[str, Any]:
    """Return the Avro schema of a result."""
    usage = _record("Usage", [_field(name, "long") for name in ("prompt_tokens", "completion_tokens", "total_tokens")])
    names: set[str] = set()
    outputs = [_field(sink, nullable(_output(plan.node(sink), names)), default=None) for sink in plan.sinks]
    fields = [
        _field("run_id", "string"),
        _field("workflow_id", "string"),
        _field("workflow_version", "string"),
        _field("epoch", "long", "0, and one more with each redrive or replay."),
        _field("status", "string", "success, failed, stopped or cancelled."),
        _field(
            "outputs", _record("Outputs", outputs), "Of the nodes that nothing waits for; null where there is none."
        ),
        _field(MISFITS, {"type": "map", "values": JSON_TEXT}, "Outputs that do not fit their Avro type.", default={}),
        _field("usage", usage),
        _field("cost_usd", ["null", "double"], "Null where the price of a call is not known."),
        _field("started_at", "string", "ISO 8601."),
        _field("finished_at", "string", "ISO 8601."),
        _field("duration_ms", "long"),
        _field("nodes", {"type": "map", "values": _node()}),
        _field("audit", ["null", {"type": "map", "values": "string"}], "Heads of hash chains by node.", default=None),
    ]
    doc = "A run's result: one per run and epoch."
    return {**_record("Result", fields), "namespace": namespace_of(plan.id), "doc": doc}


def _node() -> dict[str, Any]:
    error = _record("NodeError", [_field("kind", "string"), _field("message", "string")])
    fields = [
        _field("status", "string"),
        _field("attempts", "long"),
        _field("error", ["null", error]),
        _field("started_at", ["null", "string"]),
        _field("finished_at", ["null", "string"]),
        _field("usage", "Usage"),
        _field("cost_usd", ["null", "double"]),
        _field("model", ["null", "string"]),
        _field("reused", "boolean"),
    ]
    return _record("NodeResult", fields)


def _record(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": fields}


def output_schema(node: NodePlan) -> dict[str, Any] | None:
    """Return the JSON Schema of a node's output, None where it may be any object.

    It follows from the workflow's structure alone, so all its versions have one schema of results. (An item that is kept as an error
    does not fit it.)
    """
    if node.kind == "router" and node.router is not None:
        one = {
            "type": "object",
            "properties": {
                "route": {"type": "string"},
                "confidence": {"type": ["number", "null"]},
                "by": {"type": "string"},
            },
            "required": ["route", "by"],
        }
    else:
        found = node.llm.output_schema if node.llm is not None else None
        if found is None:
            return None
        one = found
    if node.for_each is None:
        return one
    if "$defs" in one or "definitions" in one:
        return None
    return {
        "type": "object",
        "properties": {"items": {"type": "array", "items": one}},
        "required": ["items"],
        "additionalProperties": False,
    }


def _output(node: NodePlan, names: set[str]) -> Any:
    schema = output_schema(node)
    return JSON_TEXT if schema is None else avro_of(schema, f"{legal(node.id)}_output", names)
