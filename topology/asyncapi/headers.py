"""Headers as JSON Schema: all values are UTF-8 text."""

from __future__ import annotations

from typing import Any

from schemas import headers as names

Schema = dict[str, Any]

_SAID = {
    names.CE_ID: "Identifies the record, and is the same should a crash make it appear twice: drop what you have seen.",
    names.CE_TYPE: "What the record is.",
    names.CE_SOURCE: "CloudEvents: penstock/WORKFLOW, and /NODE where a node is meant.",
    names.CE_SPECVERSION: "CloudEvents 1.0, binary mode.",
    names.CE_TIME: "When it happened: ISO 8601, UTC.",
    names.CE_SUBJECT: "The run.",
    names.CONTENT_TYPE: "Media type of the value.",
    names.TRACEPARENT: "W3C trace context of the run.",
    names.RUN_ID: "Names the run, whatever `run_id_from` says.",
    names.REUSED: "Nodes, with commas between them, whose ends were copied into the run.",
    names.CLAIM: "Any value: what the value claims to be is in a claim store. Without this header the same JSON stands for itself.",
    names.OWNER_EPOCH: "Which ownership of the partition wrote the row.",
}
_CAUSE = {
    "kind": "Why: input_schema, undecodable, run_id_conflict, a provider's or a handler's error, and others.",
    "message": "The reason, for people.",
    "node": "The node that failed; absent where a record could not be used.",
    "attempt": "How many attempts were made.",
    "topic": "Where the record that could not be used stood.",
    "partition": "Its partition.",
    "offset": "Its offset.",
    "traceback": "Of a handler's error, cut and redacted.",
    "raw": "The model's last answer.",
}


def _schema(required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Schema:
    properties = {name: {"type": "string", "description": _SAID[name]} for name in (*required, *optional)}
    return {"type": "object", "properties": properties, "required": list(required)}


def internal() -> Schema:
    """Return the headers of journals and the retry topic."""
    return _schema((names.CE_ID, names.CE_TYPE), (names.TRACEPARENT,))


def row() -> Schema:
    """Return the headers of changelogs."""
    return _schema((names.OWNER_EPOCH,))


def public() -> Schema:
    """Return the headers of results and requests: CloudEvents in binary mode."""
    always = (names.CE_ID, names.CE_TYPE, names.CE_SOURCE, names.CE_SPECVERSION, names.CE_TIME, names.CE_SUBJECT)
    return _schema((*always, names.CONTENT_TYPE), (names.TRACEPARENT,))


def dead_letter() -> Schema:
    """Return the headers of dead letters: CloudEvents and the cause; the record's own are kept beside them."""
    always = (names.CE_ID, names.CE_TYPE, names.CE_SOURCE, names.CE_SPECVERSION, names.CE_TIME)
    found = _schema(always, (names.CE_SUBJECT, names.CONTENT_TYPE, names.TRACEPARENT, names.CLAIM))
    found["properties"] |= {names.ERROR + key: {"type": "string", "description": said} for key, said in _CAUSE.items()}
    found["required"] += [names.ERROR + key for key in ("kind", "message")]
    return found


def tokens() -> Schema:
    """Return the headers of deltas."""
    return _schema((names.CE_ID, names.CE_TYPE, names.CONTENT_TYPE), (names.TRACEPARENT,))


def inputs(claimed: bool = False) -> Schema:
    """Return the headers that inputs may have; those that are `claimed` have one that says so."""
    return _schema(_claim(claimed), (names.CE_ID, names.RUN_ID, names.REUSED, names.TRACEPARENT))


def commands(claimed: bool = False) -> Schema:
    """Return the headers that commands may have; likewise."""
    return _schema(_claim(claimed), (names.TRACEPARENT,))


def _claim(claimed: bool) -> tuple[str, ...]:
    return (names.CLAIM,) if claimed else ()
