"""What the public JSON topics hold, as JSON Schema (DESIGN.md 6a): commands, results, requests, deltas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.claims import MAX_URI, MEMBER
from topology.plan import INPUT, NodePlan, WorkflowPlan
from topology.result_schema import output_schema

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
RUN_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "description": "The run."}
OBJECT: Schema = {"type": "object"}
CLAIM: Schema = {"$ref": "#/components/schemas/Claim"}
CLAIMED_RESULT = "ExternalResultClaim"
STATUSES = ["success", "failed", "stopped", "cancelled"]
NODE_STATUSES = ["pending", "running", "waiting", "success", "failed", "skipped", "cancelled"]


def _object(properties: Mapping[str, Any], required: Iterable[str] = (), said: str = "") -> Schema:
    described = {"description": said} if said else {}
    return {**described, "type": "object", "properties": dict(properties), "required": list(required)}


def or_null(schema: Mapping[str, Any]) -> Schema:
    """Return a schema that allows null, too."""
    return {**schema, "type": [schema["type"], "null"]}


def moved(schema: Any, to: str) -> Any:
    """Return a schema that stands at `to` in the document: references within it lead there."""
    if isinstance(schema, list):
        return [moved(part, to) for part in schema]
    if not isinstance(schema, dict):
        return schema
    values = ("const", "default", "enum", "example", "examples")
    made = {key: part if key in values else moved(part, to) for key, part in schema.items()}
    if isinstance(made.get("$ref"), str) and made["$ref"].startswith("#"):
        made["$ref"] = to + made["$ref"][1:].rstrip("/")
    return {key: part for key, part in made.items() if key not in ("$schema", "$id")}


# ---- claims ---------------------------------------------------------------------------------------------------------


def claim() -> Schema:
    """Return what stands for a value that is in a claim store (docs/large-payloads.md)."""
    fields = {
        "uri": {"type": "string", "maxLength": MAX_URI, "description": "Where it is: file:///... or s3://..."},
        "size": {**COUNT, "description": "Bytes of the object."},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Of the object's bytes: check it."},
        "media_type": {"type": "string", "pattern": "^(application/json$|text/)", "description": "What the bytes are."},
    }
    inner = {**_object(fields, fields), "additionalProperties": False}
    said = "A value that is in a claim store, because it is large: read it there."
    return {**_object({MEMBER: inner}, (MEMBER,), said), "additionalProperties": False}


def or_claim(plan: WorkflowPlan, schema: Schema) -> Schema:
    """Return the schema of a value that may be in a claim store: by itself, or as a claim."""
    return schema if plan.claim_check is None else {"anyOf": [schema, CLAIM]}


# ---- commands -------------------------------------------------------------------------------------------------------


def commands(plan: WorkflowPlan) -> dict[str, Schema]:
    """Return what the control topic takes, by the name of its message; what no node of the workflow takes is left out."""
    found = {"Cancel": _command("cancel", {}, (), "End a run: nodes that have not ended are cancelled.")}
    found["Redrive"] = _command(
        "redrive",
        {
            "node": _one_of(plan.nodes),
            "epoch": {**COUNT, "description": "The epoch that failed; without it the last one."},
            "edit": {
                **OBJECT,
                "description": "A JSON merge patch of what the node sees: `input`, and ancestors by id.",
            },
            "requested_by": TEXT,
        },
        ("node",),
        "Run a failed node again, and what is below it, in a new epoch.",
    )
    found["Replay"] = _command(
        "replay",
        {
            "node": {**_one_of(plan.nodes), "description": "From here on; without it the whole run."},
            "epoch": {**COUNT, "description": "The epoch that is meant."},
            "replay": {**TEXT, "description": "What it is a part of: the same one again has no effect."},
            "reuse": {"type": "boolean", "description": "Do not ask a model again what it has answered."},
            "requested_by": TEXT,
        },
        (),
        "Run a run again in a new epoch, whatever became of it.",
    )
    reviewed = [node for node in plan.nodes if node.review is not None]
    if reviewed:
        found["Review"] = _review(reviewed)
    external = [node for node in plan.nodes if node.kind == "external"]
    if external:
        found["ExternalResult"] = _result(external)
        if plan.claim_check is not None:
            found[CLAIMED_RESULT] = _result(external, CLAIM)
    return found


def _command(kind: str, more: Mapping[str, Any], required: Iterable[str], said: str) -> Schema:
    return _object({"type": {"const": kind}, "run_id": RUN_ID, **more}, ("type", "run_id", *required), said)


def _review(nodes: list[NodePlan]) -> Schema:
    fields = {
        "node": _one_of(nodes),
        "decision": {"enum": ["approve", "reject"]},
        "reviewer": {"type": "string", "minLength": 1, "description": "Who decides; recorded, not checked."},
        "comment": TEXT,
        "edit": {**OBJECT, "description": "A JSON merge patch of what is reviewed."},
        "epoch": {**COUNT, "description": "The epoch that was shown; without it the current one."},
        "hash": {**TEXT, "description": "Of what was shown; the decision is refused if it is another by now."},
    }
    return _command("review", fields, ("node", "decision", "reviewer"), "Decide on what waits for a person.")


def _result(nodes: list[NodePlan], output: Schema = OBJECT) -> Schema:
    error = _object(
        {
            "message": TEXT,
            "kind": {**TEXT, "default": "external"},
            "retryable": {"type": "boolean", "default": True},
            "retry_after_s": {"type": "number", "minimum": 0},
        },
        ("message",),
    )
    fields = {
        "node": _one_of(nodes),
        "epoch": {**COUNT, "description": "As in the request."},
        "attempt": {"type": "integer", "minimum": 1, "description": "As in the request."},
        "output": output
        if output is CLAIM
        else {**OBJECT, "description": "What the node is to have done; or `error`."},
        "error": {"oneOf": [TEXT, error], "description": "Why not; or `output`."},
    }
    said = "Answer a request of an external node; the first answer to an attempt counts, others are refused."
    made = _command("result", fields, ("node", "epoch", "attempt"), said)
    if output is CLAIM:
        return {**made, "required": [*made["required"], "output"], "not": {"required": ["error"]}}
    return {**made, "oneOf": [{"required": ["output"]}, {"required": ["error"]}]}


def _one_of(nodes: Iterable[NodePlan]) -> Schema:
    """Return what names one of `nodes`; an item of a `for_each` node is called `id[index]`."""
    nodes = list(nodes)
    if not any(node.for_each for node in nodes):
        return {"type": "string", "enum": [node.id for node in nodes]}
    parts = (f"{node.id}(\\[[0-9]+\\])?" if node.for_each else node.id for node in nodes)
    return {"type": "string", "pattern": f"^({'|'.join(parts)})$"}


# ---- what workers say -----------------------------------------------------------------------------------------------


def request(plan: WorkflowPlan, node: NodePlan, input_ref: Schema) -> Schema:
    """Return a request of an external node."""
    seen: dict[str, Any] = {INPUT: or_claim(plan, input_ref)} if node.reads_input else {}
    seen |= {above: or_claim(plan, {"type": ["object", "null"]}) for above in node.reads}
    fields = {
        "run_id": RUN_ID,
        "workflow_id": {"const": plan.id},
        "node": _one_of([node]),
        "epoch": COUNT,
        "attempt": {"type": "integer", "minimum": 1},
        "idempotency_key": {"type": ["string", "null"], "description": "Equal keys are equal work: do it once."},
        "due_at": {**TEXT, "format": "date-time", "description": "An answer after this comes too late."},
        "inputs": _object(seen, (), "What the node sees: the input, and outputs by node; null where there is none."),
    }
    return _object(fields, fields, "Work for your app: answer on the control topic.")


def token(plan: WorkflowPlan) -> Schema:
    """Return a delta."""
    fields = {
        "run_id": RUN_ID,
        "node": _one_of(node for node in plan.nodes if node.stream),
        "attempt": COUNT,
        "epoch": COUNT,
        "launch": COUNT,
        "seq": {**COUNT, "description": "Counts the deltas of an attempt from 0."},
        "delta": {**TEXT, "description": "What the model said since the last one."},
    }
    return _object(fields, fields, "What a model says while it says it; the whole answer is in the node's journal.")


def result(plan: WorkflowPlan, prefix: str) -> Schema:
    """Return a run's result; schemas of outputs are moved to where they stand under `prefix`."""
    usage = _object(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), COUNT))
    error = {"oneOf": [{"type": "null"}, _object({"kind": TEXT, "message": TEXT}, ("kind", "message"))]}
    time, cost = {**TEXT, "format": "date-time"}, or_null(NUMBER)
    node = {
        "status": {"enum": NODE_STATUSES},
        "attempts": COUNT,
        "error": error,
        "started_at": or_null(time),
        "finished_at": or_null(time),
        "usage": usage,
        "cost_usd": cost,
        "model": or_null(TEXT),
        "reused": {"type": "boolean", "description": "Taken over from an earlier epoch or run."},
    }
    fields = {
        "run_id": RUN_ID,
        "workflow_id": {"const": plan.id},
        "workflow_version": TEXT,
        "epoch": {**COUNT, "description": "0, and one more with each redrive or replay."},
        "status": {"enum": STATUSES},
        "outputs": _object(
            {
                sink: _output(plan, plan.node(sink), f"{prefix}/properties/outputs/properties/{sink}")
                for sink in plan.sinks
            }
        ),
        "usage": usage,
        "cost_usd": {**cost, "description": "Null where the price of a call is not known."},
        "started_at": time,
        "finished_at": time,
        "duration_ms": COUNT,
        "nodes": _object({each.id: _object(node, node) for each in plan.foreground}),
    }
    audit = {"type": "object", "additionalProperties": TEXT, "description": "Heads of hash chains by node."}
    return _object(fields | {"audit": audit}, fields, "A run's result: one per run and epoch.")


def _output(plan: WorkflowPlan, node: NodePlan, to: str) -> Schema:
    if plan.claim_check is None:
        return _content(node, to)
    if node.for_each is not None:  # each item by itself
        items = {
            "type": "array",
            "description": "Outputs, or claims of them; errors of items that failed, if those are kept.",
        }
        return _object({"items": items}, ("items",))
    return or_claim(plan, _content(node, f"{to}/anyOf/0"))


def _content(node: NodePlan, to: str) -> Schema:
    found = output_schema(node)
    if node.for_each is not None and node.for_each.on_item_error == "keep_error":
        return _object(
            {"items": {"type": "array", "description": "Outputs, and errors of items that failed."}}, ("items",)
        )
    made: Schema = dict(OBJECT) if found is None else moved(found, to)
    return made
